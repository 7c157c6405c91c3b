// A CTA's share of a convolution, or of a chain of convolutions.
#pragma once

#include "cuda/device/epilogue.cuh"
#include "cuda/device/leave_tile.cuh"
#include "cuda/device/pieces.cuh"

namespace hrnet_fast {

// The steps of a CTA: items `first` to `last`. source: the first one's tile; ahead: the next piece to ask for.
struct ConvWork {
  const LevelLaunch& launch;
  int first, last, block;
  ConvTile source;
  Piece ahead;
};

// The products of a pass of a step by warps of 8 * kBlocks output channels; what they sum up to ends in shared memory,
// as partial sums or as the next step's source. A slot is filled again when every warp has done with it. index: of the
// pass's first piece.
template <class T, int kBlocks>
HRNET_FAST_DEVICE void multiply_pass(ConvWork& work, int step, int pass, int index) {
  const LevelLaunch& launch = work.launch;
  const LevelItem &item = launch.level.item[step], &first = launch.level.item[work.first];
  const ConvLayout &layout = launch.layout[step], &source = launch.layout[work.first];
  const LanePlace place = lane_place(item, layout);
  const bool busy = warp_place(item).m * kWarpRows < layout.pixels;
  float sum[2][kBlocks][4] = {};
#pragma unroll 1
  for (int chunk = 0; chunk < layout.chunks; ++chunk, ++index) {
    wait_copies(first.stages - 1 - (index > 0));
    barrier();
    if (index > 0) {
      if (work.ahead.step <= work.last) {
        load_piece(launch, work.ahead, work.source.channel, ring_slot(index - 1 + first.stages, first.stages));
        if (work.ahead.step == work.first && (work.ahead.pass == 0 || source.tile_slots < source.chunks)) {
          const uint32_t slot = ring_slot(index - 1 + first.stages, source.tile_slots);
          load_halo<T>(first, source, work.source, work.ahead.chunk, tile_at(source, slot));
        }
        advance(launch, work.ahead);
      }
      commit_copies();
    }
    const int granules = least(layout.granules, layout.all_granules - chunk * layout.granules) * layout.taps;
    const uint32_t tile = tile_at(layout, ring_slot(step == work.first ? index : chunk, layout.tile_slots));
    const uint32_t weights = weights_at(layout, ring_slot(index, first.stages));
    if (busy) multiply_chunk<T, kBlocks>(layout, place, item.warps_k, tile, weights, granules, sum);
  }
  if (step < work.last) {
    const ConvTile tile = conv_tile(launch, step, work.last, work.block);
    leave_tile<T, kBlocks>(item, layout, tile, pass, launch.layout[step + 1], launch.level.item[step + 1].stride, sum);
    return;
  }
  barrier();  // the sums may take the place of what was multiplied
  store_sums<kBlocks>(item, layout, sum);
}

template <class T>
HRNET_FAST_DEVICE void multiply_pass(ConvWork& work, int step, int pass, int index) {
  switch (work.launch.level.item[step].warp_columns) {  // kWarpColumns
    case 16: multiply_pass<T, 2>(work, step, pass, index); break;
    case 24: multiply_pass<T, 3>(work, step, pass, index); break;
    case 32: multiply_pass<T, 4>(work, step, pass, index); break;
    case 40: multiply_pass<T, 5>(work, step, pass, index); break;
    case 48: multiply_pass<T, 6>(work, step, pass, index); break;
    case 64: multiply_pass<T, 8>(work, step, pass, index); break;
  }
}

// The first pieces are asked for at once, their weights before the launch that makes the maps has ended.
template <class T>
HRNET_FAST_DEVICE void begin(ConvWork& work) {
  const LevelLaunch& launch = work.launch;
  const Level& level = launch.level;
  const LevelItem& first = level.item[work.first];
  const ConvLayout& source = launch.layout[work.first];
  for (int s = 0; s < first.stages; ++s, advance(launch, work.ahead)) {
    load_piece(launch, work.ahead, work.source.channel, uint32_t(s));
  }
  for (int i = work.first; i <= work.last; ++i) load_bias(level.item[i], launch.layout[i], work.source.channel);
  wait_for_previous_launch();
  for (int s = 0; s < first.stages; ++s) {
    if (s < source.chunks && first.sources) {
      form_halo<T>(level, first, source, work.source, s, tile_at(source, uint32_t(s)));
    } else if (s < source.chunks) {
      load_halo<T>(first, source, work.source, s, tile_at(source, uint32_t(s)));
    }
    if (s == 0 && has_early_term(level, first)) load_early_term<T>(level, first, source, work.source);
    commit_copies();
  }
  for (int i = work.first; i <= work.last; ++i) write_offsets(level.item[i], launch.layout[i]);  // copies are under way
}

template <class T>
HRNET_FAST_DEVICE void conv_block(const LevelLaunch& launch, int first, int block) {
  const int last = first + launch.level.item[first].steps - 1;
  ConvWork work = {launch, first, last, block, conv_tile(launch, first, last, block), {first, 0, 0}};
  begin<T>(work);
  int index = 0;
#pragma unroll 1
  for (int step = first; step <= last; ++step) {
#pragma unroll 1
    for (int pass = 0; pass < launch.layout[step].passes; ++pass, index += launch.layout[step].chunks) {
      multiply_pass<T>(work, step, pass, index);
      if (step < last) continue;
      barrier();
      const ConvTile tile = conv_tile(launch, last, last, block);
      finish<T>(launch.level, launch.level.item[last], launch.layout[last], tile, pass, launch.layout[first],
                work.source);
    }
  }
}

}  // namespace hrnet_fast
