// A Level on the host: what is wrong with it, its grid, its shared memory. No torch header.
#pragma once

#include <algorithm>
#include <iterator>
#include <sstream>
#include <string>

#include "cuda/device/conv_layout.h"

namespace hrnet_fast {

inline bool is_sum(const LevelItem& item) { return item.weight == nullptr; }

// Whether a 32-bit index reaches all of a bordered map.
inline bool is_reached(int64_t batch, int64_t height, int64_t width, int64_t channels) {
  return batch * (height + 2) * (width + 2) * channels <= INT32_MAX;
}

// What is wrong with terms [first, first + count) of an item, or an empty string.
inline std::string term_refusal(const Level& level, const LevelItem& item, int first, int count) {
  std::ostringstream why;
  if (first < 0 || count < 0 || first + count > level.terms) {
    why << "its terms are not among the level's " << level.terms;
    return why.str();
  }
  for (int t = first; t < first + count; ++t) {
    const LevelTerm& term = level.term[t];
    const bool as_it_is = term.mode == 0, differs = term.height != item.height || term.width != item.width;
    if (term.mode < 0 || term.mode > 3 || term.height < 1 || term.width < 1 || (as_it_is && differs)) {
      why << "a term of " << term.height << "x" << term.width << " does not become " << item.height << "x" << item.width
          << " by mode " << term.mode;
      break;
    }
    if (!is_reached(item.batch, term.height, term.width, std::max(item.channels, item.in_channels))) {
      why << "a term has more elements than a 32-bit index reaches";
      break;
    }
  }
  return why.str();
}

// One sentence on why the kernel cannot compute an item by itself, or an empty string.
inline std::string item_refusal(const Level& level, const LevelItem& item, int itemsize) {
  const int values = 16 / itemsize;
  const std::string terms = term_refusal(level, item, item.first_term, item.terms);
  const std::string sources = term_refusal(level, item, item.first_source, item.sources);
  std::ostringstream why;
  if (item.batch < 1 || item.height < 1 || item.width < 1 || item.channels < 8 || item.channels % 8 ||
      item.in_channels < 8 || item.in_channels % 8) {
    why << "its maps, " << item.batch << " of " << item.height << "x" << item.width << " with " << item.in_channels
        << " and " << item.channels << " channels, are empty or not padded to a multiple of 8 channels";
  } else if (!is_reached(item.batch, item.height, item.width, item.channels) ||
             !is_reached(item.batch, item.in_height, item.in_width, item.in_channels)) {
    why << "one of its maps has more elements than a 32-bit index reaches";
  } else if (!terms.empty() || !sources.empty()) {
    why << (terms.empty() ? sources : terms);
  } else if (is_sum(item)) {
    if (item.terms < 1) why << "a sum needs at least one term";
    if (item.first_channel < 0 || item.written < 1 || item.first_channel + item.written > item.channels) {
      why << "it writes channels " << item.first_channel << " to " << item.first_channel + item.written << " of "
          << item.channels;
    }
    if (item.border < 0 || item.border > 1) why << "its maps have a border of " << item.border;
  } else if (item.kernel < 1 || item.kernel > 3 || item.stride < 1 || item.stride > 2 || item.padding < 0 ||
             item.padding > 1) {
    why << "kernel " << item.kernel << ", stride " << item.stride << ", padding " << item.padding
        << " is not at most 3, 2 and 1";
  } else if (item.sources == 0 && ((item.in_height + 2 * item.padding - item.kernel) / item.stride + 1 != item.height ||
                                   (item.in_width + 2 * item.padding - item.kernel) / item.stride + 1 != item.width)) {
    why << "a convolution of " << item.in_height << "x" << item.in_width << " does not give " << item.height << "x"
        << item.width;
  } else if (item.sources > 0 && (item.kernel != 1 || item.stride != 1 || item.padding != 0)) {
    why << "only a pointwise convolution can form its source";
  } else if (item.steps > 0 && (item.source != nullptr) == (item.sources > 0)) {
    why << "a convolution reads one map or forms its source";
  } else if (std::count(std::begin(kWarpColumns), std::end(kWarpColumns), item.warp_columns) == 0) {
    why << "no kernel gives a warp " << item.warp_columns << " output channels";
  } else if (item.warps_m < 1 || item.warps_n < 1 || item.warps_m * item.warps_n * item.warps_k != kWarps) {
    why << item.warps_m << " x " << item.warps_n << " x " << item.warps_k << " warps are not " << kWarps;
  } else if (item.tile_height < 1 || item.tile_width < 1 ||
             item.tile_height * item.tile_width > kWarpRows * item.warps_m) {
    why << "a tile of " << item.tile_height << "x" << item.tile_width << " pixels does not fit " << item.warps_m
        << " times " << kWarpRows;
  } else if (item.grouped && item.warps_m % kGroupWarps) {
    why << item.warps_m << " warps that share the pixels are no warpgroups";
  } else if (item.rounds < 1) {
    why << "a CTA computes " << item.rounds << " tiles";
  } else if (item.chunk < values || item.chunk % values || item.chunk > item.in_channels) {
    why << "a chunk of " << item.chunk << " channels is no multiple of " << values << " up to " << item.in_channels;
  }
  return why.str();
}

// What is wrong between step s of a chain and the next one, or an empty string.
inline std::string link_refusal(const LevelItem* steps, int s, int itemsize) {
  const LevelItem &item = steps[s], &reader = steps[s + 1];
  std::ostringstream why;
  if (is_sum(reader) || reader.steps != 0 || reader.source || reader.sources) {
    why << "step " << s + 1 << " of a chain is no convolution of what the step before leaves";
  } else if (item.out || item.terms || item.warps_k != 1) {
    why << "step " << s << " of a chain, which is not its last, has an output, terms, or warps that share K";
  } else if (item.batch != reader.batch || item.height != reader.in_height || item.width != reader.in_width ||
             item.channels != reader.in_channels) {
    why << "step " << s << " of a chain does not leave what the next one reads";
  } else {
    const ConvLayout read = step_layout(reader, false, true, itemsize);
    if (item.tile_height != read.halo_height || item.tile_width != read.halo_width) {
      why << "step " << s << " of a chain has a tile of " << item.tile_height << "x" << item.tile_width
          << ", and the next one reads " << read.halo_height << "x" << read.halo_width;
    }
  }
  return why.str();
}

// What is wrong with the chain of convolutions, or the one alone, that begins with item `first`, or an empty string.
inline std::string chain_refusal(const Level& level, int first, int itemsize) {
  const LevelItem* steps = &level.item[first];
  const int count = steps->steps, last = count - 1;
  std::ostringstream why;
  if (count < 1 || count > kMostSteps || first + count > level.items) {
    why << "a chain of " << count << " steps is not of 1 to " << kMostSteps << " of the level's items";
    return why.str();
  }
  for (int s = 0; s < last; ++s) {
    const std::string link = link_refusal(steps, s, itemsize);
    if (!link.empty()) return link;
  }
  int pieces = 0, rounds = 1;
  bool same_size = true;
  for (int s = 0; s < count; ++s) {
    const LevelItem& item = steps[s];
    const ConvLayout layout = step_layout(item, s == 0, count > 1, itemsize);
    pieces += layout.passes * layout.chunks;
    rounds = std::max(rounds, item.rounds);
    same_size = same_size && item.stride == 1 && item.height == item.in_height && item.width == item.in_width;
  }
  const LevelItem &begin = steps[0], &end = steps[last];
  if (!end.out) {
    why << "a convolution has no output";
  } else if (rounds > 1 && (count > 1 || begin.sources > 0 || begin.chunk != begin.in_channels)) {
    why << "only a convolution alone, whose weights are one chunk, computes " << rounds << " tiles a CTA";
  } else if (begin.sources > 0 && (count > 1 || begin.stages != pieces)) {
    why << "a convolution that forms its source is alone and forms it at once: " << begin.stages << " stages for "
        << pieces << " chunks";
  } else if (begin.stages < std::min(2, pieces) || begin.stages > std::min(kMostStages, pieces)) {
    why << begin.stages << " stages do not go with " << pieces << " chunks";
  } else if (end.kept &&
             (count == 1 || end.terms < 1 || level.term[end.first_term].mode != 0 ||
              level.term[end.first_term].data != begin.source || !same_size || begin.in_channels != end.channels)) {
    why << "only a chain whose first term is its source, at the size of its output, keeps that";
  }
  return why.str();
}

// Items that play one after another from item i on.
inline int steps_from(const Level& level, int i) { return is_sum(level.item[i]) ? 1 : level.item[i].steps; }

// One sentence on why the kernel cannot compute a level, or an empty string.
inline std::string level_refusal(const Level& level, int itemsize) {
  if (level.items < 1 || level.items > kMostItems || level.terms < 0 || level.terms > kMostTerms) {
    return "a level has 1 to " + std::to_string(kMostItems) + " items and at most " + std::to_string(kMostTerms) +
           " terms";
  }
  for (int i = 0; i < level.items; ++i) {
    const std::string why = item_refusal(level, level.item[i], itemsize);
    if (!why.empty()) return "item " + std::to_string(i) + ": " + why;
  }
  for (int i = 0; i < level.items; i += steps_from(level, i)) {
    const std::string why = is_sum(level.item[i]) ? "" : chain_refusal(level, i, itemsize);
    if (!why.empty()) return "item " + std::to_string(i) + ": " + why;
  }
  return "";
}

// What the kernel takes, of a level that has no refusal.
inline LevelLaunch make_launch(const Level& level, int itemsize) {
  LevelLaunch launch = {};
  launch.level = level;
  int end = 0;
  for (int i = 0, steps; i < level.items; i += steps) {
    const LevelItem& item = level.item[i];
    steps = steps_from(level, i);
    if (is_sum(item)) {
      const int64_t granules = int64_t(item.batch) * item.height * item.width * ceil_div(item.written, 16 / itemsize);
      end += int((granules + kSumGranules - 1) / kSumGranules);
    } else {
      const int last = i + steps - 1;
      const LevelItem& written = level.item[last];
      conv_layouts(&item, has_early_term(level, item), itemsize, &launch.layout[i]);
      const ConvLayout& layout = launch.layout[last];
      launch.tiles_y[last] = ceil_div(written.height, written.tile_height);
      launch.tiles_x[last] = ceil_div(written.width, written.tile_width);
      end += ceil_div(item.batch * launch.tiles_y[last] * launch.tiles_x[last], item.rounds) *
             ceil_div(written.channels, layout.columns * layout.passes);
    }
    std::fill_n(&launch.end[i], steps, end);  // a CTA finds the first step of its chain
  }
  return launch;
}

inline int level_blocks(const LevelLaunch& launch) { return launch.end[launch.level.items - 1]; }

// Shared memory of a CTA: what the hungriest convolution needs.
inline uint32_t level_shared_bytes(const LevelLaunch& launch) {
  uint32_t most = 0;
  for (int i = 0; i < launch.level.items; ++i) most = std::max(most, launch.layout[i].total);
  return most;
}

}  // namespace hrnet_fast
