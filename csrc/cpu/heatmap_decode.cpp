// heatmap_decode on the CPU. The formula and the schema are in kernels/heatmap_decode.py.
#include <ATen/Parallel.h>
#include <ATen/core/Tensor.h>
#include <ATen/ops/empty.h>
#include <torch/library.h>

#include <algorithm>
#include <limits>
#include <optional>
#include <type_traits>
#include <vector>

#include "dtype.h"

namespace hrnet_fast {
namespace {

constexpr int64_t kGrain = 32768;  // values read by one task

template <class T>
struct Maps {
  const T* data;  // [N, K, h, w]; null if there are none
  int64_t stride_n, stride_k, stride_h, stride_w;

  const T* map(int64_t n, int64_t k) const { return data + n * stride_n + k * stride_k; }
};

template <class T>
struct HeatmapDecode {
  Maps<T> maps, flipped;
  const int64_t* swap;  // [K]
  acc_t<T>* out;        // [N, K, 3], contiguous
  int64_t channels, height, width;
  bool shift, quarter;
};

template <class A>
struct Row {
  A max;
  bool has_nan;
};

// Sixteen bytes at a time, in the vector type of GCC and Clang: a plain loop keeps the order of its comparisons.
template <class A>
Row<A> row_max(const A* row, int64_t width) {
  constexpr int kWidth = 16 / sizeof(A);
  typedef A Lanes __attribute__((vector_size(16)));
  Lanes max = Lanes{} - std::numeric_limits<A>::infinity();
  auto nan = max != max;
  int64_t x = 0;
  for (; x + kWidth <= width; x += kWidth) {
    Lanes v;
    memcpy(&v, row + x, sizeof v);
    nan |= v != v;
    max = v > max ? v : max;
  }
  Row<A> out = {max[0], false};
  for (int i = 0; i < kWidth; ++i) out = {std::max(out.max, max[i]), out.has_nan || nan[i]};
  for (; x < width; ++x) out = {std::max(out.max, row[x]), out.has_nan || row[x] != row[x]};
  return out;
}

// One heatmap, averaged with its mirror image, in rows of `width`: where it lies if nothing is to be done, else `room`.
template <class T>
const acc_t<T>* averaged(const HeatmapDecode<T>& p, int64_t n, int64_t k, acc_t<T>* room) {
  using A = acc_t<T>;
  const T* map = p.maps.map(n, k);
  const T* mirror = p.flipped.data == nullptr ? nullptr : p.flipped.map(n, p.swap[k]);
  if constexpr (std::is_same_v<T, A>)
    if (mirror == nullptr && p.maps.stride_w == 1 && p.maps.stride_h == p.width) return map;
  for (int64_t y = 0; y < p.height; ++y, map += p.maps.stride_h) {
    A* row = room + y * p.width;
    for (int64_t x = 0; x < p.width; ++x) row[x] = load(map + x * p.maps.stride_w);
    if (mirror == nullptr) continue;
    const T* last = mirror + (p.width - 1) * p.flipped.stride_w;
    row[0] = (row[0] + load(last)) * A(0.5);
    const T* source = p.shift ? last + p.flipped.stride_w : last;
    for (int64_t x = 1; x < p.width; ++x) row[x] = (row[x] + load(source - x * p.flipped.stride_w)) * A(0.5);
    mirror += p.flipped.stride_h;
  }
  return room;
}

template <class A>
A sign(A value) {
  return A((value > 0) - (value < 0));
}

template <class T>
void decode(const HeatmapDecode<T>& p, int64_t n, int64_t k, acc_t<T>* room) {
  using A = acc_t<T>;
  const A* map = averaged(p, n, k, room);
  A best = -std::numeric_limits<A>::infinity();
  int64_t x = 0, y = 0;
  bool has_nan = false;
  for (int64_t row = 0; row < p.height; ++row) {
    const Row<A> found = row_max(map + row * p.width, p.width);
    has_nan |= found.has_nan;
    if (found.max > best) best = found.max, y = row;
  }
  A* out = p.out + (n * p.channels + k) * 3;
  out[0] = out[1] = 0, out[2] = has_nan ? std::numeric_limits<A>::quiet_NaN() : best;
  if (has_nan || !(best > 0)) return;
  const A* at = map + y * p.width;
  x = std::find(at, at + p.width, best) - at;
  out[0] = A(x), out[1] = A(y);
  if (!p.quarter || x <= 1 || x >= p.width - 1 || y <= 1 || y >= p.height - 1) return;
  at += x;
  out[0] += A(0.25) * sign(at[1] - at[-1]);
  out[1] += A(0.25) * sign(at[p.width] - at[-p.width]);
}

template <class T>
Maps<T> describe(const at::Tensor& maps) {
  return {static_cast<const T*>(maps.const_data_ptr()), maps.stride(0), maps.stride(1), maps.stride(2), maps.stride(3)};
}

template <class T>
at::Tensor run(const at::Tensor& heatmaps, const std::optional<at::Tensor>& flipped, at::IntArrayRef swap, bool shift,
               bool quarter) {
  const at::ScalarType dtype = std::is_same_v<T, double> ? at::kDouble : at::kFloat;
  const at::Tensor out = at::empty({heatmaps.size(0), heatmaps.size(1), 3}, heatmaps.options().dtype(dtype));
  HeatmapDecode<T> p = {};
  p.maps = describe<T>(heatmaps);
  if (flipped) p.flipped = describe<T>(*flipped);
  p.swap = swap.data();
  p.out = static_cast<acc_t<T>*>(out.mutable_data_ptr());
  p.channels = heatmaps.size(1), p.height = heatmaps.size(2), p.width = heatmaps.size(3);
  p.shift = shift, p.quarter = quarter;
  const int64_t values = p.height * p.width, grain = std::max<int64_t>(1, kGrain / values);
  at::parallel_for(0, heatmaps.size(0) * p.channels, grain, [&](int64_t begin, int64_t end) {
    std::vector<acc_t<T>> room(values);
    for (int64_t map = begin; map < end; ++map) decode(p, map / p.channels, map % p.channels, room.data());
  });
  return out;
}

at::Tensor heatmap_decode_cpu(const at::Tensor& heatmaps, const std::optional<at::Tensor>& flipped,
                              at::IntArrayRef swap, bool shift, bool quarter) {
  TORCH_CHECK_VALUE(heatmaps.dim() == 4 && heatmaps.size(1) > 0 && heatmaps.size(2) > 0 && heatmaps.size(3) > 0,
                    "heatmap_decode: shape ", heatmaps.sizes(), " is not (N, K, h, w)");
  TORCH_CHECK_VALUE(!flipped || flipped->sizes() == heatmaps.sizes(), "heatmap_decode: the shapes differ");
  TORCH_CHECK_VALUE(int64_t(swap.size()) == heatmaps.size(1), "heatmap_decode: swap must name each channel");
  for (int64_t k : swap)
    TORCH_CHECK_VALUE(k >= 0 && k < heatmaps.size(1), "heatmap_decode: swap names channel ", k, ", which is not there");
  TORCH_CHECK_TYPE(!flipped || flipped->scalar_type() == heatmaps.scalar_type(), "heatmap_decode: the dtypes differ");
  TORCH_CHECK_VALUE(!flipped || flipped->device() == heatmaps.device(), "heatmap_decode: the devices differ");
  switch (heatmaps.scalar_type()) {
    case at::kFloat: return run<float>(heatmaps, flipped, swap, shift, quarter);
    case at::kDouble: return run<double>(heatmaps, flipped, swap, shift, quarter);
    case at::kBFloat16: return run<bf16_t>(heatmaps, flipped, swap, shift, quarter);
    case at::kHalf: return run<f16_t>(heatmaps, flipped, swap, shift, quarter);
    default: break;
  }
  TORCH_CHECK_TYPE(false, "heatmap_decode: dtype ", heatmaps.scalar_type(), " is not a floating one");
}

}  // namespace

TORCH_LIBRARY_IMPL(hrnet_fast, CPU, m) { m.impl("heatmap_decode", heatmap_decode_cpu); }

}  // namespace hrnet_fast
