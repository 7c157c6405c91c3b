// A team of threads that plays steps together in one parallel region.
#pragma once

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <exception>
#include <mutex>
#include <string>

#ifdef _OPENMP
#include <omp.h>
#endif

namespace hrnet_fast {

// Threads whose pieces a thread plays, its own first. More would cost many threads more than it spares them: looking at
// what another core wrote takes as long as a few hundred multiply-adds.
constexpr int kHelped = 8;

// How many of a thread's pieces of a step were begun, by whomever.
struct alignas(64) Begun {
  std::atomic<int64_t> count{0};
};

// Which step a team is at: the first one of which a piece is not complete. A thread that its core has left keeps nobody
// waiting, unless in the middle of a piece.
class Progress {
 public:
  int64_t step() const { return step_.load(std::memory_order_acquire); }

  // Waits until `step`, of which `pieces` were to be played and this thread has played `played`, is complete; false if
  // a thread has failed. Short waits spin. Long ones sleep, which leaves the core to whoever keeps the others waiting.
  bool complete(int64_t step, int64_t played, int64_t pieces) {
    const bool last = played > 0 && played_.fetch_add(played) + played == pieces;
    if (last) played_.store(0, std::memory_order_relaxed);  // nobody adds to it before the next step
    if (last || pieces == 0) {                              // an empty step, which others may have left by now
      int64_t own = step;
      step_.compare_exchange_strong(own, step + 1);
      wake();
    }
    for (int spins = 0; spins < kSpins; ++spins) {
      if (is_past(step)) return !failed_;
      pause();
    }
    sleepers_.fetch_add(1);
    std::unique_lock<std::mutex> lock(mutex_);
    woken_.wait(lock, [&] { return is_past(step); });
    sleepers_.fetch_sub(1);
    return !failed_;
  }

  void fail(std::exception_ptr error) {
    if (!failed_.exchange(true)) error_ = error;
    wake();
  }
  void rethrow() const {
    if (error_) std::rethrow_exception(error_);
  }

 private:
  static constexpr int kSpins = 8192;  // 0.1 to 0.4 ms

  bool is_past(int64_t step) const { return step_.load() > step || failed_.load(); }
  void wake() {
    if (sleepers_.load() == 0) return;  // whoever comes later sees what has changed
    {
      const std::lock_guard<std::mutex> lock(mutex_);
    }
    woken_.notify_all();
  }
  static void pause() {
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("isb");  // takes about as long; `yield` does nothing on most cores
#endif
  }

  // Those that wait read one cache line, and those that have played write another.
  alignas(64) std::atomic<int64_t> played_{0};
  alignas(64) std::atomic<int64_t> step_{0};
  std::atomic<bool> failed_{false};
  std::atomic<int> sleepers_{0};
  std::mutex mutex_;
  std::condition_variable woken_;
  std::exception_ptr error_;
};

// OpenMP's threads do not live on in a forked process, where libgomp would wait for them for ever. From this call on,
// each fork first ends those of the forking thread; whoever needs threads afterwards, parent or child, gets new ones.
void let_teams_survive_forks();

// Cores that the control groups of this process leave it the time of, rounded up, as `docker --cpus` and Kubernetes set
// them; 0 for no limit. root: where /proc and /sys lie.
int cores_of_quota(const std::string& root = "/");

// A run of a team, from the choice of its size on. Those of a process at one time share its cores, lest their threads
// wait for cores that other teams' threads have.
class Run {
 public:
  Run();
  ~Run();
  Run(const Run&) = delete;

  // How many threads may play where `asked` are wanted: one inside another parallel region, nowhere more than the
  // calling thread has cores, or its control group the time of.
  int team_size(int asked) const;

  // Computes no more: others may have its cores. The destructor does so otherwise.
  void end();

 private:
  int running_;  // this one too; 0 once it has ended
};

// Plays steps [0, steps) by a team of `parts` threads: all pieces of a step before any of the next one. Each thread
// plays its own pieces in their order, and then what others have not begun.
//
// pieces(step): in all; pieces_of(step, part): those of one thread; play(step, part, piece). begun: zeros, for every
// step one a part. Each thread holds what enter() returns meanwhile. OpenMP may give fewer threads than there are
// parts. What a piece throws is thrown here, once, and the steps after it are left out.
template <class Enter, class Pieces, class PiecesOf, class Play>
void play_together(int parts, int64_t steps, Begun* begun, const Enter& enter, const Pieces& pieces,
                   const PiecesOf& pieces_of, const Play& play) {
  if (parts == 1) {
    [[maybe_unused]] const auto turn = enter();
    for (int64_t step = 0; step < steps; ++step)
      for (int64_t piece = 0; piece < pieces_of(step, 0); ++piece) play(step, 0, piece);
    return;
  }
#ifdef _OPENMP
  Progress progress;
#pragma omp parallel num_threads(parts)
  {
    [[maybe_unused]] const auto turn = enter();
    const int own = omp_get_thread_num(), helped = omp_get_num_threads() < parts ? parts : std::min(parts, kHelped);
    const auto play_step = [&](int64_t step) {
      int64_t played = 0;
      for (int i = 0; i < helped; ++i) {
        const int part = (own + i * parts / helped) % parts;
        std::atomic<int64_t>& next = begun[step * parts + part].count;
        const int64_t all = pieces_of(step, part);
        while (next.load(std::memory_order_relaxed) < all) {
          const int64_t piece = next.fetch_add(1, std::memory_order_relaxed);
          if (piece >= all) break;
          play(step, part, piece);
          ++played;
        }
      }
      return played;
    };
    try {
      for (int64_t step = progress.step(); step < steps; step = progress.step())
        if (!progress.complete(step, play_step(step), pieces(step))) break;
    } catch (...) {
      progress.fail(std::current_exception());
    }
  }
  progress.rethrow();
#endif
}

}  // namespace hrnet_fast
