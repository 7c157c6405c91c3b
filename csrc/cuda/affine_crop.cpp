// affine_crop on a CUDA device. The formula and the schema are in kernels/affine_crop.py.
#include <c10/cuda/CUDAException.h>
#include <c10/cuda/CUDAGuard.h>
#include <c10/cuda/CUDAStream.h>
#include <torch/library.h>

#include "affine_crop_host.h"
#include "cuda/affine_crop_launch.h"

namespace hrnet_fast {
namespace {

at::Tensor affine_crop_cuda(const at::Tensor& image, const at::Tensor& matrices, at::IntArrayRef size,
                            at::ArrayRef<double> mean, at::ArrayRef<double> std, bool flip) {
  const c10::cuda::OptionalCUDAGuard guard(at::device_of(image));
  return affine_crop(image, matrices, size, mean, std, flip, [](const AffineCrop& p, int64_t count) {
    affine_crop_launch(p, count, c10::cuda::getCurrentCUDAStream());
    C10_CUDA_KERNEL_LAUNCH_CHECK();
  });
}

}  // namespace

TORCH_LIBRARY_IMPL(hrnet_fast, CUDA, m) { m.impl("affine_crop", affine_crop_cuda); }

}  // namespace hrnet_fast
