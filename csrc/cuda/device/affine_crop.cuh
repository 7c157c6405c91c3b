// One thread's share of an AffineCrop: a pixel of a piece. Also compiled for the host, so that the code which computes
// is tested without a GPU. No torch header.
#pragma once

#include <math.h>

#include <algorithm>

#include "cpu/affine_crop.h"
#include "dtype.h"

namespace hrnet_fast {

constexpr int kCropsALaunch = 64;

// The inverse maps of the pieces of one launch: handed over as an argument of the kernel, so that nothing is copied to
// the device beforehand.
struct CropInverses {
  int32_t count;
  float of[kCropsALaunch][6];
};

// Calls launch(part, inverses) until all `count` pieces of `p` had their turn; `part` writes those of one launch.
template <class Launch>
void for_each_crops(const AffineCrop& p, int64_t count, Launch launch) {
  AffineCrop part = p;
  const int64_t piece = 3 * p.crop_height * p.crop_width;
  for (int64_t first = 0; first < count; first += kCropsALaunch) {
    CropInverses inverses = {int32_t(std::min<int64_t>(kCropsALaunch, count - first)), {}};
    memcpy(inverses.of, p.inverses + first * 6, inverses.count * sizeof inverses.of[0]);
    part.out = p.out + first * piece;
    if (p.mirrored != nullptr) part.mirrored = p.mirrored + first * piece;
    launch(part, inverses);
  }
}

// Just outside the picture is as good as far outside, and fits an integer; so does NaN.
HRNET_FAST_HD float position_in(float position, int64_t side) {
  const float low = position > -2.f ? position : -2.f, end = float(side) + 1.f;
  return low < end ? low : end;
}

// A grey level of any layout; 0 outside the picture.
HRNET_FAST_HD float level_at(const AffineCrop& p, int64_t row, int64_t column, int channel) {
  if (row < 0 || row >= p.height || column < 0 || column >= p.width) return 0;
  return float(p.image[row * p.stride_h + column * p.stride_w + channel * p.stride_c]);
}

// Pixel (x, y) of piece n, whose inverse map is m [2, 3], and of its mirror image.
HRNET_FAST_HD void affine_crop_pixel(const AffineCrop& p, const float* m, int64_t n, int64_t y, int64_t x) {
  const float u = position_in(m[0] * float(x) + (m[1] * float(y) + m[2]), p.width);
  const float v = position_in(m[3] * float(x) + (m[4] * float(y) + m[5]), p.height);
  const float left = floorf(u), top = floorf(v), du = u - left, dv = v - top;
  const int64_t column = int64_t(left), row = int64_t(top), plane = p.crop_height * p.crop_width;
  const int64_t start = n * 3 * plane + y * p.crop_width;
  for (int c = 0; c < 3; ++c) {
    const float top_left = level_at(p, row, column, c), top_right = level_at(p, row, column + 1, c);
    const float low_left = level_at(p, row + 1, column, c), low_right = level_at(p, row + 1, column + 1, c);
    const float above = top_left + (top_right - top_left) * du, below = low_left + (low_right - low_left) * du;
    const float value = rintf(above + (below - above) * dv) * p.scale[c] + p.bias[c];
    p.out[start + c * plane + x] = value;
    if (p.mirrored != nullptr) p.mirrored[start + c * plane + p.crop_width - 1 - x] = value;
  }
}

HRNET_FAST_HD void affine_crop_thread(const AffineCrop& p, const float* m, int64_t n, int64_t pixel) {
  const int width = int(p.crop_width);
  if (pixel >= p.crop_height * width) return;
  affine_crop_pixel(p, m, n, int(pixel) / width, int(pixel) % width);
}

}  // namespace hrnet_fast
