// A CTA's share of a convolution, whose warps have 8 * kBlocks output channels each.
#pragma once

#include "cuda/device/epilogue.cuh"
#include "cuda/device/load_tile.cuh"

namespace hrnet_fast {

HRNET_FAST_DEVICE uint32_t stage_at(const ConvLayout& layout, uint32_t slot) {
  return layout.stages + slot * layout.stage_bytes;
}

// The products of all chunks, by warps of 8 * kBlocks output channels; what they sum up to ends in shared memory. A
// stage is filled again when every warp has done with it.
template <class T, int kBlocks>
HRNET_FAST_DEVICE void multiply_chunks(const LevelItem& item, const ConvLayout& layout, const ConvTile& tile) {
  const LanePlace place = lane_place(item, layout);
  float sum[2][kBlocks][4] = {};
#pragma unroll 1
  for (int chunk = 0; chunk < layout.chunks; ++chunk) {
    wait_copies(item.stages - 1 - (chunk > 0));
    barrier();
    if (chunk > 0) {
      const int next = chunk - 1 + item.stages;
      if (next < layout.chunks) {
        const uint32_t stage = stage_at(layout, ring_slot(next, item.stages));
        load_weights(item, layout, tile.channel, next, stage);
        load_halo<T>(item, layout, tile, next, stage);
      }
      commit_copies();
    }
    const int granules = least(layout.granules, layout.all_granules - chunk * layout.granules) * layout.taps;
    const uint32_t stage = stage_at(layout, ring_slot(chunk, item.stages));
    multiply_chunk<T, kBlocks>(layout, place, item.warps_k, stage, granules, sum);
  }
  barrier();  // the sums take the stages' place
  store_sums<kBlocks>(layout, place, sum);
}

// Chunk c lies in stage c % stages. All stages are asked for at once, their weights before the launch that makes the
// maps has ended.
template <class T>
HRNET_FAST_DEVICE void conv_block(const LevelLaunch& launch, int index, int block) {
  const Level& level = launch.level;
  const LevelItem& item = level.item[index];
  const ConvLayout& layout = launch.layout[index];
  const ConvTile tile = conv_tile(launch, index, block);
  const bool early = has_early_term(level, item);

  for (int s = 0; s < item.stages; ++s) load_weights(item, layout, tile.channel, s, stage_at(layout, s));
  load_bias(item, layout, tile.channel);
  wait_for_previous_launch();
  for (int s = 0; s < item.stages; ++s) {
    if (item.sources) {
      form_halo<T>(level, item, layout, tile, s, stage_at(layout, s));
    } else {
      load_halo<T>(item, layout, tile, s, stage_at(layout, s));
    }
    if (s == 0 && early) load_early_term<T>(level, item, layout, tile);
    commit_copies();
  }
  write_offsets(item, layout);  // while the copies are under way
  switch (item.warp_columns) {  // kWarpColumns
    case 16: multiply_chunks<T, 2>(item, layout, tile); break;
    case 24: multiply_chunks<T, 3>(item, layout, tile); break;
    case 32: multiply_chunks<T, 4>(item, layout, tile); break;
    case 40: multiply_chunks<T, 5>(item, layout, tile); break;
    case 48: multiply_chunks<T, 6>(item, layout, tile); break;
    case 64: multiply_chunks<T, 8>(item, layout, tile); break;
  }
  barrier();
  finish<T>(level, item, layout, tile, early);
}

}  // namespace hrnet_fast
