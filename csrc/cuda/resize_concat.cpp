// resize_concat on a CUDA device. The formula and the schema are in kernels/resize_concat.py.
#include <c10/cuda/CUDAGuard.h>
#include <torch/library.h>

#include "cuda/resize_sum_launch.h"
#include "host.h"

namespace hrnet_fast {
namespace {

at::Tensor resize_concat_cuda(at::TensorList maps, at::IntArrayRef size, std::string_view mode, bool align_corners) {
  const c10::cuda::CUDAGuard guard(
      maps[0].device());  // a tensor on the device brought the call here: there is a first one
  return resize_concat(maps, size, mode, align_corners, resize_sum_cuda);
}

}  // namespace

TORCH_LIBRARY_IMPL(hrnet_fast, CUDA, m) { m.impl("resize_concat", resize_concat_cuda); }

}  // namespace hrnet_fast
