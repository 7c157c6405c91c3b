// fuse_sum on a CUDA device. The formula and the schema are in kernels/fuse_sum.py.
#include <c10/cuda/CUDAGuard.h>
#include <torch/library.h>

#include "cuda/resize_sum_launch.h"
#include "host.h"

namespace hrnet_fast {
namespace {

at::Tensor fuse_sum_cuda(at::TensorList terms, at::IntArrayRef size, std::string_view mode, bool align_corners,
                         bool relu) {
  const c10::cuda::CUDAGuard guard(
      terms[0].device());  // a tensor on the device brought the call here: there is a first one
  return fuse_sum(terms, size, mode, align_corners, relu, resize_sum_cuda);
}

}  // namespace

TORCH_LIBRARY_IMPL(hrnet_fast, CUDA, m) { m.impl("fuse_sum", fuse_sum_cuda); }

}  // namespace hrnet_fast
