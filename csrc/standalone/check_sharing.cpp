// Kernels that only count: every unit of every item is played once by any number of threads, and a slow one is helped.
#include <omp.h>

#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <stdexcept>
#include <thread>
#include <vector>

#include "cpu/program.h"
#include "cpu/team.h"

namespace hrnet_fast {
namespace {

constexpr int kLevels = 20, kItems = 4, kMostUnits = 400, kMostThreads = 16;
std::atomic<int> played[kLevels * kItems][kMostUnits], by_thread[kMostThreads];
bool first_thread_is_slow = false, one_fails = false;

int64_t units(const Item& item, const std::vector<Map>&, const ItemKernels&) { return item.channels; }
double unit_cost(const Item&, const std::vector<Map>&, const ItemKernels&, int64_t) { return 1.0; }

// `channel` numbers the items.
void play(const Item& item, const std::vector<Map>&, void* const*, int64_t begin, int64_t end) {
  if (one_fails && item.channel == kItems) throw std::runtime_error("as planned");
  for (int64_t unit = begin; unit < end; ++unit) ++played[item.channel][unit];
  by_thread[omp_get_thread_num()] += int(end - begin);
  const bool slow = first_thread_is_slow && omp_get_thread_num() == 0;
  std::this_thread::sleep_for(std::chrono::microseconds((slow ? 100 : 10) * (end - begin)));
}

const ItemKernels kCounting = {"counting", 16, play, units, unit_cost};

int64_t units_of(int item) { return item % 3 ? 1 + item * 37 % kMostUnits : 40; }

void check(int threads) {
  for (auto& item : played)
    for (auto& unit : item) unit = 0;
  for (auto& count : by_thread) count = 0;
  Program program(kCounting);
  program.add_map({0, 0, 1, 1, 1, 1});
  for (int i = 0; i < kLevels * kItems; ++i) {
    if (i % kItems == 0) program.add_level();
    Item item{0, i, units_of(i)};
    item.clears_border = false;
    item.winograd = i % 2 ? 2 : 0;
    program.add_item(item);
  }
  float memory[9];
  void* buffers[] = {memory};
  program.run(buffers, 0, kLevels, program.schedule(threads));
  for (int i = 0; i < kLevels * kItems; ++i)
    for (int64_t unit = 0; unit < kMostUnits; ++unit)
      if (played[i][unit] != (unit < units_of(i))) {
        std::printf("%d threads played unit %d of item %d %d times\n", threads, int(unit), i, played[i][unit].load());
        std::exit(1);
      }
}

// A level without items, as one that torch plays, keeps nobody's count from the next one: a team that lost one would
// wait for ever.
void check_empty_steps(int threads) {
  constexpr int64_t kSteps = 20001;
  const auto is_empty = [](int64_t step) { return step % 2 == 0; };
  std::vector<Begun> begun(kSteps * threads);
  std::atomic<int64_t> pieces_played{0};
  play_together(
      threads, kSteps, begun.data(), [] { return 0; }, [&](int64_t step) { return is_empty(step) ? 0 : threads; },
      [&](int64_t step, int) { return is_empty(step) ? 0 : 1; },
      [&](int64_t, int, int64_t) { pieces_played.fetch_add(1, std::memory_order_relaxed); });
  if (pieces_played == kSteps / 2 * threads) return;
  std::printf("%d threads played %d pieces between empty steps\n", threads, int(pieces_played));
  std::exit(1);
}

// What a piece throws reaches the caller, and the levels after it are left out.
void check_failure(int threads) {
  one_fails = true;
  bool caught = false;
  try {
    check(threads);
  } catch (const std::runtime_error&) {
    caught = true;
  }
  one_fails = false;
  if (caught && played[2 * kItems][0] == 0) return;
  std::printf("a failure on %d threads %s\n", threads, caught ? "did not end the run" : "was lost");
  std::exit(1);
}

// Runs at one time share the cores.
void check_team_sizes() {
  const int cores = omp_get_num_procs();
  const Run one;
  const int alone = one.team_size(cores);
  const Run two, three;
  if (alone >= 1 && three.team_size(cores) == std::max(1, alone / 3) && three.team_size(1) == 1) return;
  std::printf("of %d cores, one run has %d and the third %d\n", cores, alone, three.team_size(cores));
  std::exit(1);
}

}  // namespace
}  // namespace hrnet_fast

int main() {
  using namespace hrnet_fast;
  for (int threads = 1; threads <= 5; ++threads) check(threads), check_failure(threads), check(threads);
  for (int run = 0; run < 100; ++run) check_empty_steps(1 + run % 5);
  omp_set_dynamic(1);
  omp_set_num_threads(2);
  check(kMostThreads);  // fewer threads come than are asked for
  omp_set_dynamic(0);
  check_team_sizes();
  if (omp_get_num_procs() == 1) {
    std::printf("once each; one core cannot help another\n");
    return 0;
  }
  first_thread_is_slow = true;
  check(2);
  const int slow = by_thread[0], fast = by_thread[1];
  std::printf(slow < fast / 2 ? "once each; the slow thread is helped\n" : "not helped: %d and %d units\n", slow, fast);
  return slow < fast / 2 ? 0 : 1;
}
