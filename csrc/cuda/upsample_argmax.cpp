// upsample_argmax on a CUDA device. The formula and the schema are in kernels/upsample_argmax.py.
#include <c10/cuda/CUDAException.h>
#include <c10/cuda/CUDAGuard.h>
#include <c10/cuda/CUDAStream.h>
#include <torch/library.h>

#include "cuda/upsample_argmax_launch.h"
#include "upsample_argmax_host.h"

namespace hrnet_fast {
namespace {

at::Tensor upsample_argmax_cuda(at::TensorList maps, at::ArrayRef<double> weights, at::IntArrayRef size,
                                bool align_corners) {
  const c10::cuda::CUDAGuard guard(
      maps[0].device());  // a tensor on the device brought the call here: there is a first one
  return upsample_argmax(maps, weights, size, [&](const UpsampleArgmax& p) {
    upsample_argmax_launch(p, align_corners, c10::cuda::getCurrentCUDAStream());
    C10_CUDA_KERNEL_LAUNCH_CHECK();
  });
}

}  // namespace

TORCH_LIBRARY_IMPL(hrnet_fast, CUDA, m) { m.impl("upsample_argmax", upsample_argmax_cuda); }

}  // namespace hrnet_fast
