// The products of transformed patches and weights, position by position.
#pragma once

#include "cpu/items/fours.h"
#include "cpu/items/winograd_transforms.h"

namespace hrnet_fast {
namespace {

// From one position's patches or products to the next one's, in values of type T: an odd number of cache lines, so that
// the positions of a tile do not fall into few sets of the cache.
template <class T>
int64_t step_of(int64_t tiles, int64_t values) {
  constexpr int64_t kLine = 64 / sizeof(T);
  return (tiles * values + kLine - 1) / (2 * kLine) * (2 * kLine) + kLine;
}

// How many of so many products are summed at once: more than 32 in float32 in equal parts of 16 to 31, since what sums
// err comes back enlarged; in bfloat16, the rounding of patches and weights outweighs it.
HRNET_FAST_ISA int64_t part_of(int64_t words) {
  if (kPerWord == 2) return kLong;
  const int64_t parts = words > 32 ? words / 16 : 1;
  return (words + parts - 1) / parts;
}

// The products of up to P tiles at one position: products[tile][W vectors] from patches[tile][padded channels], added
// to what is there if `more`. The fours of several tiles are the last vector of the first of them.
template <int P, int W, bool kFours>
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
  if constexpr (kFours || W == 1) {
    multiply_several<P, W, kFours>(sums, x, words, weights);
  } else {
    multiply<P, W>(sums, x, words, weights);
  }
  if constexpr (kFours) {
#pragma GCC unroll 16
    for (int p = 0; p < P; p += kBeside) sums[p][W - 1] = sum_fours<W>(&sums[p]);
  }
#pragma GCC unroll 16
  for (int p = 0; p < P; ++p) {
    if (p >= count) break;
#pragma GCC unroll 4
    for (int v = 0; v < W; ++v) {
      if (kFours && v == W - 1 && p % kBeside != 0) break;
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
template <int M, int W, bool kFours>
HRNET_FAST_ISA void multiply_block(const Element* patches, int64_t count, int64_t channels, const Word* block,
                                   Word* row, float* products) {
  constexpr int N = M + 2, kWide = tile_pixels(W);
  const int64_t padded = (channels + kLanes - 1) / kLanes * kLanes, words = (channels + kPerWord - 1) / kPerWord;
  const int64_t step = step_of<Element>(count, padded), result_step = step_of<float>(count, W * kLanes);
  const int even = int(complete<kFours>(even_width<kWide>(count)));
  const int64_t part = complete<kFours>(part_of(words));
  for (int position = 0; position < N * N; ++position) {
    if (row != nullptr && position % N == 0)
      transform_weights<M, W>(reinterpret_cast<const Element*>(block), words, position / N, row);
    const Word* weights = row == nullptr ? block + position * weights_of<W, kFours>(words)
                                         : row + position % N * step_of<Word>(words, W * kLanes);
    const Element* x = patches + position * step;
    float* y = products + position * result_step;
    for (int64_t left = count; left > 0; left -= even) {
      const int now = int(std::min<int64_t>(even, left));
      const auto play = [&](auto width) {
        for (int64_t first = 0; first < words; first += part)
          multiply_tiles<width, W, kFours>(x + kPerWord * first, padded, now, std::min(part, words - first),
                                           weights + weights_of<W, kFours>(first), first > 0, y);
      };
      with_tile_width<kWide, kFours>(now, play);
      x += now * padded, y += now * W * kLanes;
    }
  }
}

}  // namespace
}  // namespace hrnet_fast
