// Which thread computes which units of a level's items, unless another one comes before it.
#pragma once

#include <cstdint>
#include <vector>

#include "cpu/program.h"

namespace hrnet_fast {

// The units of an item of the kernels on vectors, and what one costs in vector multiply-adds, or the time of as many.
int64_t units(const Item& item, const std::vector<Map>& maps, const ItemKernels& kernels);
double unit_cost(const Item& item, const std::vector<Map>& maps, const ItemKernels& kernels, int64_t unit);

// Deals the items of every level out in about equal shares of the cost, those of coarse units first. What fits into a
// thread's share goes to it whole, so that its weights pass through one core's cache alone; the others are divided, as
// far as their units allow. Shares are cut into pieces, so that a thread that has done with its own can help one whose
// core is slower, waits for memory, or is busy with something else.
Schedule deal(const std::vector<std::vector<Item>>& levels, const std::vector<Map>& maps, const ItemKernels& kernels,
              int threads);

}  // namespace hrnet_fast
