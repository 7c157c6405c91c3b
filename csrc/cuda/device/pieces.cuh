// The weights of a CTA in the order in which it needs them: a piece is a chunk of a pass of a step.
#pragma once

#include "cuda/device/load_tile.cuh"

namespace hrnet_fast {

// step: the index of its item, beyond a chain's last where there are no more pieces.
struct Piece {
  int step, pass, chunk;
};

HRNET_FAST_DEVICE uint32_t weights_at(const ConvLayout& layout, uint32_t slot) {
  return layout.weights + slot * layout.weights_bytes;
}
HRNET_FAST_DEVICE uint32_t tile_at(const ConvLayout& layout, uint32_t slot) {
  return layout.tile + slot * layout.tile_bytes;
}

HRNET_FAST_DEVICE void load_piece(const LevelLaunch& launch, const Piece& piece, int channel, uint32_t slot) {
  const LevelItem& item = launch.level.item[piece.step];
  const ConvLayout& layout = launch.layout[piece.step];
  load_weights(item, layout, channel + piece.pass * layout.columns, piece.chunk, weights_at(layout, slot));
}

HRNET_FAST_DEVICE void advance(const LevelLaunch& launch, Piece& piece) {
  const ConvLayout& layout = launch.layout[piece.step];
  if (++piece.chunk < layout.chunks) return;
  piece.chunk = 0;
  if (++piece.pass < layout.passes) return;
  piece.pass = 0, ++piece.step;
}

}  // namespace hrnet_fast
