// Launches played on one CPU thread: the threads of a few CTAs at a time take turns, warp by warp, in a random order.
#pragma once

#include <array>
#include <deque>
#include <functional>
#include <memory>
#include <random>

#include "cuda/level.h"
#include "emulator/faults.h"
#include "emulator/fiber.h"
#include "emulator/global_memory.h"
#include "emulator/shared_memory.h"

namespace hrnet_fast::emulator {

constexpr int kLanes = 32, kResident = 3;  // CTAs of a launch that run at a time

struct Copy {
  uint32_t to;
  const void* from;
  char value[16];  // what lay there when the copy was asked for, or when it had to be there
  bool early;
};

// A warp's share of a warpgroup's product, as one of its lanes has started it.
struct Product {
  float* sum;
  const uint32_t* a;
  uint32_t b, along, across;
  int blocks, group;
  void (*multiply_with)(struct Thread* first, size_t index);
  uint32_t rows[4];
  std::vector<float> before;

  // Keeps what nothing may touch until the product is waited for: of sums, nothing but the products before it.
  void start() {
    std::copy_n(a, 4, rows);
    keep_sums();
  }
  void keep_sums() { before.assign(sum, sum + blocks * 4); }
  void check() const {
    if (memcmp(a, rows, sizeof rows)) fail("wgmma: a product's rows change before it is waited for");
    if (memcmp(sum, before.data(), before.size() * 4)) fail("wgmma: sums change before their product is waited for");
  }
  void multiply(struct Thread* first, size_t index) const { multiply_with(first, index); }
};

enum class Waits { nothing, warp, barrier, launch };

struct Cta;
struct Thread {
  Cta* cta = nullptr;
  int index = 0;
  void* stack = nullptr;
  void* stack_pointer = nullptr;
  Waits waits = Waits::nothing;
  bool done = false;
  std::vector<Copy> open;                 // asked for since the last commit
  std::deque<std::vector<Copy>> pending;  // groups, oldest first
  std::deque<Product> products;           // started and not yet waited for, oldest first
  int groups = 0;                         // of products, closed so far
  bool is_open = false;                   // whether more may be started
};

struct Warp {
  const char* what = nullptr;  // that its lanes are about to do together
  int arrived = 0, ready = kLanes;
  void* operands[kLanes] = {};
};

struct Cta {
  Cta(uint32_t shared_bytes) : shared(shared_bytes) {}
  int launch = 0, block = 0;
  SharedMemory shared;
  Thread threads[kThreads];
  Warp warps[kWarps];
  int arrived = 0, finished = 0, barrier_line = 0;

  // All threads of a warpgroup start the same products in the same order: what, the index-th of a thread's, is that of
  // the first one which came so far.
  void agree(int thread, const std::array<uint32_t, 5>& what) {
    auto& started = products[thread / (kLanes * kGroupWarps)];
    const size_t index = started_by[thread]++;
    if (index == started.size()) started.push_back(what);
    if (started[index] != what) fail("warps of a warpgroup start different products");
  }
  std::vector<std::array<uint32_t, 5>> products[kWarps / kGroupWarps];
  size_t started_by[kThreads] = {};
};

struct Launch {
  std::function<void()> body;  // of one thread
  int blocks;
  uint32_t shared_bytes;
};

class Machine {
 public:
  Machine(const std::vector<GlobalMemory::Region>& regions, std::string fault, uint32_t seed)
      : global(regions), places(std::move(fault)), random(seed) {}

  // overlap: a launch begins before the one before it, as early as it may at all; else after its end.
  void play(const std::vector<Launch>& launches, bool overlap) {
    Grid next = grid(launches, 0);
    for (size_t i = 0; i < launches.size(); ++i) {
      Grid now = std::move(next);
      open_ = int(i);
      for (auto& cta : now.resident) wake(*cta, Waits::launch);
      next = grid(launches, i + 1);
      if (overlap) {
        fill(next);
        while (turn(next)) {
        }
      }
      fill(now);
      while (!now.resident.empty()) {
        if (!turn(now)) fail("deadlock: every thread of launch ", i, " waits");
        fill(now);
      }
    }
  }

  // The running thread stands still until something wakes it.
  void wait(Waits why) {
    Thread& thread = *running;
    thread.waits = why;
    --thread.cta->warps[thread.index / kLanes].ready;
    hrnet_fast_switch_stack(&thread.stack_pointer, scheduler_);
  }

  void wait_for_previous_launch() {
    if (running->cta->launch > open_) wait(Waits::launch);
  }

  void barrier(int line) {
    Cta& cta = *running->cta;
    if (cta.finished) fail("a barrier that ", cta.finished, " threads of its CTA never reach");
    if (cta.arrived++ == 0) cta.barrier_line = line;
    if (cta.barrier_line != line) fail("threads of a CTA meet at barriers in lines ", cta.barrier_line, " and ", line);
    if (cta.arrived < kThreads) return wait(Waits::barrier);
    cta.arrived = 0;
    cta.shared.pass_barrier();
    wake(cta, Waits::barrier);
  }

  // All lanes of a warp meet here, each with its operand; the last one does for all what is to be done.
  template <class Do>
  void together(const char* what, void* operand, Do&& act) {
    Cta& cta = *running->cta;
    Warp& warp = cta.warps[running->index / kLanes];
    if (warp.arrived++ == 0) warp.what = what;
    if (warp.what != what) fail("lanes of a warp meet at ", warp.what, " and at ", what);
    warp.operands[running->index % kLanes] = operand;
    if (warp.arrived < kLanes) return wait(Waits::warp);
    warp.arrived = 0;
    act(warp.operands);
    const int first = running->index / kLanes * kLanes;
    for (int lane = 0; lane < kLanes; ++lane) {
      Thread& thread = cta.threads[first + lane];
      if (thread.waits == Waits::warp) thread.waits = Waits::nothing, ++warp.ready;
    }
  }

  Thread* running = nullptr;
  GlobalMemory global;
  Places places;
  std::mt19937 random;
  int64_t matrices = 0, turns = 0;  // that ldmatrix loaded, and turns that their rows took

 private:
  struct Grid {
    int index = 0;
    const Launch* launch = nullptr;
    std::vector<int> blocks;  // that have not begun
    std::vector<std::unique_ptr<Cta>> resident;
  };

  Grid grid(const std::vector<Launch>& launches, size_t index) {
    Grid made;
    if (index >= launches.size()) return made;
    made.index = int(index), made.launch = &launches[index];
    for (int block = 0; block < made.launch->blocks; ++block) made.blocks.push_back(block);
    std::shuffle(made.blocks.begin(), made.blocks.end(), random);
    return made;
  }

  void fill(Grid& grid) {
    while (grid.resident.size() < kResident && !grid.blocks.empty()) {
      auto cta = std::make_unique<Cta>(grid.launch->shared_bytes);
      cta->launch = grid.index, cta->block = grid.blocks.back();
      grid.blocks.pop_back();
      for (int i = 0; i < kThreads; ++i) {
        Thread& thread = cta->threads[i];
        thread.cta = cta.get(), thread.index = i, thread.stack = stacks_.take();
        thread.stack_pointer = new_stack_pointer(thread.stack, &enter);
      }
      grid.resident.push_back(std::move(cta));
    }
  }

  static void wake(Cta& cta, Waits why) {
    for (Thread& thread : cta.threads) {
      if (thread.waits == why && !thread.done) thread.waits = Waits::nothing, ++cta.warps[thread.index / kLanes].ready;
    }
  }

  // Runs a random warp's threads until each waits or is done. False if every thread waits.
  bool turn(Grid& grid) {
    const size_t warps = grid.resident.size() * kWarps, start = warps ? random() % warps : 0;
    for (size_t i = 0; i < warps; ++i) {
      const size_t index = (start + i) % warps / kWarps;
      Cta& cta = *grid.resident[index];
      const int warp = int((start + i) % warps % kWarps), turned = int(random() % kLanes);
      if (cta.warps[warp].ready == 0) continue;
      for (int lane = 0; lane < kLanes; ++lane)
        run(cta.threads[warp * kLanes + (lane + turned) % kLanes], *grid.launch);
      if (cta.finished == kThreads) {
        for (Thread& thread : cta.threads) stacks_.give_back(thread.stack);
        grid.resident.erase(grid.resident.begin() + long(index));
      }
      return true;
    }
    return false;
  }

  void run(Thread& thread, const Launch& launch) {
    if (thread.done || thread.waits != Waits::nothing) return;
    running = &thread, body_ = &launch.body;
    hrnet_fast_switch_stack(&scheduler_, thread.stack_pointer);
    if (failure_) std::rethrow_exception(failure_);
    if (thread.done) {
      Cta& cta = *thread.cta;
      --cta.warps[thread.index / kLanes].ready, ++cta.finished;
      if (cta.arrived) fail("thread ", thread.index, " ends while others wait at a barrier");
      if (cta.warps[thread.index / kLanes].arrived) fail("lane ", thread.index % kLanes, " ends while its warp waits");
      const auto is_empty = [](const std::vector<Copy>& group) { return group.empty(); };
      if (!thread.open.empty() || !std::all_of(thread.pending.begin(), thread.pending.end(), is_empty)) {
        fail("thread ", thread.index, " ends before its copies");
      }
      if (!thread.products.empty()) fail("thread ", thread.index, " ends before its products");
      if (cta.started_by[thread.index] != cta.products[thread.index / (kLanes * kGroupWarps)].size()) {
        fail("thread ", thread.index, " ends and has not started all products of its warpgroup");
      }
    }
  }

  static void enter();

  Stacks stacks_;
  void* scheduler_ = nullptr;
  const std::function<void()>* body_ = nullptr;
  std::exception_ptr failure_;
  int open_ = 0;  // the launch whose predecessors have ended
};

inline Machine* machine = nullptr;  // that plays now

inline void Machine::enter() {
  Thread& thread = *machine->running;
  try {
    (*machine->body_)();
  } catch (...) {
    machine->failure_ = std::current_exception();
  }
  thread.done = true;
  hrnet_fast_switch_stack(&thread.stack_pointer, machine->scheduler_);
  abort();
}

}  // namespace hrnet_fast::emulator
