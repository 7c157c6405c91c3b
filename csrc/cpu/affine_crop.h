// A description of affine_crop, and its bodies: one for each instruction set. No torch header.
#pragma once

#include <cstdint>

namespace hrnet_fast {

struct AffineCrop {
  const uint8_t* image;  // [height, width, 3]
  int64_t height, width, stride_h, stride_w, stride_c;
  const float* inverses;  // [N, 2, 3], from a crop to the picture
  float* out;             // [N, 3, crop_height, crop_width], contiguous
  float* mirrored;        // the same, left for right; null if not asked for
  int64_t crop_height, crop_width;
  float scale[3], bias[3];  // from a grey level to its normalised value
};

// Computes rows [begin, end), row = n * crop_height + y.
using AffineCropRows = void (*)(const AffineCrop& p, int64_t begin, int64_t end);

void affine_crop_rows__portable(const AffineCrop& p, int64_t begin, int64_t end);
void affine_crop_rows__avx2(const AffineCrop& p, int64_t begin, int64_t end);
void affine_crop_rows__avx512(const AffineCrop& p, int64_t begin, int64_t end);

}  // namespace hrnet_fast
