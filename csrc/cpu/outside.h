// Between a map and a tensor of the caller's, of any strides: a run begins and ends with it, in its parallel region.
#pragma once

#include <cstdint>

#include "cpu/program.h"

namespace hrnet_fast {

// Rows [begin, end) of all images' rows. to_map: from the tensor into the map, else the other way.
template <bool to_map>
void copy_rows(const Map& map, void* buffer, const Outside& outside, int64_t begin, int64_t end) {
  for (int64_t i = begin; i < end; ++i) {
    const int64_t n = i / map.height, y = i % map.height;
    float* inside = static_cast<float*>(buffer) + map.at(n, y, 0);
    float* row = outside.data + n * outside.image + y * outside.row;
    for (int64_t c = 0; c < map.channels; ++c, ++inside, row += outside.channel)
      for (int64_t x = 0; x < map.width; ++x) {
        float &in = inside[x * map.channels], &out = row[x * outside.pixel];
        to_map ? in = out : out = in;
      }
  }
}

}  // namespace hrnet_fast
