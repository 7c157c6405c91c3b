// The maps of a HeatmapDecode, once for every instruction set: include after cpu/isa/vec_<isa>.h, in one file for each.
#pragma once

#include <algorithm>
#include <limits>
#include <type_traits>

#include "cpu/heatmap_decode.h"

namespace hrnet_fast {
namespace {

// Values to fetch ahead, as the processor's own prefetcher stops at each page of 4096 bytes: of one heatmap, and of two
// that are averaged, whose next channels need not be neighbours.
constexpr int64_t kAhead = 2048, kPairAhead = 512;

// The largest of `count` values, or NaN if one of them is.
template <class A>
HRNET_FAST_ISA A largest(const A* values, int64_t count) {
  constexpr int kWidth = Vec<A>::kWidth;
  typedef A Lanes __attribute__((vector_size(kWidth * sizeof(A))));
  const A kLowest = -std::numeric_limits<A>::infinity();
  Lanes first = Lanes{} + kLowest, second = first, odd = Lanes{};
  int64_t i = 0;
  for (; i + 2 * kWidth <= count; i += 2 * kWidth) {
    __builtin_prefetch(values + i + kAhead);
    __builtin_prefetch(values + i + kWidth + kAhead);
    Lanes v, w;
    memcpy(&v, values + i, sizeof v);
    memcpy(&w, values + i + kWidth, sizeof w);
    first = v > first ? v : first;
    second = w > second ? w : second;
    odd += (v + w) * 0;  // 0, or NaN where a value is NaN or infinite
  }
  A best = kLowest, sum = 0;
  for (int lane = 0; lane < kWidth; ++lane) {
    best = std::max(best, std::max(first[lane], second[lane]));
    sum += odd[lane];
  }
  for (; i < count; ++i) best = std::max(best, values[i]), sum += values[i] * 0;
  if (sum != sum)
    for (i = 0; i < count; ++i)
      if (values[i] != values[i]) return values[i];
  return best;
}

// The place of the first of `count` values that equals `value`, which is there.
template <class A>
HRNET_FAST_ISA int64_t place_of(A value, const A* values, int64_t count) {
  constexpr int64_t kBlock = 64;
  int64_t start = 0;
  for (; start + kBlock < count; start += kBlock) {
    int found = 0;
    for (int64_t i = 0; i < kBlock; ++i) found |= values[start + i] == value;
    if (found) break;
  }
  while (values[start] != value) ++start;
  return start;
}

// The column of the mirror image's row that column x is averaged with.
HRNET_FAST_ISA int64_t mirrored(int64_t x, int64_t width, bool shift) { return width - 1 - x + (shift && x > 0); }

// scratch = (row + the mirror image's row) / 2, for rows whose values lie side by side.
template <class A>
HRNET_FAST_ISA void average_row(A* scratch, const A* row, const A* mirror, int64_t width, bool shift) {
  constexpr int64_t kWidth = Vec<A>::kWidth;
  typedef A Lanes __attribute__((vector_size(kWidth * sizeof(A))));
  typedef std::conditional_t<sizeof(A) == 4, int32_t, int64_t> Places __attribute__((vector_size(kWidth * sizeof(A))));
  int64_t scalars = 1;  // the first column, which is never shifted
  if (width > kWidth) {
    Places backwards;
    for (int64_t lane = 0; lane < kWidth; ++lane) backwards[lane] = kWidth - 1 - lane;
    for (int64_t next = 1; next < width; next += kWidth) {
      const int64_t x = std::min(next, width - kWidth);  // the last vector overlaps the one before
      __builtin_prefetch(row + x + kPairAhead);
      __builtin_prefetch(mirror + x + kPairAhead);
      Lanes a, b;
      memcpy(&a, row + x, sizeof a);
      memcpy(&b, mirror + mirrored(x, width, shift) - (kWidth - 1), sizeof b);
#ifdef __clang__  // lacks GCC's shuffle
      Lanes reversed;
      for (int64_t lane = 0; lane < kWidth; ++lane) reversed[lane] = b[backwards[lane]];
#else
      const Lanes reversed = __builtin_shuffle(b, backwards);
#endif
      const Lanes mean = (a + reversed) * A(0.5);
      memcpy(scratch + x, &mean, sizeof mean);
    }
  } else {
    scalars = width;
  }
  for (int64_t x = 0; x < scalars; ++x) scratch[x] = (row[x] + mirror[mirrored(x, width, shift)]) * A(0.5);
}

// The same for any strides and dtype; without a mirror image the values alone.
template <class T>
HRNET_FAST_ISA void average_row_of_any(acc_t<T>* scratch, const T* row, int64_t stride, const T* mirror,
                                       int64_t mirror_stride, int64_t width, bool shift) {
  using A = acc_t<T>;
  for (int64_t x = 0; x < width; ++x) scratch[x] = load(row + x * stride);
  if (mirror == nullptr) return;
  for (int64_t x = 0; x < width; ++x)
    scratch[x] = (scratch[x] + load(mirror + mirrored(x, width, shift) * mirror_stride)) * A(0.5);
}

// One heatmap, averaged with its mirror image, in rows of `width`: where it lies if nothing is to be done, else
// `scratch`.
template <class T>
HRNET_FAST_ISA const acc_t<T>* averaged(const HeatmapDecode& p, int64_t n, int64_t k, acc_t<T>* scratch) {
  constexpr bool kAsSummed = std::is_same_v<T, acc_t<T>>;
  const T* map = static_cast<const T*>(p.maps.data) + n * p.maps.stride_n + k * p.maps.stride_k;
  const T* mirror = static_cast<const T*>(p.flipped.data);
  if (mirror != nullptr) mirror += n * p.flipped.stride_n + p.swap[k] * p.flipped.stride_k;
  if constexpr (kAsSummed)
    if (mirror == nullptr && p.maps.stride_w == 1 && p.maps.stride_h == p.width) return map;
  for (int64_t y = 0; y < p.height; ++y) {
    acc_t<T>* target = scratch + y * p.width;
    const T* row = map + y * p.maps.stride_h;
    const T* other = mirror == nullptr ? nullptr : mirror + y * p.flipped.stride_h;
    if constexpr (kAsSummed) {
      if (other != nullptr && p.maps.stride_w == 1 && p.flipped.stride_w == 1) {
        average_row(target, row, other, p.width, p.shift);
        continue;
      }
    }
    average_row_of_any(target, row, p.maps.stride_w, other, p.flipped.stride_w, p.width, p.shift);
  }
  return scratch;
}

template <class A>
HRNET_FAST_ISA A sign_of(A value) {
  return A((value > 0) - (value < 0));
}

template <class T>
HRNET_FAST_ISA void decode_map(const HeatmapDecode& p, int64_t n, int64_t k, acc_t<T>* scratch) {
  using A = acc_t<T>;
  const A* map = averaged<T>(p, n, k, scratch);
  const A best = largest(map, p.height * p.width);
  A* out = static_cast<A*>(p.out) + (n * p.channels + k) * 3;
  out[0] = out[1] = 0, out[2] = best;
  if (!(best > 0)) return;
  const int64_t place = place_of(best, map, p.height * p.width), x = place % p.width, y = place / p.width;
  out[0] = A(x), out[1] = A(y);
  if (!p.quarter || x <= 1 || x >= p.width - 1 || y <= 1 || y >= p.height - 1) return;
  const A* at = map + place;
  out[0] += A(0.25) * sign_of(at[1] - at[-1]);
  out[1] += A(0.25) * sign_of(at[p.width] - at[-p.width]);
}

template <class T>
HRNET_FAST_ISA void decode_maps(const HeatmapDecode& p, void* scratch, int64_t begin, int64_t end) {
  for (int64_t map = begin; map < end; ++map)
    decode_map<T>(p, map / p.channels, map % p.channels, static_cast<acc_t<T>*>(scratch));
}

HRNET_FAST_ISA void decode_maps_of_any(const HeatmapDecode& p, void* scratch, int64_t begin, int64_t end) {
  switch (p.dtype) {
    case Dtype::f32: return decode_maps<float>(p, scratch, begin, end);
    case Dtype::f64: return decode_maps<double>(p, scratch, begin, end);
    case Dtype::bf16: return decode_maps<bf16_t>(p, scratch, begin, end);
    case Dtype::f16: return decode_maps<f16_t>(p, scratch, begin, end);
  }
}

}  // namespace
}  // namespace hrnet_fast
