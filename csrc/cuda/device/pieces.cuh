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
HRNET_FAST_DEVICE uint32_t early_at(const ConvLayout& layout, uint32_t slot) {
  return layout.early + slot * layout.early_bytes;
}

HRNET_FAST_DEVICE void load_piece(const LevelLaunch& launch, const Piece& piece, int channel, uint32_t slot) {
  const LevelItem& item = launch.level.item[piece.step];
  const ConvLayout& layout = launch.layout[piece.step];
  load_weights(item, layout, channel + piece.pass * layout.columns, piece.chunk, weights_at(layout, slot));
}

// The index-th piece of the steps `first` to `last`.
HRNET_FAST_DEVICE Piece piece_at(const LevelLaunch& launch, int first, int last, int index) {
  int step = first;
  while (step <= last && index >= launch.layout[step].passes * launch.layout[step].chunks) {
    index -= launch.layout[step].passes * launch.layout[step].chunks, ++step;
  }
  const int chunks = launch.layout[step <= last ? step : last].chunks, pass = index < chunks ? 0 : index / chunks;
  return {step, pass, index - pass * chunks};
}

}  // namespace hrnet_fast
