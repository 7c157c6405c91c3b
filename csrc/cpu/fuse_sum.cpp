// fuse_sum on the CPU. The formula and the schema are in kernels/fuse_sum.py.
#include <torch/library.h>

#include "cpu/features.h"
#include "cpu/rows.h"
#include "host.h"

namespace hrnet_fast {
namespace {

at::Tensor fuse_sum_cpu(at::TensorList terms, at::IntArrayRef size, std::string_view mode, bool align_corners,
                        bool relu) {
  static const ResizeSumRows rows = resize_sum_rows(cpu_isa());
  return fuse_sum(terms, size, mode, align_corners, relu, [](const ResizeSum& p) { resize_sum_cpu(p, rows); });
}

}  // namespace

TORCH_LIBRARY_IMPL(hrnet_fast, CPU, m) { m.impl("fuse_sum", fuse_sum_cpu); }

}  // namespace hrnet_fast
