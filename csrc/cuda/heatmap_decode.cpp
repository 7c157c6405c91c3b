// heatmap_decode on a CUDA device. The formula and the schema are in kernels/heatmap_decode.py.
#include <c10/cuda/CUDAException.h>
#include <c10/cuda/CUDAGuard.h>
#include <c10/cuda/CUDAStream.h>
#include <torch/library.h>

#include "cuda/heatmap_decode_launch.h"
#include "heatmap_decode_host.h"

namespace hrnet_fast {
namespace {

at::Tensor heatmap_decode_cuda(const at::Tensor& heatmaps, const std::optional<at::Tensor>& flipped,
                               at::IntArrayRef swap, bool shift, bool quarter) {
  const c10::cuda::OptionalCUDAGuard guard(at::device_of(heatmaps));
  return heatmap_decode(heatmaps, flipped, swap, shift, quarter, [](const HeatmapDecode& p, int64_t batch) {
    heatmap_decode_launch(p, batch, c10::cuda::getCurrentCUDAStream());
    C10_CUDA_KERNEL_LAUNCH_CHECK();
  });
}

}  // namespace

TORCH_LIBRARY_IMPL(hrnet_fast, CUDA, m) { m.impl("heatmap_decode", heatmap_decode_cuda); }

}  // namespace hrnet_fast
