// The memory that a level touches. No torch header.
#pragma once

#include <vector>

#include "cuda/level_host.h"

namespace hrnet_fast {

struct Extent {
  const char* what;
  const void* data;
  int64_t bytes;
  bool written;
};

// Of a level that has no refusal.
inline std::vector<Extent> level_extents(const Level& level, int itemsize) {
  std::vector<Extent> extents;
  const auto map = [&](const char* what, const void* data, int64_t n, int64_t h, int64_t w, int64_t channels,
                       int border, bool written) {
    extents.push_back({what, data, n * (h + 2 * border) * (w + 2 * border) * channels * itemsize, written});
  };
  for (int i = 0; i < level.items; ++i) {
    const LevelItem& item = level.item[i];
    const bool sum = is_sum(item);
    const int border = sum ? item.border : 1;
    if (item.out) map("the output", item.out, item.batch, item.height, item.width, item.channels, border, true);
    for (int t = item.first_term; t < item.first_term + item.terms; ++t) {
      const LevelTerm& term = level.term[t];
      map("a term", term.data, item.batch, term.height, term.width, sum ? item.in_channels : item.channels, border,
          false);
    }
    if (sum) continue;
    for (int s = item.first_source; s < item.first_source + item.sources; ++s) {
      const LevelTerm& term = level.term[s];
      map("a source", term.data, item.batch, term.height, term.width, item.in_channels, 1, false);
    }
    if (item.source) {
      map("the source", item.source, item.batch, item.in_height, item.in_width, item.in_channels, 1, false);
    }
    const int64_t products = int64_t(item.channels) * item.in_channels * item.kernel * item.kernel;
    extents.push_back({"the weight", item.weight, products * itemsize, false});
    extents.push_back({"the bias", item.bias, int64_t(item.channels) * 4, false});
  }
  return extents;
}

}  // namespace hrnet_fast
