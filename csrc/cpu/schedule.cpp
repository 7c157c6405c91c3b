#include "cpu/schedule.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "cpu/direct_units.h"

namespace hrnet_fast {
namespace {

// Found by timing: vector multiply-adds that take as long as the epilogue of a vector of one pixel, as the transform of
// a vector of one position of a patch, of its products, and of plain weights into a row of positions; as a shuffled
// element; and floats of weights that arrive during one of them; the part of a vector's work that one of fours takes.
// hrnet_fast/engine/cpu/conv_kernels.py chooses kernels by its own figures.
constexpr double kEpilogue = 26, kPatch = 10, kProduct = 7, kWeights = 60, kShuffle = 2, kStream = 2, kFours = 0.4;
constexpr double kPieces = 12;  // of a thread's share of a level, about
constexpr double kOver = 1.1;   // of an even share: what whole items may make up

int64_t vectors_of(const Item& item, const ItemKernels& kernels) {
  return (item.channels + kernels.lanes - 1) / kernels.lanes;
}

int64_t tile_count(const Item& item, const Map& map) {
  const int64_t m = item.winograd;
  return map.batch * ((map.height + m - 1) / m) * ((map.width + m - 1) / m);
}

int64_t groups_of(const Item& item, const Map& to) {
  const int64_t things = item.winograd ? tile_count(item, to) : to.batch * to.height * to.width;
  const int64_t group = item.winograd ? item.group : kUnit;
  return (things + group - 1) / group;
}

// Vectors of a block of outputs, or the work of as many.
double width_of(const Item& item, const ItemKernels& kernels, int64_t block) {
  const int64_t vectors = vectors_of(item, kernels);
  const bool fours = block + 1 == block_count(vectors) && ends_in_fours(item, kernels.lanes);
  return double(block_vectors(vectors, 2 * block)) - (fours ? 1.0 - kFours : 0.0);
}

// Of a vector of one pixel.
double epilogue(const Item& item) { return kEpilogue / 2 * double(item.summands.size() + 1); }

double direct_cost(const Item& item, const std::vector<Map>& maps, const ItemKernels& kernels, int64_t unit) {
  const DirectUnits units(item, maps, kernels.lanes);
  const DirectUnits::Unit own = units.at(unit);
  const int64_t count = std::min(kUnit, units.pixels - own.group * kUnit);
  const double width = width_of(item, kernels, own.block);
  const double products = double(item.taps.size()) * double(item.tap_words);
  // Fewer than four pixels take as long as four.
  return double(std::max<int64_t>(4, count)) * width * (products + epilogue(item));
}

double winograd_cost(const Item& item, const std::vector<Map>& maps, const ItemKernels& kernels, int64_t unit) {
  const int64_t vectors = vectors_of(item, kernels), blocks = block_count(vectors);
  const double inputs = double(maps[item.in].channels), words = std::ceil(inputs / double(kernels.per_word));
  const double positions = double((item.winograd + 2) * (item.winograd + 2)),
               width = width_of(item, kernels, unit % blocks);
  const int64_t tiles = std::min(item.group, tile_count(item, maps[item.out]) - unit / blocks * item.group);
  const double product = positions * words * width;
  const double own =
      double(tiles) * positions * kPatch * std::max(1.0, inputs / double(kernels.lanes)) / double(blocks);
  const double rows = item.plain_weights ? inputs * width * double(item.winograd + 2) * kWeights : 0.0;
  return std::max(product * double(std::max<int64_t>(4, (tiles + 1) / 2 * 2)),
                  product * double(kernels.lanes) / kStream) +
         rows + own + double(tiles) * width * positions * kProduct;
}

// Where each thread's share of an item's units begins, and where the last one ends.
std::vector<int64_t> shares(const std::vector<double>& costs, std::vector<double>& load) {
  const double total = std::accumulate(costs.begin(), costs.end(), 0.0);
  const double even = (std::accumulate(load.begin(), load.end(), 0.0) + total) / double(load.size());
  std::vector<int64_t> begins{0};
  int64_t unit = 0;
  double behind = 0.0;  // what the threads so far should have taken beyond what they took
  for (double& own : load) {
    double room = even - own + behind;
    const bool last = &own == &load.back();
    for (; unit < int64_t(costs.size()) && (last || room >= costs[unit] / 2); ++unit) {
      room -= costs[unit];
      own += costs[unit];
    }
    behind = room;
    begins.push_back(unit);
  }
  return begins;
}

// An item of a level: what its units cost.
struct ItemCost {
  int64_t item, together;  // units of a group of Winograd's tiles, which share their transformed patches; else 1
  std::vector<double> units;
  double sum, coarsest;

  ItemCost(const Item& it, const std::vector<Map>& maps, const ItemKernels& kernels, int64_t item)
      : item(item),
        together(it.winograd ? block_count(vectors_of(it, kernels)) : 1),
        units(kernels.units(it, maps, kernels)) {
    for (size_t unit = 0; unit < units.size(); ++unit)
      units[unit] = kernels.unit_cost(it, maps, kernels, int64_t(unit));
    sum = std::accumulate(units.begin(), units.end(), 0.0);
    coarsest = *std::max_element(units.begin(), units.end());
  }

  // Cuts [begin, end) into pieces of at least a cost, and only where a multiple of `together` units is complete.
  void cut(int64_t begin, int64_t end, double least, std::vector<Piece>& pieces) const {
    double cost = 0.0;
    for (int64_t unit = begin; unit < end; ++unit) {
      cost += units[unit];
      if (unit + 1 < end && (cost < least || (unit + 1) % together != 0)) continue;
      pieces.push_back({item, begin, unit + 1});
      begin = unit + 1, cost = 0.0;
    }
  }
};

}  // namespace

int64_t units(const Item& item, const std::vector<Map>& maps, const ItemKernels& kernels) {
  const int64_t vectors = vectors_of(item, kernels);
  if (item.kind == Kind::mean) return maps[item.out].batch * ((vectors + kMeanVectors - 1) / kMeanVectors);
  return (item.kind == Kind::convolution ? block_count(vectors) : 1) * groups_of(item, maps[item.out]);
}

double unit_cost(const Item& item, const std::vector<Map>& maps, const ItemKernels& kernels, int64_t unit) {
  const Map& to = maps[item.out];
  const double pixels = double(std::min(kUnit, to.batch * to.height * to.width - unit * kUnit));
  switch (item.kind) {
    case Kind::mean: return double(maps[item.in].height * maps[item.in].width * kMeanVectors);
    case Kind::shuffle: return pixels * double(item.channels) * kShuffle;
    case Kind::sum: return pixels * double(vectors_of(item, kernels)) * epilogue(item);
    default: return (item.winograd ? winograd_cost : direct_cost)(item, maps, kernels, unit);
  }
}

Schedule deal(const std::vector<std::vector<Item>>& levels, const std::vector<Map>& maps, const ItemKernels& kernels,
              int threads) {
  Schedule made{threads, {}, {}};
  for (const std::vector<Item>& items : levels) {
    std::vector<ItemCost> costs;
    for (size_t i = 0; i < items.size(); ++i) costs.emplace_back(items[i], maps, kernels, int64_t(i));
    double total = 0.0;
    for (const ItemCost& cost : costs) total += cost.sum;
    const double share = total / threads;
    std::vector<double> load(threads, 0.0);
    std::vector<std::vector<Piece>>& level = made.pieces.emplace_back(threads);
    std::stable_sort(costs.begin(), costs.end(),
                     [](const ItemCost& a, const ItemCost& b) { return a.coarsest > b.coarsest; });
    for (const ItemCost& cost : costs) {
      const auto least = std::min_element(load.begin(), load.end());
      if (*least + cost.sum <= share * kOver) {
        *least += cost.sum;
        cost.cut(0, int64_t(cost.units.size()), share / kPieces, level[least - load.begin()]);
        continue;
      }
      const std::vector<int64_t> begins = shares(cost.units, load);
      for (int t = 0; t < threads; ++t) cost.cut(begins[t], begins[t + 1], share / kPieces, level[t]);
    }
    made.counts.push_back(0);
    for (const std::vector<Piece>& own : level) made.counts.back() += int64_t(own.size());
  }
  return made;
}

}  // namespace hrnet_fast
