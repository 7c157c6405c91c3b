// A CTA's share of a convolution, or of a chain of convolutions: a tile, or several one after another.
#pragma once

#include "cuda/device/epilogue.cuh"
#include "cuda/device/leave_tile.cuh"
#include "cuda/device/multiply_group.cuh"
#include "cuda/device/pieces.cuh"

namespace hrnet_fast {

// The steps of a CTA: items `first` to `last`.
struct ConvWork {
  const LevelLaunch& launch;
  int first, last;
};

// What a CTA computes, kept in shared memory, where it takes no registers of the products. source: the first step's
// tile; of a run, that of its first round.
struct ConvPlace {
  ConvTile source;
  ConvRun run;
};
static_assert(sizeof(ConvPlace) == kPlaceBytes);

// Asks for what one of a run's tiles reads beside the weights; it takes the place of the tile but one before.
template <class T>
HRNET_FAST_DEVICE void ask_for_round(const LevelLaunch& launch, int i, const ConvRun& run, int round) {
  if (round < run.rounds) {
    const LevelItem& item = launch.level.item[i];
    const ConvLayout& layout = launch.layout[i];
    const ConvTile tile = conv_tile(launch, i, i, run.first + round);
    const uint32_t slot = ring_slot(round, 2);
    load_halo<T>(item, layout, tile, 0, tile_at(layout, slot));
    if (has_early_term(launch.level, item)) {
      load_early_term<T>(launch.level, item, layout, tile, early_at(layout, slot));
    }
  }
  commit_copies();
}

// Asks for what takes the place of the piece before `index`, which every warp has done with.
template <class T>
HRNET_FAST_DEVICE void ask(const ConvWork& work, int index) {
  const LevelLaunch& launch = work.launch;
  const LevelItem& first = launch.level.item[work.first];
  const int number = index - 1 + first.stages;
  const Piece piece = piece_at(launch, work.first, work.last, number);
  if (piece.step <= work.last) {
    const ConvLayout& source = launch.layout[work.first];
    const ConvTile tile = load_shared<ConvPlace>(0).source;
    load_piece(launch, piece, tile.channel, ring_slot(number, first.stages));
    if (piece.step == work.first && (piece.pass == 0 || source.tile_slots < source.chunks)) {
      load_halo<T>(first, source, tile, piece.chunk, tile_at(source, ring_slot(number, source.tile_slots)));
    }
  }
  commit_copies();
}

// The products of all chunks of a pass of a step. kGrouped: by warpgroups; index: of the pass's first piece, or the
// round.
template <class T, int kBlocks, bool kGrouped>
HRNET_FAST_DEVICE void multiply_chunks(const ConvWork& work, int step, int index, float (&sum)[2][kBlocks][4]) {
  const LevelLaunch& launch = work.launch;
  const LevelItem &item = launch.level.item[step], &first = launch.level.item[work.first];
  const ConvLayout& layout = launch.layout[step];
  const LanePlace place = lane_place(item, layout);
  const bool in_rounds = first.rounds > 1;
  const bool busy = warp_place(item).m * kWarpRows < layout.pixels;
#pragma unroll 1
  for (int chunk = 0; chunk < layout.chunks; ++chunk, ++index) {
    wait_copies(in_rounds ? 1 : first.stages - 1 - (index > 0));
#ifdef HRNET_FAST_WARPGROUPS
    if (kGrouped) show_copies();
#endif
    barrier();
    if (index > 0 && !in_rounds) ask<T>(work, index);
    const int granules = least(layout.granules, layout.all_granules - chunk * layout.granules) * layout.taps;
    const uint32_t tile = tile_at(layout, ring_slot(step == work.first ? index : chunk, layout.tile_slots));
    const uint32_t weights = weights_at(layout, ring_slot(index, first.stages));
#ifdef HRNET_FAST_WARPGROUPS
    if constexpr (kGrouped) {  // warps without pixels come along: their group's warps start all products together
      multiply_chunk_grouped<T, kBlocks>(item, layout, place, busy, tile, weights, granules, sum);
      continue;
    }
#endif
    if (busy) multiply_chunk<T, kBlocks>(layout, place, item.warps_k, tile, weights, granules, sum);
  }
}

// The products of a pass of a step by warps of 8 * kBlocks output channels; what they sum up to ends in shared memory,
// as partial sums or as the next step's source. index: as for multiply_chunks.
template <class T, int kBlocks>
HRNET_FAST_DEVICE void multiply_pass(const ConvWork& work, int step, int pass, int index) {
  const LevelLaunch& launch = work.launch;
  const LevelItem& item = launch.level.item[step];
  const ConvLayout& layout = launch.layout[step];
  float sum[2][kBlocks][4] = {};
#ifdef HRNET_FAST_WARPGROUPS
  if (item.grouped) {  // in a loop of their own: in one that has other products, none overlap with anything (C7515)
    multiply_chunks<T, kBlocks, true>(work, step, index, sum);
  } else
#endif
  {
    multiply_chunks<T, kBlocks, false>(work, step, index, sum);
  }
  if (step < work.last) {
    const ConvTile tile = conv_tile(launch, step, work.last, load_shared<ConvPlace>(0).run.first);
    leave_tile<T, kBlocks>(item, layout, tile, pass, launch.layout[step + 1], launch.level.item[step + 1].stride, sum);
    return;
  }
  if (launch.level.item[work.first].rounds == 1) barrier();  // the sums may take the place of what was multiplied
  store_sums<kBlocks>(item, layout, sum);
}

template <class T>
HRNET_FAST_DEVICE void multiply_pass(const ConvWork& work, int step, int pass, int index) {
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
HRNET_FAST_DEVICE void begin(const ConvWork& work, const ConvPlace& place) {
  const LevelLaunch& launch = work.launch;
  const Level& level = launch.level;
  const LevelItem& first = level.item[work.first];
  const ConvLayout& source = launch.layout[work.first];
  for (int s = 0; s < first.stages; ++s) {
    load_piece(launch, piece_at(launch, work.first, work.last, s), place.source.channel, uint32_t(s));
  }
  for (int i = work.first; i <= work.last; ++i) load_bias(level.item[i], launch.layout[i], place.source.channel);
  wait_for_previous_launch();
  for (int s = 0; s < first.stages; ++s) {
    if (s < source.chunks && first.sources) {
      form_halo<T>(level, first, source, place.source, s, tile_at(source, uint32_t(s)));
    } else if (s < source.chunks) {
      load_halo<T>(first, source, place.source, s, tile_at(source, uint32_t(s)));
    }
    if (s == 0 && has_early_term(level, first)) {
      load_early_term<T>(level, first, source, place.source, early_at(source, 0));
    }
    commit_copies();
  }
  if (first.rounds > 1) ask_for_round<T>(launch, work.first, place.run, 1);
  for (int i = work.first; i <= work.last; ++i) write_offsets(level.item[i], launch.layout[i]);  // copies are under way
  if (thread_index() == 0) store_shared<ConvPlace>(0, place);
}

template <class T>
HRNET_FAST_DEVICE void conv_block(const LevelLaunch& launch, int first, int block) {
  const int last = first + launch.level.item[first].steps - 1;
  const bool in_rounds = launch.level.item[first].rounds > 1;  // of a single step of a single pass
  const ConvWork work = {launch, first, last};
  const ConvRun run = conv_run(launch, last, block);
  begin<T>(work, {conv_tile(launch, first, last, run.first), run});
  int index = 0;
#pragma unroll 1
  for (int step = first; step <= last; ++step) {
#pragma unroll 1
    for (int pass = 0, passes = 1; pass < passes; ++pass, index += launch.layout[step].chunks) {
      multiply_pass<T>(work, step, in_rounds ? 0 : pass, index);
      const ConvPlace place = load_shared<ConvPlace>(0);  // not before a barrier was passed
      passes = in_rounds ? place.run.rounds : launch.layout[step].passes;
      if (step < last) continue;
      barrier();
      const int round = in_rounds ? pass : 0;
      finish<T>(launch.level, launch.level.item[last], launch.layout[last],
                conv_tile(launch, last, last, place.run.first + round), pass - round,
                early_at(launch.layout[last], uint32_t(round % 2)), launch.layout[first], place.source);
      if (in_rounds) ask_for_round<T>(launch, first, place.run, round + 2);
    }
  }
}

}  // namespace hrnet_fast
