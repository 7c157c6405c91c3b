// The rows of an AffineCrop, once for every instruction set: include after cpu/isa/vec_<isa>.h, in one file for each.
// A block of pixels at a time: positions and arithmetic run along the lanes, only the pixels are fetched one by one.
#pragma once

#include <algorithm>

#include "cpu/affine_crop.h"
#include "dtype.h"

namespace hrnet_fast {
namespace {

constexpr int kLanes = 16;

struct Block {
  int32_t column[kLanes], row[kLanes];  // of the upper left of a pixel's four taps
  float du[kLanes], dv[kLanes];
  uint32_t taps[4][kLanes];  // upper left, upper right, lower left, lower right: red, green and blue from the low byte
};

// Just outside the picture is as good as far outside, and fits an integer; so does NaN.
HRNET_FAST_ISA float clamp_position(float position, float side) {
  const float low = position > -2.f ? position : -2.f;
  return low < side + 1.f ? low : side + 1.f;
}

HRNET_FAST_ISA void locate(Block& block, const AffineCrop& p, const float* m, int64_t x, int64_t y) {
  for (int i = 0; i < kLanes; ++i) {
    const float at = float(x + i);
    const float u = clamp_position(m[0] * at + (m[1] * float(y) + m[2]), float(p.width));
    const float v = clamp_position(m[3] * at + (m[4] * float(y) + m[5]), float(p.height));
    const int32_t column = int32_t(u), row = int32_t(v);
    block.column[i] = column - (float(column) > u), block.row[i] = row - (float(row) > v);
    block.du[i] = u - float(block.column[i]), block.dv[i] = v - float(block.row[i]);
  }
}

// Any pixel of any layout; 0 outside the picture.
HRNET_FAST_ISA uint32_t read_pixel(const AffineCrop& p, int64_t row, int64_t column) {
  if (row < 0 || row >= p.height || column < 0 || column >= p.width) return 0;
  const uint8_t* pixel = p.image + row * p.stride_h + column * p.stride_w;
  return uint32_t(pixel[0]) | uint32_t(pixel[p.stride_c]) << 8 | uint32_t(pixel[2 * p.stride_c]) << 16;
}

// Four bytes, of which the last belongs to the next pixel.
HRNET_FAST_ISA uint32_t load_pixel(const uint8_t* pixel) {
  uint32_t bytes;
  memcpy(&bytes, pixel, sizeof bytes);
  return bytes;
}

HRNET_FAST_ISA void fetch(Block& block, const AffineCrop& p, int lanes) {
  const bool dense = p.stride_w == 3 && p.stride_c == 1;
  for (int i = 0; i < lanes; ++i) {
    const int64_t column = block.column[i], row = block.row[i];
    if (dense && column >= 0 && column + 2 < p.width && row >= 0 && row + 1 < p.height) {
      const uint8_t *above = p.image + row * p.stride_h + column * 3, *below = above + p.stride_h;
      block.taps[0][i] = load_pixel(above), block.taps[1][i] = load_pixel(above + 3);
      block.taps[2][i] = load_pixel(below), block.taps[3][i] = load_pixel(below + 3);
    } else {
      for (int tap = 0; tap < 4; ++tap) block.taps[tap][i] = read_pixel(p, row + tap / 2, column + tap % 2);
    }
  }
}

HRNET_FAST_ISA void interpolate(float* target, const Block& block, int channel, float scale, float bias) {
  const float kWhole = 12582912.f;  // 1.5 * 2^23, whose last bit is 1: adding it rounds to whole numbers
  const int shift = 8 * channel;
  for (int i = 0; i < kLanes; ++i) {
    const float top_left = float(int32_t(block.taps[0][i] >> shift & 255));
    const float top_right = float(int32_t(block.taps[1][i] >> shift & 255));
    const float left = float(int32_t(block.taps[2][i] >> shift & 255));
    const float right = float(int32_t(block.taps[3][i] >> shift & 255));
    const float above = top_left + (top_right - top_left) * block.du[i], below = left + (right - left) * block.du[i];
    const float level = above + (below - above) * block.dv[i];
    target[i] = ((level + kWhole) - kWhole) * scale + bias;
  }
}

HRNET_FAST_ISA void crop_row(const AffineCrop& p, int64_t n, int64_t y) {
  const int64_t plane = p.crop_height * p.crop_width, start = n * 3 * plane + y * p.crop_width;
  Block block = {};
  float values[kLanes];
  for (int64_t x = 0; x < p.crop_width; x += kLanes) {
    const int lanes = int(std::min<int64_t>(kLanes, p.crop_width - x));
    locate(block, p, p.inverses + n * 6, x, y);
    fetch(block, p, lanes);
    for (int c = 0; c < 3; ++c) {
      interpolate(values, block, c, p.scale[c], p.bias[c]);
      memcpy(p.out + start + c * plane + x, values, lanes * sizeof(float));
      if (p.mirrored == nullptr) continue;
      float* last = p.mirrored + start + c * plane + p.crop_width - 1 - x;
      for (int i = 0; i < lanes; ++i) last[-i] = values[i];
    }
  }
}

HRNET_FAST_ISA void crop_rows(const AffineCrop& p, int64_t begin, int64_t end) {
  for (int64_t row = begin; row < end; ++row) crop_row(p, row / p.crop_height, row % p.crop_height);
}

}  // namespace
}  // namespace hrnet_fast
