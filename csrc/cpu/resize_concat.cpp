// resize_concat on the CPU. The formula and the schema are in kernels/resize_concat.py.
#include <torch/library.h>

#include "cpu/features.h"
#include "cpu/rows.h"
#include "host.h"

namespace hrnet_fast {
namespace {

at::Tensor resize_concat_cpu(at::TensorList maps, at::IntArrayRef size, std::string_view mode, bool align_corners) {
  static const ResizeSumRows rows = resize_sum_rows(cpu_isa());
  return resize_concat(maps, size, mode, align_corners, [](const ResizeSum& p) { resize_sum_cpu(p, rows); });
}

}  // namespace

TORCH_LIBRARY_IMPL(hrnet_fast, CPU, m) { m.impl("resize_concat", resize_concat_cpu); }

}  // namespace hrnet_fast
