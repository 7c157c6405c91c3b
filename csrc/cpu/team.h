// A team of threads that plays steps together: one parallel region, and a barrier after every step.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <exception>
#include <thread>

#ifdef _OPENMP
#include <omp.h>
#endif

namespace hrnet_fast {

// All threads of a team wait for each other; short waits spin, long ones let others run.
class Barrier {
 public:
  void wait(int threads) {
    const int64_t generation = generation_.load(std::memory_order_acquire);
    if (arrived_.fetch_add(1, std::memory_order_acq_rel) + 1 == threads) {
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

  std::atomic<int> arrived_{0};
  std::atomic<int64_t> generation_{0};
};

// OpenMP's threads do not live on in a forked process, where libgomp would wait for them for ever. From this call on, each
// fork first ends those of the forking thread; whoever needs threads afterwards, parent or child, gets new ones.
void let_teams_survive_forks();

// How many threads may play where `asked` are wanted: one inside another parallel region, nowhere more than the calling
// thread has cores.
inline int team_size(int asked) {
#ifdef _OPENMP
  if (asked > 1 && !omp_in_parallel()) return std::min(asked, omp_get_num_procs());
#endif
  return 1;
}

// step(index, part) for every index of [begin, end) and every part of [0, parts): all parts of an index before the next.
// Each thread holds what enter() returns meanwhile. If OpenMP gives fewer threads than there are parts, they share them.
// What a step throws is thrown here, once, and the steps after it are left out.
template <class Enter, class Step>
void play_together(int parts, int64_t begin, int64_t end, const Enter& enter, const Step& step) {
  if (parts == 1) {
    [[maybe_unused]] const auto turn = enter();
    for (int64_t index = begin; index < end; ++index) step(index, 0);
    return;
  }
#ifdef _OPENMP
  Barrier barrier;
  std::atomic<bool> failed{false};
  std::exception_ptr error;
#pragma omp parallel num_threads(parts)
  {
    [[maybe_unused]] const auto turn = enter();
    const int threads = omp_get_num_threads();
    for (int64_t index = begin; index < end; ++index) {
      for (int part = omp_get_thread_num(); part < parts && !failed.load(std::memory_order_relaxed); part += threads) {
        try {
          step(index, part);
        } catch (...) {
          if (!failed.exchange(true)) error = std::current_exception();
        }
      }
      barrier.wait(threads);
    }
  }
  if (error) std::rethrow_exception(error);
#endif
}

}  // namespace hrnet_fast
