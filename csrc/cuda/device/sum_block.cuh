// A CTA's share of a sum of maps: kSumGranules granules of the output, which need not begin at a multiple of 16 bytes.
#pragma once

#include "cuda/device/load_tile.cuh"

namespace hrnet_fast {

template <class T>
HRNET_FAST_DEVICE void sum_block(const Level& level, const LevelItem& item, int block) {
  constexpr int kValues = kGranuleValues<T>;
  const int across = ceil_div(item.written, kValues), pixels = item.batch * item.height * item.width;
  wait_for_previous_launch();
  for (int i = thread_index(); i < kSumGranules; i += kThreads) {
    const int granule = block * kSumGranules + i, pixel = granule / across, channel = granule % across * kValues;
    if (pixel >= pixels) break;
    const int x = pixel % item.width, y = pixel / item.width % item.height, n = pixel / item.width / item.height;
    float total[kValues] = {};
    for (int t = item.first_term; t < item.first_term + item.terms && channel < item.in_channels; ++t) {
      add_term<T>(total, level.term[t], n, y, x, channel, item.in_channels, item.border);
    }
    if (item.relu == kReluLast) {
      for (float& value : total) value = relu(value);
    }
    const int at = pixel_index(n, y, x, item.height, item.width, item.channels, item.border);
    T* target = static_cast<T*>(item.out) + at + item.first_channel + channel;
    const int count = least(kValues, item.written - channel);
    if (count == kValues && item.first_channel % kValues == 0) {
      store_global(target, round_granule<T>(total));
      continue;
    }
    for (int v = 0; v < kValues; ++v) {  // a constant bound keeps the values in registers
      T value;
      store(&value, total[v]);
      if (v < count) store_global(target + v, value);
    }
  }
}

}  // namespace hrnet_fast
