// resample_argmax on a CUDA device. The formula and the schema are in kernels/resample_argmax.py.
#include <c10/cuda/CUDAException.h>
#include <c10/cuda/CUDAGraphsC10Utils.h>
#include <c10/cuda/CUDAGuard.h>
#include <c10/cuda/CUDAStream.h>
#include <torch/library.h>

#include "cuda/resample_argmax_launch.h"
#include "cuda/resample_argmax_upload.h"

namespace hrnet_fast {
namespace {

at::Tensor resample_argmax_cuda(at::TensorList maps, at::IntArrayRef inner, at::TensorList rows,
                                at::TensorList row_weights, at::TensorList cols, at::TensorList col_weights, bool exp,
                                bool align_corners) {
  TORCH_CHECK_VALUE(!maps.empty(), "resample_argmax: each map needs an inner size and its taps");
  const c10::cuda::CUDAGuard guard(maps[0].device());
  TORCH_CHECK(c10::cuda::currentStreamCaptureStatusMayInitCtx() == c10::cuda::CaptureStatus::None,
              "resample_argmax: its taps come from the CPU at each call, which a CUDA graph cannot capture; call it "
              "outside of one");
  return resample_argmax(maps, inner, rows, row_weights, cols, col_weights, align_corners, [&](ResampleArgmax& p) {
    const auto tables = upload(p, maps, exp);
    resample_argmax_launch(p, c10::cuda::getCurrentCUDAStream());
    C10_CUDA_KERNEL_LAUNCH_CHECK();
  });
}

}  // namespace

TORCH_LIBRARY_IMPL(hrnet_fast, CUDA, m) { m.impl("resample_argmax", resample_argmax_cuda); }

}  // namespace hrnet_fast
