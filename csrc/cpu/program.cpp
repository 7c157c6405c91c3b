// How a Program is shared among threads: a barrier a level, and the units of a level dealt out by their cost.
#include "cpu/program.h"

#include <algorithm>
#include <atomic>
#include <thread>

#ifdef _OPENMP
#include <omp.h>
#endif

#include "cpu/features.h"

namespace hrnet_fast {
namespace {

// All threads of a team wait for each other; short waits spin, long ones let others run.
class Barrier {
 public:
  explicit Barrier(int threads) : threads_(threads) {}

  void wait() {
    const int64_t generation = generation_.load(std::memory_order_acquire);
    if (arrived_.fetch_add(1, std::memory_order_acq_rel) + 1 == threads_) {
      arrived_.store(0, std::memory_order_relaxed);
      generation_.store(generation + 1, std::memory_order_release);
      return;
    }
    for (int spins = 0; generation_.load(std::memory_order_acquire) == generation; ++spins) {
      if (spins < 4096) {
        pause();
      } else {
        std::this_thread::yield();
      }
    }
  }

 private:
  static void pause() {
#if defined(__x86_64__)
    __builtin_ia32_pause();
#endif
  }

  const int threads_;
  std::atomic<int> arrived_{0};
  std::atomic<int64_t> generation_{0};
};

// An item clears the border of its map in the unit that comes first.
void clear_border(const Item& item, const Map& map, float* data) {
  if (!item.clears_border) return;
  for (int64_t n = 0; n < map.batch; ++n) {
    float* image = data + map.offset + n * map.image();
    std::fill_n(image, map.row(), 0.0f);
    std::fill_n(image + (map.height + 1) * map.row(), map.row(), 0.0f);
    for (int64_t y = 1; y <= map.height; ++y) {
      std::fill_n(image + y * map.row(), map.channels, 0.0f);
      std::fill_n(image + (y + 1) * map.row() - map.channels, map.channels, 0.0f);
    }
  }
}

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
  if (winograd == 0) return pixels * double(channels) * (double(taps.size()) * inputs + move);
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
#endif
  return nullptr;
}

int Program::add_map(const Map& map) {
  maps_.push_back(map);
  return int(maps_.size()) - 1;
}

// Every item is dealt out evenly, so that all threads read weights at once: one core alone cannot use the memory's
// bandwidth. Units left over go to the threads that have the least to do.
const Schedule& Program::schedule(int threads) const {
  const std::lock_guard<std::mutex> lock(mutex_);
  const auto [found, is_new] = schedules_.try_emplace(threads);
  if (!is_new) return found->second;
  for (const std::vector<Item>& items : levels_) {
    std::vector<double> load(threads, 0.0);
    std::vector<std::vector<int64_t>>& level = found->second.begins.emplace_back();
    for (const Item& item : items) {
      const int64_t count = units(item, maps_, kernels_->lanes);
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
  return found->second;
}

void Program::run_level(int64_t level, const Schedule& schedule, float* const* buffers, int thread) const {
  for (size_t i = 0; i < levels_[level].size(); ++i) {
    const Item& item = levels_[level][i];
    const int64_t begin = schedule.begins[level][i][thread], end = schedule.begins[level][i][thread + 1];
    if (begin == 0 && end > 0) clear_border(item, maps_[item.out], buffers[maps_[item.out].buffer]);
    if (begin < end) kernels_->run(item, maps_, buffers, begin, end);
  }
}

void Program::run(float* const* buffers, int64_t begin, int64_t end) const {
#ifdef _OPENMP
  if (omp_get_max_threads() > 1 && !omp_in_parallel()) {
    const Schedule* shared = nullptr;
    Barrier* barrier = nullptr;
#pragma omp parallel
    {
#pragma omp single
      {
        shared = &schedule(omp_get_num_threads());
        barrier = new Barrier(omp_get_num_threads());
      }
      for (int64_t level = begin; level < end; ++level) {
        run_level(level, *shared, buffers, omp_get_thread_num());
        barrier->wait();
      }
    }
    delete barrier;
    return;
  }
#endif
  const Schedule& alone = schedule(1);
  for (int64_t level = begin; level < end; ++level) run_level(level, alone, buffers, 0);
}

}  // namespace hrnet_fast
