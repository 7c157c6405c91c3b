#include <c10/cuda/CUDAException.h>
#include <c10/cuda/CUDAStream.h>

#include <algorithm>
#include <limits>

#include "cuda/device/resize_sum.cuh"
#include "cuda/resize_sum_launch.h"

namespace hrnet_fast {
namespace {

template <class T, int kGroup>
__global__ void resize_sum_kernel(ResizeSum p) {
  resize_sum_thread<T, kGroup>(p, blockIdx.y, gridDim.y, int(blockIdx.x * blockDim.x + threadIdx.x),
                               int(gridDim.x * blockDim.x));
}

template <class T, int kGroup>
void launch(const ResizeSum& p) {
  constexpr int kThreads = 128;
  const int64_t items = p.width * (p.channels / kGroup), rows = p.batch * p.height;
  TORCH_CHECK_VALUE(items < std::numeric_limits<int>::max() / 2, "a row of ", p.width, " pixels with ", p.channels,
                    " channels is too long for one launch");
  const dim3 grid(unsigned((items + kThreads - 1) / kThreads), unsigned(std::min<int64_t>(rows, 65535)));
  resize_sum_kernel<T, kGroup><<<grid, kThreads, 0, c10::cuda::getCurrentCUDAStream()>>>(p);
  C10_CUDA_KERNEL_LAUNCH_CHECK();
}

template <class T>
void launch(const ResizeSum& p) {
  constexpr int kGroup = 16 / sizeof(T);
  can_move_groups(p, kGroup, sizeof(T)) ? launch<T, kGroup>(p) : launch<T, 1>(p);
}

}  // namespace

void resize_sum_cuda(const ResizeSum& p) {
  switch (p.dtype) {
    case Dtype::f32: return launch<float>(p);
    case Dtype::f64: return launch<double>(p);
    case Dtype::bf16: return launch<bf16_t>(p);
    case Dtype::f16: return launch<f16_t>(p);
  }
}

}  // namespace hrnet_fast
