// How a direct convolution is cut into units: a group of kUnit pixels by a block of output channels.
//
// Pixels go by chunk by chunk, and each chunk again for every block of weights. Where all weights stay in the
// second-level cache, a chunk's inputs stay in the first-level one; else they stay in the second-level one beside a
// block's weights.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "cpu/program.h"

namespace hrnet_fast {

class DirectUnits {
 public:
  DirectUnits(const Item& item, const std::vector<Map>& maps, int64_t lanes) {
    const Map &to = maps[item.out], &from = maps[item.in];
    pixels = to.batch * to.height * to.width;
    groups = (pixels + kUnit - 1) / kUnit;
    vectors = (item.channels + lanes - 1) / lanes;
    blocks = block_count(vectors);
    per_vector = int64_t(item.taps.size()) * item.tap_words * lanes;
    const int64_t per_group = kUnit * item.stride_h * item.stride_w * from.channels;
    const bool light = vectors * per_vector <= kLightWeights;
    const int64_t near = light ? kNearestInputs : kNearInputs;
    const int64_t chunks = std::min(groups, (groups * per_group + near - 1) / near);
    chunk_ = (groups + chunks - 1) / chunks;
  }

  struct Unit {
    int64_t group, block;
    int64_t follow;  // groups from it to the end of its chunk, whose units are the next ones
  };
  Unit at(int64_t index) const {
    const int64_t first = index / (chunk_ * blocks) * chunk_, size = std::min(chunk_, groups - first);
    const int64_t rest = index - first * blocks;
    return {first + rest % size, rest / size, size - rest % size};
  }

  int64_t pixels, groups, vectors, blocks;
  int64_t per_vector;  // words of weights

 private:
  static constexpr int64_t kLightWeights = 64 * 1024;                            // words
  static constexpr int64_t kNearInputs = 256 * 1024, kNearestInputs = 8 * 1024;  // elements
  int64_t chunk_;                                                                // groups
};

}  // namespace hrnet_fast
