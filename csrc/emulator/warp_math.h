// What a tensor core does for a warp, from and to the registers of its lanes.
#pragma once

#include <vector>

#include "dtype.h"
#include "emulator/machine.h"

namespace hrnet_fast::emulator {

template <class T>
float operand_value(uint32_t word, int index);

// A table: every float16 once.
template <>
inline float operand_value<f16_t>(uint32_t word, int index) {
  static const std::vector<float> values = [] {
    std::vector<float> made(1 << 16);
    for (uint32_t bits = 0; bits < made.size(); ++bits) {
      const f16_t value = {uint16_t(bits)};
      made[bits] = load(&value);
    }
    return made;
  }();
  return values[uint16_t(word >> 16 * index)];
}
template <>
inline float operand_value<bf16_t>(uint32_t word, int index) {
  return float_of_bits(index ? word & 0xffff0000 : word << 16);
}
// The tensor core takes a float32 as TF32: its low 13 bits are cut off.
template <>
inline float operand_value<float>(uint32_t word, int) {
  return float_of_bits(word & ~0x1fffu);
}

struct MultiplyOperands {
  float* sum;         // (g, 2 t), (g, 2 t + 1), (g + 8, 2 t), (g + 8, 2 t + 1) of lane 4 g + t
  const uint32_t* a;  // rows g and g + 8 of the first half of K, then of the second; word t of the half
  uint32_t b[2];      // column g, word t of each half of K
};

template <class T>
void multiply_warp(void* const (&operands)[32]) {
  constexpr int kValues = 4 / int(sizeof(T)), kHalf = 4 * kValues, kDepth = 2 * kHalf;
  float a[16][kDepth], b[kDepth][8], c[16][8];
  for (int lane = 0; lane < 32; ++lane) {
    const MultiplyOperands& own = *static_cast<const MultiplyOperands*>(operands[lane]);
    const int g = lane / 4, t = lane % 4;
    for (int i = 0; i < kValues; ++i) {
      for (int w = 0; w < 4; ++w) a[g + w % 2 * 8][w / 2 * kHalf + t * kValues + i] = operand_value<T>(own.a[w], i);
      for (int w = 0; w < 2; ++w) b[w * kHalf + t * kValues + i][g] = operand_value<T>(own.b[w], i);
    }
    for (int s = 0; s < 4; ++s) c[g + s / 2 * 8][2 * t + s % 2] = own.sum[s];
  }
  for (int row = 0; row < 16; ++row) {
    for (int k = 0; k < kDepth; ++k) {
      for (int column = 0; column < 8; ++column) c[row][column] += a[row][k] * b[k][column];
    }
  }
  for (int lane = 0; lane < 32; ++lane) {
    const MultiplyOperands& own = *static_cast<const MultiplyOperands*>(operands[lane]);
    for (int s = 0; s < 4; ++s) own.sum[s] = c[lane / 4 + s / 2 * 8][2 * (lane % 4) + s % 2];
  }
}

// A warp's share of a warpgroup's product: its 16 rows times the matrix, by the rules of multiply_warp. The matrix is
// read once, as if by the warp's first lane.
template <class T>
void multiply_matrix(Thread* first, size_t index) {
  constexpr int kHalf = 16 / int(sizeof(T)), kWords = 4;
  const Product& shape = first->products[index];
  for (int j = 0; j < shape.blocks; ++j) {
    uint32_t words[2][8][kWords];  // halves of K, columns
    for (int half = 0; half < 2; ++half) {
      for (int column = 0; column < 8; ++column) {
        const uint32_t block = shape.b + uint32_t(j) * shape.across + uint32_t(half) * shape.along;
        first->cta->shared.read_shown(block + uint32_t(column) * 16, words[half][column], 16, first->index);
      }
    }
    MultiplyOperands own[32];
    void* operands[32];
    for (int lane = 0; lane < 32; ++lane) {
      const Product& product = first[lane].products[index];
      const int g = lane / 4, t = lane % 4;
      own[lane] = {product.sum + j * 4, product.a, {words[0][g][t], words[1][g][t]}};
      operands[lane] = &own[lane];
    }
    multiply_warp<T>(operands);
  }
  static_assert(kHalf * int(sizeof(T)) == kWords * 4);
}

}  // namespace hrnet_fast::emulator
