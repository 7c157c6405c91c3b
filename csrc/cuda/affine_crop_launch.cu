#include "cuda/affine_crop_launch.h"
#include "cuda/device/affine_crop.cuh"

namespace hrnet_fast {
namespace {

constexpr int kThreads = 128;

// A thread computes one pixel of one piece.
__global__ void __launch_bounds__(kThreads)
    affine_crop_kernel(const __grid_constant__ AffineCrop p, const __grid_constant__ CropInverses inverses) {
  affine_crop_thread(p, inverses.of[blockIdx.y], blockIdx.y, int64_t(blockIdx.x) * kThreads + threadIdx.x);
}

}  // namespace

void affine_crop_launch(const AffineCrop& p, int64_t count, cudaStream_t stream) {
  for_each_crops(p, count, [&](const AffineCrop& part, const CropInverses& inverses) {
    const int64_t pixels = part.crop_height * part.crop_width;
    const dim3 grid(unsigned((pixels + kThreads - 1) / kThreads), unsigned(inverses.count));
    affine_crop_kernel<<<grid, kThreads, 0, stream>>>(part, inverses);
  });
}

}  // namespace hrnet_fast
