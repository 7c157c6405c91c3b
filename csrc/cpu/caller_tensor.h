// Between a map and a tensor of the caller's, of any strides and of its own type: a run begins and ends with it, in its
// parallel region.
#pragma once

#include <cstdint>
#include <type_traits>

#include "cpu/program.h"
#include "dtype.h"

namespace hrnet_fast {

// Rows [begin, end) of all images' rows. to_map: from the tensor, of type T, into the map, of type E; else the other
// way.
template <bool to_map, class E, class T>
void copy_rows(const Map& map, E* buffer, const CallerTensor& tensor, int64_t begin, int64_t end) {
  for (int64_t i = begin; i < end; ++i) {
    const int64_t n = i / map.height, y = i % map.height;
    E* inside = buffer + map.at(n, y, 0);
    T* row = static_cast<T*>(tensor.data) + n * tensor.image + y * tensor.row;
    for (int64_t c = 0; c < map.channels; ++c, ++inside, row += tensor.channel)
      for (int64_t x = 0; x < map.width; ++x) {
        E& in = inside[x * map.channels];
        T& out = row[x * tensor.pixel];
        if constexpr (std::is_same_v<E, T>) {
          to_map ? in = out : out = in;
        } else {
          to_map ? store(&in, load(&out)) : store(&out, load(&in));
        }
      }
  }
}

}  // namespace hrnet_fast
