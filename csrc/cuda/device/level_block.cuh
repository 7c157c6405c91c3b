// What one CTA of a level's launch does.
#pragma once

#include "cuda/device/conv_block.cuh"
#include "cuda/device/sum_block.cuh"

namespace hrnet_fast {

template <class T>
HRNET_FAST_DEVICE void level_block(const LevelLaunch& launch) {
  start_next_launch();
  int i = 0, block = block_index();
  while (block >= launch.end[i]) ++i;
  if (i > 0) block -= launch.end[i - 1];
  if (launch.level.item[i].weight == nullptr) {
    sum_block<T>(launch.level, launch.level.item[i], block);
  } else {
    conv_block<T>(launch, i, block);
  }
}

}  // namespace hrnet_fast
