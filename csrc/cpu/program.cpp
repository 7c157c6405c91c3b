// How a Program is shared among threads: a barrier a level, and the units of a level dealt out by their cost.
#include "cpu/program.h"

#include <algorithm>
#include <cstring>

#include "cpu/features.h"
#include "cpu/team.h"

namespace hrnet_fast {
namespace {

// An item clears the border of its map in the unit that comes first, and the tail behind the map.
void clear_border(const Item& item, const Map& map, void* buffer, const ItemKernels& kernels) {
  if (!item.clears_border) return;
  const auto clear = [&](int64_t at, int64_t count) {
    std::memset(static_cast<char*>(buffer) + at * kernels.element_bytes, 0, count * kernels.element_bytes);
  };
  for (int64_t n = 0; n < map.batch; ++n) {
    const int64_t image = map.offset + n * map.image();
    clear(image, map.row());
    clear(image + (map.height + 1) * map.row(), map.row());
    for (int64_t y = 1; y <= map.height; ++y) {
      clear(image + y * map.row(), map.channels);
      clear(image + (y + 1) * map.row() - map.channels, map.channels);
    }
  }
  clear(map.offset + map.batch * map.image(), kernels.tail);
}

// A thread's part in a run: what its registers need before and after.
class Turn {
 public:
  explicit Turn(const ItemKernels& kernels) : kernels_(kernels) {
    if (kernels_.enter) kernels_.enter();
  }
  ~Turn() {
    if (kernels_.leave) kernels_.leave();
  }
  Turn(const Turn&) = delete;

 private:
  const ItemKernels& kernels_;
};

int64_t tile_count(const Item& item, const Map& map) {
  const int64_t m = item.winograd;
  return map.batch * ((map.height + m - 1) / m) * ((map.width + m - 1) / m);
}

}  // namespace

double Item::cost(const std::vector<Map>& maps) const {
  const Map& to = maps[out];
  const double pixels = double(to.batch * to.height * to.width), move = 8.0 * double(summands.size() + 1);
  if (in < 0) return pixels * double(channels) * move;  // moving a value takes about as long as 8 multiply-adds
  const double inputs = double(maps[in].channels);
  if (winograd == 0) return pixels * double(channels) * (double(taps.size()) * double(tap_length) + move);
  const double m = winograd, positions = (m + 2) * (m + 2), tiles = double(tile_count(*this, to));
  return tiles * (positions * inputs * double(channels) + 5 * positions * inputs + (4 * positions + m * m * move) * double(channels));
}

int64_t units(const Item& item, const std::vector<Map>& maps, int64_t lanes) {
  const Map& to = maps[item.out];
  const int64_t blocks = item.in < 0 ? 1 : block_count((item.channels + lanes - 1) / lanes);
  const int64_t things = item.winograd ? tile_count(item, to) : to.batch * to.height * to.width;
  const int64_t group = item.winograd ? item.group : kUnit;
  return blocks * ((things + group - 1) / group);
}

const ItemKernels* item_kernels(std::string_view isa) {
  if (isa.empty()) isa = cpu_isa();
#if defined(__x86_64__)
  if (isa == "avx512" && cpu_features().avx512f) return &kItems__avx512;
  if (isa == "avx2" && cpu_features().avx2) return &kItems__avx2;
  if (isa == "amx") return items__amx();
  if (isa == "amx-emulated") return items__amx_emulated();
#endif
  return nullptr;
}

int Program::add_map(const Map& map) {
  maps_.push_back(map);
  need(map.buffer, map.offset + map.batch * map.image() + kernels_->tail);
  return int(maps_.size()) - 1;
}

void Program::need(int buffer, int64_t elements) {
  if (int(room_.size()) <= buffer) room_.resize(buffer + 1);
  room_[buffer] = std::max(room_[buffer], elements);
}

bool Program::has_run() const {
  const std::lock_guard<std::mutex> lock(mutex_);
  return !schedules_.empty();
}

// Every item is dealt out evenly, so that all threads read weights at once: one core alone cannot use the memory's
// bandwidth. Units left over go to the threads that have the least to do.
const Schedule& Program::schedule(int threads) const {
  const std::lock_guard<std::mutex> lock(mutex_);
  if (const auto found = schedules_.find(threads); found != schedules_.end()) return found->second;
  Schedule made;
  for (const std::vector<Item>& items : levels_) {
    std::vector<double> load(threads, 0.0);
    std::vector<std::vector<int64_t>>& level = made.begins.emplace_back();
    for (const Item& item : items) {
      const int64_t count = kernels_->units(item, maps_);
      const double cost = item.cost(maps_) / double(count);
      std::vector<int64_t> own(threads, count / threads);
      for (int64_t left = count % threads; left > 0; --left) {
        const auto idle = std::min_element(load.begin(), load.end());
        own[idle - load.begin()] += 1;
        *idle += cost;
      }
      for (int t = 0; t < threads; ++t) load[t] += cost * double(count / threads);
      std::vector<int64_t>& begins = level.emplace_back(1, 0);
      for (const int64_t part : own) begins.push_back(begins.back() + part);
    }
  }
  return schedules_.emplace(threads, std::move(made)).first->second;
}

void Program::run_level(int64_t level, const Schedule& schedule, void* const* buffers, int thread) const {
  for (size_t i = 0; i < levels_[level].size(); ++i) {
    const Item& item = levels_[level][i];
    const int64_t begin = schedule.begins[level][i][thread], end = schedule.begins[level][i][thread + 1];
    if (begin == 0 && end > 0) clear_border(item, maps_[item.out], buffers[maps_[item.out].buffer], *kernels_);
    if (begin < end) kernels_->run(item, maps_, buffers, begin, end);
  }
}

void Program::run(void* const* buffers, int64_t begin, int64_t end, int threads) const {
  const int parts = team_size(threads);
  const Schedule& shared = schedule(parts);
  play_together(
      parts, begin, end, [&] { return Turn(*kernels_); },
      [&](int64_t level, int part) { run_level(level, shared, buffers, part); });
}

}  // namespace hrnet_fast
