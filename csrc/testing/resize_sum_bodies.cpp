// Runs one named body of fuse_sum on CPU tensors: each instruction set's rows, and the code of one CUDA thread, thread
// after thread.
#include <torch/library.h>

#include <string>

#include "cpu/rows.h"
#include "cuda/device/resize_sum.cuh"
#include "host.h"

namespace hrnet_fast {
namespace {

// A grid far smaller than the work, so that every thread loops.
template <class T, int kGroup>
void run_threads(const ResizeSum& p) {
  constexpr int kRows = 3, kItems = 5;
  for (int row = 0; row < kRows; ++row) {
    for (int item = 0; item < kItems; ++item) resize_sum_thread<T, kGroup>(p, row, kRows, item, kItems);
  }
}

template <class T>
void run_cuda_body(const ResizeSum& p, bool grouped) {
  constexpr int kGroup = 16 / sizeof(T);
  if (!grouped) return run_threads<T, 1>(p);
  TORCH_CHECK_VALUE(can_move_groups(p, kGroup, sizeof(T)),
                    "fuse_sum_body: these tensors cannot be moved 16 bytes at a time");
  run_threads<T, kGroup>(p);
}

void run_cuda_body(const ResizeSum& p, bool grouped) {
  switch (p.dtype) {
    case Dtype::f32: return run_cuda_body<float>(p, grouped);
    case Dtype::f64: return run_cuda_body<double>(p, grouped);
    case Dtype::bf16: return run_cuda_body<bf16_t>(p, grouped);
    case Dtype::f16: return run_cuda_body<f16_t>(p, grouped);
  }
}

at::Tensor fuse_sum_body(at::TensorList terms, at::IntArrayRef size, std::string_view mode, bool align_corners,
                         bool relu, std::string_view body) {
  return fuse_sum(terms, size, mode, align_corners, relu, [&](const ResizeSum& p) {
    if (body == "cuda" || body == "cuda_grouped") return run_cuda_body(p, body == "cuda_grouped");
    const ResizeSumRows rows = resize_sum_rows(std::string(body).c_str());
    TORCH_CHECK_VALUE(rows != nullptr, "fuse_sum_body: this machine cannot run the body ", body);
    resize_sum_cpu(p, rows);
  });
}

}  // namespace

TORCH_LIBRARY(hrnet_fast_testing, m) {
  m.def("fuse_sum_body(Tensor[] terms, int[2] size, str mode, bool align_corners, bool relu, str body) -> Tensor");
}
TORCH_LIBRARY_IMPL(hrnet_fast_testing, CPU, m) { m.impl("fuse_sum_body", fuse_sum_body); }

}  // namespace hrnet_fast
