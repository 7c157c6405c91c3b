// One thread's share of a ResizeSum. Also compiled for the host, so that the code which computes is tested without a
// GPU. No torch header.
#pragma once

#include "resize_sum.h"

namespace hrnet_fast {

template <class T, int kGroup>
struct alignas(sizeof(T) * kGroup) Group {
  T values[kGroup];
};

// sum[i] += weight * data[offset + i]
template <class T, int kGroup, class A>
HRNET_FAST_HD void add_group(A (&sum)[kGroup], const T* source, A weight) {
  const Group<T, kGroup> group = *reinterpret_cast<const Group<T, kGroup>*>(source);
  for (int i = 0; i < kGroup; ++i) sum[i] += weight * load(&group.values[i]);
}

template <class T, int kGroup>
HRNET_FAST_HD void resize_sum_group(const ResizeSum& p, int64_t n, int64_t y, int64_t x, int64_t c) {
  using A = acc_t<T>;
  A sum[kGroup] = {};
  for (int k = 0; k < p.count; ++k) {
    const Term& t = p.terms[k];
    const T* source = static_cast<const T*>(t.data) + n * t.stride_n + c * t.stride_c;
    const Tap<A> row = resize_tap<A>(p.mode, p.align_corners, y, t.height, p.height);
    const Tap<A> col = resize_tap<A>(p.mode, p.align_corners, x, t.width, p.width);
    const T* lo = source + row.lo * t.stride_h;
    const T* hi = source + row.hi * t.stride_h;
    if (row.lo == row.hi && col.lo == col.hi) {
      add_group<T, kGroup, A>(sum, lo + col.lo * t.stride_w, A(1));
      continue;
    }
    add_group<T, kGroup, A>(sum, lo + col.lo * t.stride_w, (A(1) - row.weight) * (A(1) - col.weight));
    add_group<T, kGroup, A>(sum, lo + col.hi * t.stride_w, (A(1) - row.weight) * col.weight);
    add_group<T, kGroup, A>(sum, hi + col.lo * t.stride_w, row.weight * (A(1) - col.weight));
    add_group<T, kGroup, A>(sum, hi + col.hi * t.stride_w, row.weight * col.weight);
  }
  Group<T, kGroup> result;
  for (int i = 0; i < kGroup; ++i) store(&result.values[i], p.relu && sum[i] < A(0) ? A(0) : sum[i]);
  T* target = static_cast<T*>(p.out) + n * p.out_stride_n + y * p.out_stride_h + x * p.out_stride_w + c;
  *reinterpret_cast<Group<T, kGroup>*>(target) = result;
}

// Rows are n * height + y; an item is one group of channels of one pixel of a row.
template <class T, int kGroup>
HRNET_FAST_HD void resize_sum_thread(const ResizeSum& p, int64_t row, int64_t row_step, int item, int item_step) {
  const int groups = int(p.channels) / kGroup, items = int(p.width) * groups;
  for (; row < p.batch * p.height; row += row_step) {
    for (int i = item; i < items; i += item_step) {
      resize_sum_group<T, kGroup>(p, row / p.height, row % p.height, i / groups, int64_t(i % groups) * kGroup);
    }
  }
}

}  // namespace hrnet_fast
