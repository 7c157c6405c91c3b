// What ldtilecfg reads (Intel's Software Developer's Manual, volume 1, 18.2): eight whole tiles.
#pragma once

#include <cstdint>

namespace hrnet_fast {

struct alignas(64) TileConfig {
  uint8_t palette = 1, start_row = 0, reserved[14] = {};
  uint16_t row_bytes[16] = {64, 64, 64, 64, 64, 64, 64, 64};
  uint8_t rows[16] = {16, 16, 16, 16, 16, 16, 16, 16};
};
static_assert(sizeof(TileConfig) == 64, "ldtilecfg reads 64 bytes");

}  // namespace hrnet_fast
