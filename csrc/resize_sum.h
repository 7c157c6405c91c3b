// What fuse_sum and resize_concat ask of a kernel: out = relu(sum_k resize(term_k)), one NHWC destination. No torch
// header.
#pragma once

#include "taps.h"

namespace hrnet_fast {

constexpr int kMaxTerms = 8;

// All strides are in elements, not bytes.
struct Term {
  const void* data;  // [N, C, height, width], any strides
  int64_t height, width;
  int64_t stride_n, stride_c, stride_h, stride_w;
};

struct ResizeSum {
  Term terms[kMaxTerms];
  int count;
  void* out;  // [N, H, W, C], dense in C
  int64_t out_stride_n, out_stride_h, out_stride_w;
  int64_t batch, channels, height, width;
  Dtype dtype;
  Mode mode;
  bool align_corners, relu;
};

// True if groups of `group` channels can be moved as one aligned load of group * bytes.
inline bool can_move_groups(const ResizeSum& p, int group, int bytes) {
  const auto aligned = [&](const void* data) { return reinterpret_cast<uintptr_t>(data) % (group * bytes) == 0; };
  bool good = p.channels % group == 0 && aligned(p.out);
  good = good && p.out_stride_n % group == 0 && p.out_stride_h % group == 0 && p.out_stride_w % group == 0;
  for (int k = 0; k < p.count; ++k) {
    const Term& t = p.terms[k];
    good = good && t.stride_c == 1 && aligned(t.data);
    good = good && t.stride_n % group == 0 && t.stride_h % group == 0 && t.stride_w % group == 0;
  }
  return good;
}

}  // namespace hrnet_fast
