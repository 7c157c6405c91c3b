// resample_argmax on a CUDA device. The formula and the schema are in kernels/resample_argmax.py.
#include <c10/cuda/CUDAException.h>
#include <c10/cuda/CUDAGuard.h>
#include <c10/cuda/CUDAStream.h>
#include <torch/library.h>

#include "cuda/resample_argmax_launch.h"
#include "cuda/resample_argmax_room.h"

namespace hrnet_fast {
namespace {

at::Tensor resample_argmax_cuda(at::TensorList maps, at::IntArrayRef rows, at::IntArrayRef cols, bool exp,
                                bool align_corners) {
  const c10::cuda::CUDAGuard guard(
      maps[0].device());  // a tensor on the device brought the call here: there is a first one
  return resample_argmax(maps, rows, cols, align_corners, [&](ResampleArgmax& p) {
    const ResampleMap* described = p.maps;
    const auto room = make_room(p, maps, exp);
    resample_argmax_launch(p, described, c10::cuda::getCurrentCUDAStream());
    C10_CUDA_KERNEL_LAUNCH_CHECK();
  });
}

}  // namespace

TORCH_LIBRARY_IMPL(hrnet_fast, CUDA, m) { m.impl("resample_argmax", resample_argmax_cuda); }

}  // namespace hrnet_fast
