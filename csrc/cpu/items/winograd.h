// Convolution 3x3 of stride 1 by Winograd's minimal filtering, F(m x m, 3x3) (Lavin & Gray 2016, section 4): tiles of
// m x m results come from (m + 2)^2 products of transformed patches and transformed weights.
//
// Toom-Cook points are infinity and 0, +-1 for m = 2; +-1/2, +-5/4 for m = 3; 0, +-5/8, +-3/2 for m = 4, whose rounding
// errors are the smallest of the sets tried: of one layer by m = 4, less than half of those of the paper's 0, +-1, +-2.
//
// A unit is a group of tiles by a block of output channels. For a group, all patches are transformed once, into
// [position][tile][channel]; then every block multiplies, position by position, and is transformed back.
//
// Weights come transformed, or as they are (`Item::plain_weights`): then a unit transforms its block's as it goes.
// Either way takes about the same time, but transformed ones are 1.8 to 4 times as many.
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
  HRNET_FAST_ISA void patch(const V (&d)[4], V (&t)[4]) {
    t[0] = difference(d[2], d[0]);
    t[1] = sum(d[2], d[1]);
    t[2] = difference(d[2], d[1]);
    t[3] = difference(d[3], d[1]);
  }
  HRNET_FAST_ISA void result(const V (&p)[4], V (&y)[2]) {
    y[0] = sum(sum(p[0], p[1]), p[2]);
    y[1] = sum(difference(p[1], p[2]), p[3]);
  }
};

template <>
struct Transform<3> {
  static constexpr float kA = 0.5f, kB = 1.25f, kA2 = kA * kA, kB2 = kB * kB;
  static constexpr auto kWeights = weight_matrix<5>({kA, -kA, kB, -kB});
  HRNET_FAST_ISA void patch(const V (&d)[5], V (&t)[5]) {
    const V even_a = plus(d[2], d[0], -kB2), odd_a = plus(d[3], d[1], -kB2);
    const V even_b = plus(d[2], d[0], -kA2), odd_b = plus(d[3], d[1], -kA2);
    t[0] = plus(odd_a, even_a, kA);
    t[1] = plus(odd_a, even_a, -kA);
    t[2] = plus(odd_b, even_b, kB);
    t[3] = plus(odd_b, even_b, -kB);
    t[4] = plus(plus(d[4], d[2], -(kA2 + kB2)), d[0], kA2 * kB2);
  }
  HRNET_FAST_ISA void result(const V (&p)[5], V (&y)[3]) {
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
  HRNET_FAST_ISA void patch(const V (&d)[6], V (&t)[6]) {
    const V even_a = plus(d[4], d[2], -kB2), odd_a = plus(d[3], d[1], -kB2);
    const V even_b = plus(d[4], d[2], -kA2), odd_b = plus(d[3], d[1], -kA2);
    t[0] = plus(plus(d[4], d[2], -(kA2 + kB2)), d[0], kA2 * kB2);
    t[1] = plus(even_a, odd_a, kA);
    t[2] = plus(even_a, odd_a, -kA);
    t[3] = plus(even_b, odd_b, kB);
    t[4] = plus(even_b, odd_b, -kB);
    t[5] = plus(plus(d[5], d[3], -(kA2 + kB2)), d[1], kA2 * kB2);
  }
  HRNET_FAST_ISA void result(const V (&p)[6], V (&y)[4]) {
    const V even_a = sum(p[1], p[2]), odd_a = difference(p[1], p[2]);
    const V even_b = sum(p[3], p[4]), odd_b = difference(p[3], p[4]);
    y[0] = sum(sum(even_a, even_b), p[0]);
    y[1] = plus({odd_a.v * kA}, odd_b, kB);
    y[2] = plus({even_a.v * kA2}, even_b, kB2);
    y[3] = plus(plus(p[5], odd_a, kA * kA2), odd_b, kB * kB2);
  }
};

// The tiles of a map: `down` x `across` an image.
struct Tiling {
  int64_t m, down, across, images;
  Tiling(const Map& map, int64_t m)
      : m(m), down((map.height + m - 1) / m), across((map.width + m - 1) / m), images(map.batch) {}
  int64_t count() const { return images * down * across; }
  Pixel corner(int64_t tile) const {  // its first pixel; `out` is left to who needs it
    const int64_t n = tile / (down * across), rest = tile % (down * across);
    return {n, rest / across * m, rest % across * m, 0};
  }
};

// From one position's patches or products to the next one's, in values of type T: an odd number of cache lines, so that
// the positions of a tile do not fall into few sets of the cache.
template <class T>
int64_t step_of(int64_t tiles, int64_t values) {
  constexpr int64_t kLine = 64 / sizeof(T);
  return (tiles * values + kLine - 1) / (2 * kLine) * (2 * kLine) + kLine;
}

// B^T d B of one vector of channels, from patch[y][x] into target[position]. kWhole: the patch has all its rows and
// columns, and the vector all its lanes.
template <int M, bool kWhole>
HRNET_FAST_ISA void transform_patch(const Element* patch, int64_t row, int64_t pixel, int rows, int columns,
                                    int64_t lanes, Element* target, int64_t step) {
  constexpr int N = M + 2;
  V half[N][N];  // [column][row]
#pragma GCC unroll 1
  for (int x = 0; x < N; ++x) {
    V d[N];
#pragma GCC unroll 6
    for (int y = 0; y < N; ++y) {  // beyond the border there is nothing, which counts as 0
      const bool inside = kWhole || (y < rows && x < columns);
      d[y] = inside ? load<kWhole>(patch + y * row + x * pixel, lanes) : V::fill(0.0f);
    }
    Transform<M>::patch(d, half[x]);
  }
#pragma GCC unroll 1
  for (int y = 0; y < N; ++y) {
    V d[N], r[N];
#pragma GCC unroll 6
    for (int x = 0; x < N; ++x) d[x] = half[x][y];
    Transform<M>::patch(d, r);
#pragma GCC unroll 6
    for (int x = 0; x < N; ++x) {
      __builtin_prefetch(target + (y * N + x) * step + kLanes, 1);
      r[x].store(target + (y * N + x) * step);
    }
  }
}

// Patches of tiles [first, first + count), into patches[position][tile][padded channels].
template <int M>
HRNET_FAST_ISA void transform_patches(const Work& work, const Tiling& tiling, int64_t first, int64_t count,
                                      Element* patches) {
  constexpr int64_t N = M + 2;
  const Map& from = work.from;
  const int64_t padded = (from.channels + kLanes - 1) / kLanes * kLanes, row = from.row(), pixel = from.channels;
  const int64_t step = step_of<Element>(count, padded);
  for (int64_t t = 0; t < count; ++t) {
    const Pixel p = tiling.corner(first + t);
    const Element* patch = work.data(from) + p.n * from.image() + p.y * row + p.x * pixel;
    const int rows = int(std::min(N, from.height + 2 - p.y)), columns = int(std::min(N, from.width + 2 - p.x));
    for (int64_t c = 0; c < pixel; c += kLanes) {
      Element* target = patches + t * padded + c;
      if (rows == N && columns == N && c + kLanes <= pixel) {
        transform_patch<M, true>(patch + c, row, pixel, N, N, kLanes, target, step);
      } else {
        transform_patch<M, false>(patch + c, row, pixel, rows, columns, pixel - c, target, step);
      }
    }
  }
}

// How many of so many products are summed at once: more than 32 in float32 in equal parts of 16 to 31, since what sums
// err comes back enlarged; in bfloat16, the rounding of patches and weights outweighs it.
HRNET_FAST_ISA int64_t part_of(int64_t words) {
  if (kPerWord == 2) return kLong;
  const int64_t parts = words > 32 ? words / 16 : 1;
  return (words + parts - 1) / parts;
}

// The products of up to P tiles at one position: products[tile][W vectors] from patches[tile][padded channels], added
// to what is there if `more`.
template <int P, int W>
HRNET_FAST_ISA void multiply_tiles(const Element* patches, int64_t padded, int count, int64_t words,
                                   const Word* weights, bool more, float* products) {
  const Word* x[P];
#pragma GCC unroll 16
  for (int p = 0; p < P; ++p) {  // past the end the last tile is computed again, and not stored
    x[p] = words_of(patches);
    if (p + 1 < count) patches += padded;
  }
  V sums[P][W];  // every loop over them is unrolled, or the compiler would keep them in memory
#pragma GCC unroll 16
  for (int p = 0; p < P; ++p)
#pragma GCC unroll 4
    for (int v = 0; v < W; ++v) sums[p][v] = V::fill(0.0f);
  multiply<P, W>(sums, x, words, weights);
#pragma GCC unroll 16
  for (int p = 0; p < P; ++p) {
    if (p >= count) break;
#pragma GCC unroll 4
    for (int v = 0; v < W; ++v) {
      float* const to = products + (p * W + v) * kLanes;
      if (more) sums[p][v].v += V::load(to).v;
      sums[p][v].store(to);
    }
  }
}

// Row y of G w G^T of a block's weights [input][tap][W vectors], into [column][word of inputs][W vectors].
template <int M, int W>
HRNET_FAST_ISA void transform_weights(const Element* weights, int64_t words, int y, Word* to) {
  constexpr auto kG = Transform<M>::kWeights;
  const V first = V::fill(kG[y][0]), second = V::fill(kG[y][1]), third = V::fill(kG[y][2]);
  const int64_t step = step_of<Word>(words, W * kLanes);
  for (int64_t w = 0; w < words; ++w, weights += kPerWord * 9 * W * kLanes, to += W * kLanes) {
#pragma GCC unroll 3
    for (int v = 0; v < W; ++v) {
      V row[kPerWord][3];
#pragma GCC unroll 2
      for (int i = 0; i < kPerWord; ++i)
#pragma GCC unroll 3
        for (int j = 0; j < 3; ++j) {
          const auto tap = [&](int k) __attribute__((always_inline)) {
            return V::load(weights + ((9 * i + 3 * k + j) * W + v) * kLanes);
          };
          row[i][j] = V{first.v * tap(0).v}.plus(second, tap(1)).plus(third, tap(2));
        }
#pragma GCC unroll 6
      for (int x = 0; x < M + 2; ++x) {
        V values[kPerWord];
#pragma GCC unroll 2
        for (int i = 0; i < kPerWord; ++i)
          values[i] = plus(plus({row[i][0].v * kG[x][0]}, row[i][1], kG[x][1]), row[i][2], kG[x][2]);
        store_words(values, to + x * step + v * kLanes);
      }
    }
  }
}

// The products of one block at every position: products[position][tile][W vectors]. row: null where the weights are
// transformed, else room for those of a row of positions.
template <int M, int W>
HRNET_FAST_ISA void multiply_block(const Element* patches, int64_t count, int64_t channels, const Word* block,
                                   Word* row, float* products) {
  constexpr int N = M + 2, kWide = tile_pixels(W);
  const int64_t padded = (channels + kLanes - 1) / kLanes * kLanes, words = (channels + kPerWord - 1) / kPerWord;
  const int64_t step = step_of<Element>(count, padded), result_step = step_of<float>(count, W * kLanes);
  const int even = even_width<kWide>(count);
  const int64_t part = part_of(words);
  for (int position = 0; position < N * N; ++position) {
    if (row != nullptr && position % N == 0)
      transform_weights<M, W>(reinterpret_cast<const Element*>(block), words, position / N, row);
    const Word* weights =
        row == nullptr ? block + position * words * W * kLanes : row + position % N * step_of<Word>(words, W * kLanes);
    const Element* x = patches + position * step;
    float* y = products + position * result_step;
    for (int64_t left = count; left > 0; left -= even) {
      const int now = int(std::min<int64_t>(even, left));
      with_width<kWide>(now, [&](auto width) {
        for (int64_t first = 0; first < words; first += part)
          multiply_tiles<width, W>(x + kPerWord * first, padded, now, std::min(part, words - first),
                                   weights + first * W * kLanes, first > 0, y);
      });
      x += now * padded, y += now * W * kLanes;
    }
  }
}

// A^T p A of one vector of the products of a tile, row by row to take(y, results of row y); `rows` of them.
template <int M, class Take>
__attribute__((always_inline)) HRNET_FAST_ISA void transform_result(const float* products, int64_t step, int64_t rows,
                                                                    const Take& take) {
  constexpr int N = M + 2;
  V half[N][M];  // [column][row]
  for (int x = 0; x < N; ++x) {
    V column[N];
#pragma GCC unroll 6
    for (int y = 0; y < N; ++y) column[y] = V::load(products + (y * N + x) * step);
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

// The results of vector `v` of a tile's products where the epilogue is plain and the tile has all its pixels, from
// `pixel` on.
template <int M, bool kSummand, bool kFull>
HRNET_FAST_ISA void finish_whole_tile(const Epilogue& epilogue, int v, const float* products, int64_t step,
                                      int64_t pixel) {
  const int64_t channels = epilogue.work.item.channels, row = (epilogue.work.to.width + 2) * channels;
  const int64_t first = pixel * channels + v * kLanes, lanes = epilogue.left - v * kLanes;
  const V bias = V::load(epilogue.bias + v * kLanes);
  Element* const out = epilogue.out + first;
  const Element* const same = kSummand ? epilogue.same[0] + first : out;
  const auto take = [&](int64_t y, const V(&results)[M]) __attribute__((always_inline)) {
#pragma GCC unroll 4
    for (int x = 0; x < M; ++x) {
      const int64_t at = y * row + x * channels;
      finish_plain<kSummand, kFull>(results[x], bias, epilogue.after, same + at, out + at, lanes);
    }
  };
  transform_result<M>(products, step, M, take);
}

// The results of vector `v` of any tile, rows x columns from `pixel` on.
template <int M, bool kFull>
HRNET_FAST_ISA void finish_any_tile(const Epilogue& epilogue, int v, const float* products, int64_t step,
                                    const Pixel& pixel, int64_t rows, int64_t columns) {
  const Epilogue own(epilogue.work, epilogue.c + v * kLanes);
  const auto take = [&](int64_t y, const V(&results)[M]) __attribute__((always_inline)) {
    Pixel p = {pixel.n, pixel.y + y, pixel.x, pixel.out + y * (epilogue.work.to.width + 2)};
    for (int64_t x = 0; x < columns; ++x, ++p.x, ++p.out) finish<1, kFull>(own, &results[x], p);
  };
  transform_result<M>(products, step, rows, take);
}

// The results of tiles [first, first + count) from their products, of channels c and on.
template <int M, int W>
HRNET_FAST_ISA void transform_results(const Work& work, const Tiling& tiling, int64_t first, int64_t count,
                                      const float* products, int64_t c) {
  const int64_t step = step_of<float>(count, W * kLanes);
  const Epilogue epilogue(work, c);
  for (int64_t t = 0; t < count; ++t) {
    Pixel p = tiling.corner(first + t);
    p.out = work.place(p.n, p.y, p.x);
    const int64_t rows = std::min<int64_t>(M, work.to.height - p.y),
                  columns = std::min<int64_t>(M, work.to.width - p.x);
    for (int64_t y = 0; y < rows; ++y)
      for (int64_t x = 0; x < columns; ++x) fetch_ahead<W>(epilogue, p.out + y * (work.to.width + 2) + x);
    const bool whole = epilogue.plain && rows == M && columns == M;
    for (int v = 0; v < W; ++v, products += kLanes) {
      const bool full = epilogue.left >= (v + 1) * kLanes;
      if (whole && epilogue.count) {
        full ? finish_whole_tile<M, true, true>(epilogue, v, products, step, p.out)
             : finish_whole_tile<M, true, false>(epilogue, v, products, step, p.out);
      } else if (whole) {
        full ? finish_whole_tile<M, false, true>(epilogue, v, products, step, p.out)
             : finish_whole_tile<M, false, false>(epilogue, v, products, step, p.out);
      } else {
        full ? finish_any_tile<M, true>(epilogue, v, products, step, p, rows, columns)
             : finish_any_tile<M, false>(epilogue, v, products, step, p, rows, columns);
      }
    }
  }
}

template <int M>
HRNET_FAST_ISA void convolve_winograd(const Work& work, int64_t begin, int64_t end) {
  constexpr int64_t kPositions = (M + 2) * (M + 2);
  const Item& item = work.item;
  const Tiling tiling(work.to, M);
  const int64_t tiles = tiling.count(), channels = work.from.channels, vectors = (item.channels + kLanes - 1) / kLanes;
  const int64_t padded = (channels + kLanes - 1) / kLanes * kLanes, blocks = block_count(vectors);
  const int64_t words = (channels + kPerWord - 1) / kPerWord;
  const int64_t per_output = item.plain_weights ? 9 * words : kPositions * words;  // words of weights
  static thread_local Scratch scratch[3];
  Word* row = item.plain_weights ? scratch[2].of<Word>((M + 2) * step_of<Word>(words, 3 * kLanes)) : nullptr;
  for (int64_t unit = begin; unit < end;) {
    const int64_t first = unit / blocks * item.group, count = std::min(item.group, tiles - first);
    auto* patches = scratch[0].of<Element>(kPositions * step_of<Element>(count, padded));
    auto* products = scratch[1].of<float>(kPositions * step_of<float>(count, 3 * kLanes));
    transform_patches<M>(work, tiling, first, count, patches);
    const int64_t stop = std::min(end, (unit / blocks + 1) * blocks);
    for (; unit < stop; ++unit) {
      const int64_t b = unit % blocks, c = 2 * kLanes * b;
      const Word* weights = work.weights() + per_output * c;
      switch (block_vectors(vectors, 2 * b)) {
        case 1:
          multiply_block<M, 1>(patches, count, channels, weights, row, products);
          transform_results<M, 1>(work, tiling, first, count, products, c);
          break;
        case 2:
          multiply_block<M, 2>(patches, count, channels, weights, row, products);
          transform_results<M, 2>(work, tiling, first, count, products, c);
          break;
        default:
          multiply_block<M, 3>(patches, count, channels, weights, row, products);
          transform_results<M, 3>(work, tiling, first, count, products, c);
      }
    }
  }
}

}  // namespace
}  // namespace hrnet_fast
