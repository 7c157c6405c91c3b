// What one launch of the level kernel computes: convolutions and sums of any shapes, side by side. The kernel takes a
// Level by value. No torch header.
#pragma once

#include <cstdint>

#include "dtype.h"

namespace hrnet_fast {

constexpr int kWarps = 8, kThreads = 32 * kWarps;  // of a CTA
constexpr int kWarpRows = 32;                      // output pixels of a warp
constexpr int kGroupWarps = 4;                     // of a warpgroup
constexpr int kMostItems = 12, kMostTerms = 30, kMostStages = 4;
constexpr uint32_t kPlaceBytes = 32;  // at the start of a CTA's shared memory: which tiles it computes
constexpr int kMostSteps = 3;         // convolutions of a chain
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
// chain: the convolutions of `steps` items, one after another, by the same CTAs: only the first has a source, and only
//        the last an output and terms; what lies in between never leaves shared memory, and is rounded as a map is.
struct LevelItem {
  const void* source;  // [N, in_height + 2, in_width + 2, in_channels]; null: formed from `sources`, left by the step
                       // before, or a sum
  const void* weight;  // [channels / 8, in_channels / V, kernel, kernel, 8, V], V = 16 / itemsize; null: a sum
  const float* bias;   // [channels]
  void* out;           // [N, height + 2 * border, width + 2 * border, channels]; null: the next step's source
  int32_t batch;
  int32_t in_height, in_width, in_channels;  // of a sum, in_channels is that of its terms
  int32_t height, width, channels;           // of the output
  int32_t kernel, stride, padding;           // square
  int32_t tile_height, tile_width;           // output pixels of a CTA, at most kWarpRows * warps_m; of a step that is
                                             // not the last, what the next one reads
  int32_t warps_m, warps_n, warps_k;         // how a CTA's warps share pixels, output channels and K; product kWarps
  int32_t warp_columns;                      // output channels of a warp: one of kWarpColumns
  int32_t chunk, stages;                     // input channels that are loaded together, and how many such are in
                                             // flight: of a chain, as its first item says
  int32_t first_source, sources, source_relu;
  int32_t first_term, terms, relu;  // relu: a LevelRelu
  int32_t first_channel, written, border;
  int32_t steps;   // of the chain that begins here: 1 for a convolution alone, 0 for a sum and a chain's later steps
  int32_t kept;    // of a chain's last step: its first term is the chain's source, taken from where that was loaded to
  int32_t rounds;  // tiles that a CTA computes one after another. Above 1 the weights, one chunk of all channels, stay,
                   // and the next tile's pixels come while one is multiplied
  int32_t grouped;  // on sm_90a four warps at a time multiply as a warpgroup; warps_m is then a multiple of kGroupWarps
};

struct Level {
  int32_t items, terms;
  LevelItem item[kMostItems];
  LevelTerm term[kMostTerms];
};

// How a CTA of a convolution divides its shared memory: conv_layouts in device/conv_layout.h. A chain's later steps
// read a tile that has all channels: its chunks lie beside each other in each pixel.
struct ConvLayout {
  int32_t taps, all_granules, granules, chunks;  // a granule: 16 bytes of channels; granules: a chunk's
  int32_t columns, passes;                       // output channels at a time, and how often
  int32_t halo_height, halo_width, pixels;       // pixels: of the output tile
  int32_t tile_slots, sums_pitch;                // chunks of the source tile that are there at a time; floats
  uint32_t offsets, bias, early, early_bytes, tile, tile_bytes, pixel_pitch;  // bytes; early_bytes: from a round's to
  uint32_t weights, weights_bytes, sums;  // the next one's; tile_bytes, weights_bytes: from a chunk to the next
  uint32_t total;                         // of all steps, at the first
};

// A level as the kernel takes it, from the constant bank: what can be worked out once takes no registers.
struct LevelLaunch {
  Level level;
  ConvLayout layout[kMostItems];
  int32_t tiles_y[kMostItems], tiles_x[kMostItems];  // of a chain, its last step's
  int32_t end[kMostItems];                           // CTAs of this item, or its chain, and those before it
};

// Tiles of a convolution that are in shared memory at a time.
HRNET_FAST_HD int tiles_at_once(const LevelItem& item) { return item.rounds > 1 ? 2 : 1; }

static_assert(sizeof(LevelTerm) == 32 && sizeof(LevelItem) == 160);
static_assert(sizeof(LevelLaunch) <= 4096);  // more takes CUDA 12.1 and its driver

}  // namespace hrnet_fast
