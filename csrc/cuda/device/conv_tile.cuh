// Which part of a convolution a CTA computes.
#pragma once

#include "cuda/device/conv_layout.h"
#include "cuda/device/divider.cuh"

namespace hrnet_fast {

HRNET_FAST_DEVICE int least(int a, int b) { return a < b ? a : b; }

struct ConvTile {
  int n, y, x, channel;  // of the output: the image, the tile's first pixel, its first channel
  int top, left;         // the halo tile's first pixel, border included
};

// Tiles of the same weights lie side by side: channels outermost, then image, row and column.
HRNET_FAST_DEVICE ConvTile conv_tile(const LevelLaunch& launch, int i, int block) {
  const LevelItem& item = launch.level.item[i];
  ConvTile tile;
  const int tile_x = block % launch.tiles_x[i], rest = block / launch.tiles_x[i];
  const int tile_y = rest % launch.tiles_y[i], above = rest / launch.tiles_y[i];
  tile.n = above % item.batch;
  tile.y = tile_y * item.tile_height;
  tile.x = tile_x * item.tile_width;
  tile.channel = above / item.batch * launch.layout[i].columns;
  tile.top = tile.y * item.stride - item.padding + 1;
  tile.left = tile.x * item.stride - item.padding + 1;
  return tile;
}

}  // namespace hrnet_fast
