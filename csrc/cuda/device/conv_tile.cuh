// Which part of a convolution a CTA computes.
#pragma once

#include "cuda/device/conv_layout.h"
#include "cuda/device/divider.cuh"

namespace hrnet_fast {

HRNET_FAST_DEVICE int least(int a, int b) { return a < b ? a : b; }
HRNET_FAST_DEVICE int most(int a, int b) { return a > b ? a : b; }

struct ConvTile {
  int n, y, x, channel;  // of the output: the image, the tile's first pixel, its first channel
  int top, left;         // the halo tile's first pixel, border included
};

// The tiles that a CTA computes one after another: neighbours, of the same weights, numbered as conv_tile has them.
struct ConvRun {
  int first, rounds;
};

HRNET_FAST_DEVICE ConvRun conv_run(const LevelLaunch& launch, int last, int block) {
  const LevelItem& item = launch.level.item[last];
  if (item.rounds == 1) return {block, 1};
  const int tiles = item.batch * launch.tiles_y[last] * launch.tiles_x[last], runs = ceil_div(tiles, item.rounds);
  const int slice = block / runs, first = (block - slice * runs) * item.rounds;
  return {slice * tiles + first, least(item.rounds, tiles - first)};
}

// Tiles of the same weights lie side by side: channels outermost, then image, row and column. Of a chain that ends with
// item `last`, that tile of item `step`, which may begin outside of the image.
HRNET_FAST_DEVICE ConvTile conv_tile(const LevelLaunch& launch, int step, int last, int number) {
  const LevelItem& item = launch.level.item[last];
  const ConvLayout& layout = launch.layout[last];
  ConvTile tile;
  const int tile_x = number % launch.tiles_x[last], rest = number / launch.tiles_x[last];
  const int tile_y = rest % launch.tiles_y[last], above = rest / launch.tiles_y[last];
  tile.n = above % item.batch;
  tile.channel = above / item.batch * layout.columns;  // 0 in a chain, whose CTAs have all channels
  tile.y = tile_y * item.tile_height, tile.x = tile_x * item.tile_width;
#pragma unroll 1
  for (int s = last; s > step; --s) {  // the step before computes what step s reads
    const LevelItem& reader = launch.level.item[s];
    tile.y = tile.y * reader.stride - reader.padding, tile.x = tile.x * reader.stride - reader.padding;
  }
  const LevelItem& own = launch.level.item[step];
  tile.top = tile.y * own.stride - own.padding + 1, tile.left = tile.x * own.stride - own.padding + 1;
  return tile;
}

}  // namespace hrnet_fast
