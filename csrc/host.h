// From torch's tensors to a ResizeSum: the part that every device's binding shares.
#pragma once

#include <ATen/core/Tensor.h>
#include <ATen/ops/empty.h>

#include <string_view>

#include "resize_sum.h"

namespace hrnet_fast {

inline Dtype dtype_of(const at::Tensor& tensor, const char* op) {
  switch (tensor.scalar_type()) {
    case at::kFloat: return Dtype::f32;
    case at::kDouble: return Dtype::f64;
    case at::kBFloat16: return Dtype::bf16;
    case at::kHalf: return Dtype::f16;
    default: break;
  }
  TORCH_CHECK_TYPE(false, op, ": dtype ", tensor.scalar_type(), " is not one of float32, float64, bfloat16, float16");
}

// The values of a tensor, of the type that it is known to hold. Not by torch's const_data_ptr<T>: from version 18 on
// Clang gives that template another name than torch before 2.15 exports, and the extension could not be opened.
template <class T>
const T* values_of(const at::Tensor& tensor) {
  return static_cast<const T*>(tensor.const_data_ptr());
}

// The Python page checks first and says more; these keep a direct call of the op from reading out of bounds.
inline void check_terms(const char* op, at::TensorList terms, at::IntArrayRef size, std::string_view mode) {
  TORCH_CHECK_VALUE(terms.size() >= 1 && terms.size() <= size_t(kMaxTerms), op, ": got ", terms.size(),
                    " tensors; 1 to ", kMaxTerms, " are taken");
  TORCH_CHECK_VALUE(size.size() == 2 && size[0] > 0 && size[1] > 0, op, ": size ", size,
                    " is not two positive numbers");
  TORCH_CHECK_VALUE(mode == "nearest" || mode == "bilinear", op, ": mode is neither nearest nor bilinear");
  for (const at::Tensor& t : terms) {
    TORCH_CHECK_VALUE(t.dim() == 4, op, ": shape ", t.sizes(), " is not (N, C, h, w)");
    TORCH_CHECK_VALUE(t.size(0) == terms[0].size(0) && t.size(1) > 0 && t.size(2) > 0 && t.size(3) > 0, op, ": shapes ",
                      terms[0].sizes(), " and ", t.sizes(), " do not go together");
    TORCH_CHECK_TYPE(t.scalar_type() == terms[0].scalar_type(), op, ": the tensors differ in dtype");
    TORCH_CHECK_VALUE(t.device() == terms[0].device(), op, ": the tensors are on different devices");
  }
}

// (N, channels, H, W), channels_last, uninitialised
inline at::Tensor empty_output(const at::Tensor& like, int64_t channels, at::IntArrayRef size) {
  return at::empty({like.size(0), channels, size[0], size[1]},
                   like.options().memory_format(at::MemoryFormat::ChannelsLast));
}

// `out` is channels_last, or a slice of the channels of such a tensor.
inline ResizeSum describe(const char* op, at::TensorList terms, const at::Tensor& out, std::string_view mode,
                          bool align_corners, bool relu) {
  ResizeSum p = {};
  for (const at::Tensor& t : terms) {
    const auto stride = [&](int dim, int64_t alone) { return t.size(dim) == 1 ? alone : t.stride(dim); };
    // the stride of a dimension of one element means nothing, and need not be a multiple of anything
    p.terms[p.count++] = {t.const_data_ptr(), t.size(2),    t.size(3),   stride(0, 0),
                          stride(1, 1),       stride(2, 0), stride(3, 0)};
  }
  p.out = out.mutable_data_ptr();
  p.out_stride_n = out.stride(0), p.out_stride_h = out.stride(2), p.out_stride_w = out.stride(3);
  p.batch = out.size(0), p.channels = out.size(1), p.height = out.size(2), p.width = out.size(3);
  p.dtype = dtype_of(out, op);
  p.mode = mode == "nearest" ? Mode::nearest : Mode::bilinear;
  p.align_corners = align_corners, p.relu = relu;
  return p;
}

// What both ops are: `run` computes a ResizeSum on the tensors' device.
template <class Run>
at::Tensor fuse_sum(at::TensorList terms, at::IntArrayRef size, std::string_view mode, bool align_corners, bool relu,
                    Run run) {
  check_terms("fuse_sum", terms, size, mode);
  for (const at::Tensor& t : terms)
    TORCH_CHECK_VALUE(t.size(1) == terms[0].size(1), "fuse_sum: the terms differ in channels");
  const at::Tensor out = empty_output(terms[0], terms[0].size(1), size);
  if (out.numel() > 0) run(describe("fuse_sum", terms, out, mode, align_corners, relu));
  return out;
}

template <class Run>
at::Tensor resize_concat(at::TensorList maps, at::IntArrayRef size, std::string_view mode, bool align_corners,
                         Run run) {
  check_terms("resize_concat", maps, size, mode);
  int64_t channels = 0;
  for (const at::Tensor& map : maps) channels += map.size(1);
  const at::Tensor out = empty_output(maps[0], channels, size);
  if (out.numel() == 0) return out;
  int64_t first = 0;
  for (const at::Tensor& map : maps) {
    run(describe("resize_concat", map, out.narrow(1, first, map.size(1)), mode, align_corners, false));
    first += map.size(1);
  }
  return out;
}

}  // namespace hrnet_fast
