// From global to shared memory: what a CTA of a convolution reads. Every copy is of 16 bytes and has no bounds check:
// the map's border is zero, and what lies beyond it is read from the border, for outputs that are never stored.
#pragma once

#include "cuda/device/conv_tile.cuh"
#include "cuda/device/resize_term.cuh"

namespace hrnet_fast {

// Offset of each granule of a chunk's K from a pixel of the source tile. K runs over the taps, then over granules of
// channels.
HRNET_FAST_DEVICE void write_offsets(const LevelItem& item, const ConvLayout& layout) {
  for (int i = thread_index(); i < layout.granules * layout.taps; i += kThreads) {
    const int granule = i / layout.taps, tap = i % layout.taps;
    const int row = tap / item.kernel, column = halo_column(tap % item.kernel, item.stride, layout.halo_width);
    const int at = (row * layout.halo_width + column) * int(layout.pixel_pitch) + granule * 16;
    store_shared<int>(layout.offsets + uint32_t(i) * 4, at);
  }
}

HRNET_FAST_DEVICE void load_bias(const LevelItem& item, const ConvLayout& layout, int channel) {
  for (int i = thread_index() * 4; i < layout.columns * layout.passes; i += kThreads * 4) {
    copy_async(layout.bias + uint32_t(i) * 4, item.bias + least(channel + i, item.channels - 4));
  }
}

// Weights of a chunk: [columns / 8][granules * taps of a whole chunk][8] granules in shared memory.
HRNET_FAST_DEVICE void load_weights(const LevelItem& item, const ConvLayout& layout, int channel, int chunk,
                                    uint32_t to) {
  const int first = chunk * layout.granules, granules = least(layout.granules, layout.all_granules - first);
  const int pieces = granules * layout.taps * 8, pitch = layout.granules * layout.taps * 8;
  const Granule* weight = static_cast<const Granule*>(item.weight) + first * layout.taps * 8;
  const Divider by_pieces = divider(pieces);
#pragma unroll 1
  for (int i = thread_index(); i < layout.columns / 8 * pieces; i += kThreads) {
    const int block = i / by_pieces, piece = i - block * pieces;
    const int source = least(channel / 8 + block, item.channels / 8 - 1);
    const int64_t at = int64_t(source) * layout.all_granules * layout.taps * 8 + piece;
    copy_async(to + uint32_t(block * pitch + piece) * 16, weight + at);
  }
}

// Halo tile of a chunk: [halo height][halo width], pixel_pitch bytes a pixel.
template <class T>
HRNET_FAST_DEVICE void load_halo(const LevelItem& item, const ConvLayout& layout, const ConvTile& tile, int chunk,
                                 uint32_t to) {
  const int first = chunk * layout.granules, granules = least(layout.granules, layout.all_granules - first);
  const Divider by_granules = divider(granules), by_width = divider(layout.halo_width);
  const T* source = static_cast<const T*>(item.source) + first * kGranuleValues<T>;
#pragma unroll 1
  for (int i = thread_index(); i < layout.halo_height * layout.halo_width * granules; i += kThreads) {
    const int pixel = i / by_granules, granule = i - pixel * granules;
    const int row = pixel / by_width, column = pixel - row * layout.halo_width;
    const int y = least(most(tile.top + row, 0), item.in_height + 1);
    const int x = least(most(tile.left + column, 0), item.in_width + 1);
    const int at = pixel_index(tile.n, y, x, item.in_height + 2, item.in_width + 2, item.in_channels, 0);
    const int place = row * layout.halo_width + halo_column(column, item.stride, layout.halo_width);
    copy_async(to + uint32_t(place) * layout.pixel_pitch + uint32_t(granule) * 16,
               source + at + granule * kGranuleValues<T>);
  }
}

// The same of a pointwise convolution whose source is relu(sum of resized maps): formed here, rounded as a map would
// be.
template <class T>
HRNET_FAST_DEVICE void form_halo(const Level& level, const LevelItem& item, const ConvLayout& layout,
                                 const ConvTile& tile, int chunk, uint32_t to) {
  const int first = chunk * layout.granules, granules = least(layout.granules, layout.all_granules - first);
  const Divider by_granules = divider(granules), by_width = divider(layout.halo_width);
  for (int i = thread_index(); i < layout.pixels * granules; i += kThreads) {
    const int pixel = i / by_granules, granule = i - pixel * granules;
    const int row = pixel / by_width, column = pixel - row * layout.halo_width;
    const int y = least(tile.y + row, item.height - 1), x = least(tile.x + column, item.width - 1);
    float sum[kGranuleValues<T>] = {};
    for (int s = item.first_source; s < item.first_source + item.sources; ++s) {
      add_term<T>(sum, level.term[s], tile.n, y, x, (first + granule) * kGranuleValues<T>, item.in_channels, 1);
    }
    for (float& value : sum) value = item.source_relu ? relu(value) : value;
    store_shared<Granule>(to + uint32_t(pixel) * layout.pixel_pitch + uint32_t(granule) * 16, round_granule<T>(sum));
  }
}

// The first term's tile: [pixels][columns], `to` shared memory. Each thread loads the granules that it will add.
template <class T>
HRNET_FAST_DEVICE void load_early_term(const Level& level, const LevelItem& item, const ConvLayout& layout,
                                       const ConvTile& tile, uint32_t to) {
  const T* data = static_cast<const T*>(level.term[item.first_term].data);
  const int across = layout.columns / kGranuleValues<T>;
  const Divider by_across = divider(across), by_width = divider(item.tile_width);
  for (int i = thread_index(); i < layout.pixels * across; i += kThreads) {
    const int pixel = i / by_across, row = pixel / by_width;
    const int y = tile.y + row, x = tile.x + pixel - row * item.tile_width;
    const int channel = tile.channel + (i - pixel * across) * kGranuleValues<T>;
    if (y < item.height && x < item.width && channel < item.channels) {
      const int at = pixel_index(tile.n, y, x, item.height, item.width, item.channels, 1);
      copy_async(to + uint32_t(i) * 16, data + at + channel);
    }
  }
}

}  // namespace hrnet_fast
