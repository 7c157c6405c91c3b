// What one launch of the level kernel computes: convolutions and sums of any shapes, side by side. The kernel takes a
// Level by value. No torch header.
#pragma once

#include <cstdint>

#include "dtype.h"

namespace hrnet_fast {

constexpr int kWarps = 8, kThreads = 32 * kWarps;  // of a CTA
constexpr int kWarpRows = 32;                      // output pixels of a warp
constexpr int kMostItems = 12, kMostTerms = 40, kMostStages = 4;
constexpr int kWarpColumns[] = {16, 24, 32, 40, 48, 64};  // output channels of a warp: one compiled body each
constexpr int kSumGranules = 2 * kThreads;                // 16-byte pieces of a sum that one CTA writes

enum LevelRelu { kReluNone, kReluFirst, kReluLast };

// Maps are NHWC, channels padded to a multiple of 8, with a border of one zero pixel.
struct LevelTerm {
  const void* data;          // [N, height + 2, width + 2, C], C as the item says
  int32_t height, width;     // without the border
  float scale_y, scale_x;    // from an output position to one of this map
  int32_t mode, unused = 0;  // 0 same, 1 nearest, 2 bilinear, 3 bilinear with aligned corners
};

// conv:  out = relu_last( relu_first( conv(source) + bias ) + sum_t resize(terms[t]) )
// sum:   out[..., first_channel : first_channel + written] = relu_last( sum_t resize(terms[t]) )
struct LevelItem {
  const void* source;  // [N, in_height + 2, in_width + 2, in_channels]; null: it is formed from `sources`, or a sum
  const void* weight;  // [channels / 8, in_channels / V, kernel, kernel, 8, V], V = 16 / itemsize; null: a sum
  const float* bias;   // [channels]
  void* out;           // [N, height + 2 * border, width + 2 * border, channels]
  int32_t batch;
  int32_t in_height, in_width, in_channels;  // of a sum, in_channels is that of its terms
  int32_t height, width, channels;           // of the output
  int32_t kernel, stride, padding;           // square
  int32_t tile_height, tile_width;           // output pixels of a CTA, at most kWarpRows * warps_m
  int32_t warps_m, warps_n, warps_k;         // how a CTA's warps share pixels, output channels and K; product kWarps
  int32_t warp_columns;                      // output channels of a warp: one of kWarpColumns
  int32_t chunk, stages;                     // input channels that are loaded together, and how many such are in flight
  int32_t first_source, sources, source_relu;
  int32_t first_term, terms, relu;  // relu: a LevelRelu
  int32_t first_channel, written, border;
};

struct Level {
  int32_t items, terms;
  LevelItem item[kMostItems];
  LevelTerm term[kMostTerms];
};

// How a CTA of a convolution divides its shared memory: conv_layout in device/conv_layout.h.
struct ConvLayout {
  int32_t taps, all_granules, granules, chunks;  // a granule: 16 bytes of channels; granules: a chunk's
  int32_t halo_height, halo_width, pixels;       // pixels: of the output tile
  int32_t columns, sums_pitch;                   // output channels of the CTA; floats
  uint32_t pixel_pitch, bias, early, stages, weights, stage_bytes, total;  // bytes; weights: within a stage
};

// A level as the kernel takes it, from the constant bank: what can be worked out once takes no registers.
struct LevelLaunch {
  Level level;
  ConvLayout layout[kMostItems];
  int32_t tiles_y[kMostItems], tiles_x[kMostItems];
  int32_t end[kMostItems];  // CTAs of this item and those before it
};

static_assert(sizeof(LevelTerm) == 32 && sizeof(LevelItem) == 144 && sizeof(LevelLaunch) <= 4096);

}  // namespace hrnet_fast
