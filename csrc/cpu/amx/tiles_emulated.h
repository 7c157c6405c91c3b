// The names of tiles.h in plain C++, for tests on CPUs without AMX: what Intel's manual says of each instruction
// (Software Developer's Manual, volume 2, TILELOADD, TDPBF16PS and so on), whole tiles or not. What would fault there
// ends the process here, with a sentence. Include after cpu/isa/vec_avx512.h.
#pragma once

#include <cfloat>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "cpu/amx/tile_config.h"

namespace hrnet_fast {
namespace {

struct TileFile {
  bool configured = false;
  TileConfig config;
  alignas(64) uint8_t tiles[8][16][64];
};
static thread_local TileFile tile_file;

void tile_fault_unless(bool good, const char* what) {
  if (good) return;
  std::fprintf(stderr, "hrnet_fast: emulated AMX: %s\n", what);
  std::abort();
}

uint8_t (&tile(int t))[16][64] {
  tile_fault_unless(tile_file.configured, "a tile was used before ldtilecfg or after tilerelease");
  return tile_file.tiles[t];
}

int tile_rows(int t) { return tile_file.config.rows[t]; }
int tile_row_bytes(int t) { return tile_file.config.row_bytes[t]; }

void load_tile_config(const TileConfig& config) {
  bool good = config.palette == 1 && config.start_row == 0;
  for (const uint8_t byte : config.reserved) good = good && byte == 0;
  for (int t = 0; t < 16; ++t) {
    good = good && config.rows[t] <= 16 && config.row_bytes[t] <= 64;
    good = good && (config.rows[t] == 0) == (config.row_bytes[t] == 0);
    good = good && (t < 8 || config.rows[t] == 0);
  }
  tile_fault_unless(good, "ldtilecfg was given a configuration that palette 1 does not allow");
  tile_file.configured = true;
  tile_file.config = config;
  std::memset(tile_file.tiles, 0, sizeof tile_file.tiles);
}

void enter_tiles() { load_tile_config(TileConfig()); }
void leave_tiles() { tile_file.configured = false; }

template <int T>
void tile_zero() {
  std::memset(tile(T), 0, sizeof tile(T));
}

template <int T>
void tile_load(const void* from, int64_t stride) {
  tile_zero<T>();
  for (int r = 0; r < tile_rows(T); ++r)
    std::memcpy(tile(T)[r], static_cast<const uint8_t*>(from) + r * stride, tile_row_bytes(T));
}

template <int T>
void tile_store(void* to, int64_t stride) {
  for (int r = 0; r < tile_rows(T); ++r)
    std::memcpy(static_cast<uint8_t*>(to) + r * stride, tile(T)[r], tile_row_bytes(T));
}

// Denormals count as zero, read or written.
HRNET_FAST_ISA float flushed(float v) { return std::fabs(v) < FLT_MIN ? std::copysign(0.0f, v) : v; }

HRNET_FAST_ISA float half_of_pair(const uint8_t* row, int index) {
  bf16_t half;
  std::memcpy(&half, row + 2 * index, sizeof half);
  return flushed(load(&half));
}

// The even products of all pairs and the odd ones are summed apart, then added, and that to C; each step rounds.
template <int C, int A, int B>
HRNET_FAST_ISA void tile_multiply() {
  const int rows = tile_rows(C), pairs = tile_row_bytes(A) / 4, columns = tile_row_bytes(C) / 4;
  tile_fault_unless(C != A && A != B && B != C, "tdpbf16ps was given one tile twice");
  tile_fault_unless(tile_rows(A) == rows && tile_rows(B) == pairs && tile_row_bytes(B) == 4 * columns && pairs > 0,
                    "tdpbf16ps was given tiles whose shapes do not fit");
  float halves[2][16][16];  // [even or odd][pair][column] of B
  for (int k = 0; k < pairs; ++k)
    for (int n = 0; n < columns; ++n)
      for (int odd = 0; odd < 2; ++odd) halves[odd][k][n] = half_of_pair(tile(B)[k], 2 * n + odd);
  for (int m = 0; m < rows; ++m) {
    float sums[2][16] = {};
    for (int k = 0; k < pairs; ++k)
      for (int odd = 0; odd < 2; ++odd) {
        const float a = half_of_pair(tile(A)[m], 2 * k + odd);
        for (int n = 0; n < 16; ++n) sums[odd][n] = flushed(std::fma(a, halves[odd][k][n], sums[odd][n]));
      }
    float row[16];
    std::memcpy(row, tile(C)[m], sizeof row);
    for (int n = 0; n < columns; ++n) row[n] = flushed(flushed(row[n]) + flushed(sums[0][n] + sums[1][n]));
    std::memcpy(tile(C)[m], row, sizeof row);
  }
}

}  // namespace
}  // namespace hrnet_fast
