// Winograd's transforms along one axis and of whole tiles, in vectors of channels.
//
// Toom-Cook points are infinity and 0, +-1 for m = 2; +-1/2, +-5/4 for m = 3; 0, +-5/8, +-3/2 for m = 4, whose rounding
// errors are the smallest of the sets tried: of one layer by m = 4, less than half of those of the paper's 0, +-1, +-2.
#pragma once

#include <array>

#include "cpu/items/work.h"

namespace hrnet_fast {
namespace {

// v + x * k
HRNET_FAST_ISA V plus(V v, V x, float k) { return v.plus(x, V::fill(k)); }
HRNET_FAST_ISA V sum(V a, V b) { return {a.v + b.v}; }
HRNET_FAST_ISA V difference(V a, V b) { return {a.v - b.v}; }

// The transforms along one axis: B^T of a patch, A^T of the products, G of the weights, as `transform_matrices` in
// hrnet_fast/engine/cpu/winograd.py has them.
template <int M>
struct Transform;

// G [N][3]; points: but infinity, which is the last row.
template <int N>
constexpr std::array<std::array<float, 3>, N> weight_matrix(const double (&points)[N - 1]) {
  std::array<std::array<float, 3>, N> g{};
  for (int p = 0; p < N - 1; ++p) {
    double value = 1.0;
    for (int q = 0; q < N - 1; ++q) value /= p == q ? 1.0 : points[p] - points[q];
    for (int i = 0; i < 3; ++i, value *= points[p]) g[p][i] = float(value);
  }
  g[N - 1][2] = 1.0f;
  return g;
}

template <>
struct Transform<2> {
  static constexpr auto kWeights = weight_matrix<4>({0.0, 1.0, -1.0});
  __attribute__((always_inline)) HRNET_FAST_ISA void patch(const V (&d)[4], V (&t)[4]) {
    t[0] = difference(d[2], d[0]);
    t[1] = sum(d[2], d[1]);
    t[2] = difference(d[2], d[1]);
    t[3] = difference(d[3], d[1]);
  }
  __attribute__((always_inline)) HRNET_FAST_ISA void result(const V (&p)[4], V (&y)[2]) {
    y[0] = sum(sum(p[0], p[1]), p[2]);
    y[1] = sum(difference(p[1], p[2]), p[3]);
  }
};

template <>
struct Transform<3> {
  static constexpr float kA = 0.5f, kB = 1.25f, kA2 = kA * kA, kB2 = kB * kB;
  static constexpr auto kWeights = weight_matrix<5>({kA, -kA, kB, -kB});
  __attribute__((always_inline)) HRNET_FAST_ISA void patch(const V (&d)[5], V (&t)[5]) {
    const V even_a = plus(d[2], d[0], -kB2), odd_a = plus(d[3], d[1], -kB2);
    const V even_b = plus(d[2], d[0], -kA2), odd_b = plus(d[3], d[1], -kA2);
    t[0] = plus(odd_a, even_a, kA);
    t[1] = plus(odd_a, even_a, -kA);
    t[2] = plus(odd_b, even_b, kB);
    t[3] = plus(odd_b, even_b, -kB);
    t[4] = plus(plus(d[4], d[2], -(kA2 + kB2)), d[0], kA2 * kB2);
  }
  __attribute__((always_inline)) HRNET_FAST_ISA void result(const V (&p)[5], V (&y)[3]) {
    const V even_a = sum(p[0], p[1]), odd_a = difference(p[0], p[1]);
    const V even_b = sum(p[2], p[3]), odd_b = difference(p[2], p[3]);
    y[0] = sum(even_a, even_b);
    y[1] = plus({odd_a.v * kA}, odd_b, kB);
    y[2] = plus(plus(p[4], even_a, kA2), even_b, kB2);
  }
};

template <>
struct Transform<4> {
  static constexpr float kA = 0.625f, kB = 1.5f, kA2 = kA * kA, kB2 = kB * kB;
  static constexpr auto kWeights = weight_matrix<6>({0.0, kA, -kA, kB, -kB});
  __attribute__((always_inline)) HRNET_FAST_ISA void patch(const V (&d)[6], V (&t)[6]) {
    const V even_a = plus(d[4], d[2], -kB2), odd_a = plus(d[3], d[1], -kB2);
    const V even_b = plus(d[4], d[2], -kA2), odd_b = plus(d[3], d[1], -kA2);
    t[0] = plus(plus(d[4], d[2], -(kA2 + kB2)), d[0], kA2 * kB2);
    t[1] = plus(even_a, odd_a, kA);
    t[2] = plus(even_a, odd_a, -kA);
    t[3] = plus(even_b, odd_b, kB);
    t[4] = plus(even_b, odd_b, -kB);
    t[5] = plus(plus(d[5], d[3], -(kA2 + kB2)), d[1], kA2 * kB2);
  }
  __attribute__((always_inline)) HRNET_FAST_ISA void result(const V (&p)[6], V (&y)[4]) {
    const V even_a = sum(p[1], p[2]), odd_a = difference(p[1], p[2]);
    const V even_b = sum(p[3], p[4]), odd_b = difference(p[3], p[4]);
    y[0] = sum(sum(even_a, even_b), p[0]);
    y[1] = plus({odd_a.v * kA}, odd_b, kB);
    y[2] = plus({even_a.v * kA2}, even_b, kB2);
    y[3] = plus(plus(p[5], odd_a, kA * kA2), odd_b, kB * kB2);
  }
};

// B^T d B of a vector of each pixel: read(y, x) of the patch, write(position, vector).
template <int M, class Read, class Write>
__attribute__((always_inline)) HRNET_FAST_ISA void transform_patch(const Read& read, const Write& write) {
  constexpr int N = M + 2;
  V half[N][N];  // [column][row]
#pragma GCC unroll 1
  for (int x = 0; x < N; ++x) {
    V d[N];
#pragma GCC unroll 6
    for (int y = 0; y < N; ++y) d[y] = read(y, x);
    Transform<M>::patch(d, half[x]);
  }
#pragma GCC unroll 1
  for (int y = 0; y < N; ++y) {
    V d[N], r[N];
#pragma GCC unroll 6
    for (int x = 0; x < N; ++x) d[x] = half[x][y];
    Transform<M>::patch(d, r);
#pragma GCC unroll 6
    for (int x = 0; x < N; ++x) write(y * N + x, r[x]);
  }
}

// A^T p A of a vector of each position: read(position) of the products, take(y, results of row y) of `rows` of them.
template <int M, class Read, class Take>
__attribute__((always_inline)) HRNET_FAST_ISA void transform_result(const Read& read, int64_t rows, const Take& take) {
  constexpr int N = M + 2;
  V half[N][M];  // [column][row]
  for (int x = 0; x < N; ++x) {
    V column[N];
#pragma GCC unroll 6
    for (int y = 0; y < N; ++y) column[y] = read(y * N + x);
    Transform<M>::result(column, half[x]);
  }
#pragma GCC unroll 1
  for (int64_t y = 0; y < rows; ++y) {
    V row[N], results[M];
#pragma GCC unroll 6
    for (int x = 0; x < N; ++x) row[x] = half[x][y];
    Transform<M>::result(row, results);
    take(y, results);
  }
}

}  // namespace
}  // namespace hrnet_fast
