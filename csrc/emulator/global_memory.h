// The memory that launches may touch, and which of them last wrote and read each part of it.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <vector>

#include "emulator/failure.h"

namespace hrnet_fast::emulator {

// Launches are numbered in their order. One must not read what it writes itself, nor write what a later one has
// touched.
class GlobalMemory {
 public:
  struct Region {
    char* begin;
    size_t bytes;
    bool writable;
  };

  explicit GlobalMemory(const std::vector<Region>& regions) {
    for (const Region& region : regions) areas_.push_back({region, std::vector<Part>((region.bytes + 1) / 2)});
    std::sort(areas_.begin(), areas_.end(),
              [](const Area& a, const Area& b) { return a.region.begin < b.region.begin; });
  }

  void read(const void* source, void* value, size_t size, int launch) {
    Part* part = parts("reads", source, size, false);
    for (size_t i = 0; i < (size + 1) / 2; ++i) {
      if (part[i].written >= launch) fail("launch ", launch, " reads what launch ", part[i].written, " writes");
      part[i].read = std::max(part[i].read, int16_t(launch));
    }
    memcpy(value, source, size);
  }

  void write(void* target, const void* value, size_t size, int launch) {
    Part* part = parts("writes", target, size, true);
    for (size_t i = 0; i < (size + 1) / 2; ++i) {
      if (part[i].written >= launch) fail("launch ", launch, " writes what launch ", part[i].written, " has written");
      if (part[i].read >= launch) fail("launch ", launch, " writes what launch ", part[i].read, " has read");
      part[i].written = int16_t(launch);
    }
    memcpy(target, value, size);
  }

 private:
  struct Part {  // two bytes
    int16_t written = -1, read = -1;
  };
  struct Area {
    Region region;
    std::vector<Part> parts;
  };

  Part* parts(const char* what, const void* address, size_t size, bool write) {
    const char* at = static_cast<const char*>(address);
    if (reinterpret_cast<uintptr_t>(at) % size) fail("a thread ", what, " ", size, " bytes that are not aligned");
    auto after = std::upper_bound(areas_.begin(), areas_.end(), at,
                                  [](const char* a, const Area& area) { return a < area.region.begin; });
    if (after == areas_.begin()) fail("a thread ", what, " ", size, " bytes before all memory that is given");
    Area& area = *--after;
    const size_t offset = size_t(at - area.region.begin);
    if (offset + size > area.region.bytes) {
      fail("a thread ", what, " bytes ", offset, " to ", offset + size, " of a tensor of ", area.region.bytes);
    }
    if (write && !area.region.writable) fail("a thread writes to a tensor that is only read");
    return &area.parts[offset / 2];
  }

  std::vector<Area> areas_;
};

}  // namespace hrnet_fast::emulator
