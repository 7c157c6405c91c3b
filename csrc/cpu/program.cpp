// How a Program is shared among threads: a barrier a level, and the units of a level dealt out by their cost.
#include "cpu/program.h"

#include <algorithm>
#include <atomic>
#include <thread>

#ifdef _OPENMP
#include <omp.h>
#endif

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

}  // namespace

double Item::cost(const std::vector<Map>& maps) const {
  const Map& to = maps[out];
  const double work = in < 0 ? 0.0 : double(taps.size() * maps[in].channels);
  const double pixels = double(to.batch * to.height * to.width) * double(channels);
  return pixels * (work + 8.0 * double(summands.size() + 1));  // moving a value takes about as long as 8 multiply-adds
}

int64_t units(const Item& item, const std::vector<Map>& maps) {
  const Map& to = maps[item.out];
  const int64_t vectors = (item.channels + 15) / 16;
  const int64_t blocks = item.in < 0 ? 1 : vectors == 1 ? 1 : vectors / 2;
  return blocks * ((to.batch * to.height * to.width + kUnit - 1) / kUnit);
}

int Program::add_map(const Map& map) {
  maps_.push_back(map);
  return int(maps_.size()) - 1;
}

void Program::run_level(int64_t level, float* const* buffers, int thread, int threads) const {
  const std::vector<Item>& items = levels_[level];
  double total = 0.0;
  for (const Item& item : items) total += item.cost(maps_);
  // This thread's share of the level's cost, as a range; every item takes the units that fall into it.
  const double from = total * thread / threads, to = total * (thread + 1) / threads;
  double start = 0.0;
  for (const Item& item : items) {
    const double cost = item.cost(maps_);
    const int64_t count = units(item, maps_);
    const auto unit_at = [&](double where) {
      return std::clamp(int64_t((where - start) / cost * double(count) + 0.5), int64_t(0), count);
    };
    const int64_t begin = thread == 0 ? 0 : unit_at(from);
    const int64_t end = thread == threads - 1 ? count : unit_at(to);
    if (begin == 0 && end > 0) clear_border(item, maps_[item.out], buffers[maps_[item.out].buffer]);
    if (begin < end) run_item__avx512(item, maps_, buffers, begin, end);
    start += cost;
  }
}

void Program::run(float* const* buffers, int64_t begin, int64_t end) const {
#ifdef _OPENMP
  if (omp_get_max_threads() > 1 && !omp_in_parallel()) {
    Barrier* barrier = nullptr;
#pragma omp parallel
    {
#pragma omp single
      barrier = new Barrier(omp_get_num_threads());
      for (int64_t level = begin; level < end; ++level) {
        run_level(level, buffers, omp_get_thread_num(), omp_get_num_threads());
        barrier->wait();
      }
    }
    delete barrier;
    return;
  }
#endif
  for (int64_t level = begin; level < end; ++level) run_level(level, buffers, 0, 1);
}

}  // namespace hrnet_fast
