#include <algorithm>

#include "cuda/resample_argmax_launch.h"

namespace hrnet_fast {
namespace {

constexpr int kBlendThreads = 128;

// A thread makes one blend of one map; maps lie along the grid's second axis.
__global__ void __launch_bounds__(kBlendThreads)
    resample_blends_kernel(const __grid_constant__ ResampleArgmax p, const __grid_constant__ ResampleMaps maps) {
  resample_blends_thread(p, maps.of[blockIdx.y], maps.first + blockIdx.y,
                         int64_t(blockIdx.x) * kBlendThreads + threadIdx.x);
}

// A thread labels one pixel of an image; images lie along the grid's second axis.
template <class T>
__global__ void resample_argmax_kernel(const __grid_constant__ ResampleArgmax p) {
  extern __shared__ float sums[];  // [classes, threads]
  resample_argmax_thread<T>(p, sums + threadIdx.x, int(blockDim.x), int64_t(blockIdx.x) * blockDim.x + threadIdx.x,
                            blockIdx.y, gridDim.y);
}

template <class T>
void launch(const ResampleArgmax& p, cudaStream_t stream) {
  const int64_t pixels = p.height * p.width;
  const int threads = resample_threads(p.channels);
  const dim3 grid(unsigned((pixels + threads - 1) / threads), unsigned(std::min<int64_t>(p.batch, 65535)));
  resample_argmax_kernel<T><<<grid, threads, p.channels * threads * sizeof(float), stream>>>(p);
}

}  // namespace

void resample_argmax_launch(const ResampleArgmax& p, const ResampleMap* described, cudaStream_t stream) {
  for_each_maps(p, described, [&](const ResampleMaps& maps) {
    const dim3 grid(unsigned((p.height + p.width + kBlendThreads - 1) / kBlendThreads), unsigned(maps.count));
    resample_blends_kernel<<<grid, kBlendThreads, 0, stream>>>(p, maps);
  });
  switch (p.dtype) {
    case Dtype::bf16: return launch<bf16_t>(p, stream);
    case Dtype::f16: return launch<f16_t>(p, stream);
    default: return launch<float>(p, stream);
  }
}

}  // namespace hrnet_fast
