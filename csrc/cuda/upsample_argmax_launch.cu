#include <algorithm>

#include "cuda/device/upsample_argmax.cuh"
#include "cuda/upsample_argmax_launch.h"

namespace hrnet_fast {
namespace {

constexpr int kThreads = 128;

// A thread labels one pixel of an image; images lie along the grid's second axis.
template <class T, int kMaps>
__global__ void __launch_bounds__(kThreads)
    upsample_argmax_kernel(const __grid_constant__ UpsampleArgmax p, bool align_corners) {
  upsample_argmax_thread<T, kMaps>(p, align_corners, int64_t(blockIdx.x) * kThreads + threadIdx.x, blockIdx.y,
                                   gridDim.y);
}

template <class T>
void launch(const UpsampleArgmax& p, bool align_corners, cudaStream_t stream) {
  const int64_t pixels = p.height * p.width;
  const dim3 grid(unsigned((pixels + kThreads - 1) / kThreads), unsigned(std::min<int64_t>(p.batch, 65535)));
  with_room_for(p.count, [&](auto maps) {
    upsample_argmax_kernel<T, decltype(maps)::value><<<grid, kThreads, 0, stream>>>(p, align_corners);
  });
}

}  // namespace

void upsample_argmax_launch(const UpsampleArgmax& p, bool align_corners, cudaStream_t stream) {
  switch (p.dtype) {
    case Dtype::bf16: return launch<bf16_t>(p, align_corners, stream);
    case Dtype::f16: return launch<f16_t>(p, align_corners, stream);
    default: return launch<float>(p, align_corners, stream);
  }
}

}  // namespace hrnet_fast
