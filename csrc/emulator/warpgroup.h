// The functions of cuda/device/warpgroup.cuh on the emulator. What is started reads its rows and its matrix, and
// changes the sums, when it is waited for, and not before.
#pragma once

#include "emulator/thread.h"

#define HRNET_FAST_WARPGROUPS

namespace hrnet_fast {

#define HRNET_FAST_PLACE const char *file = __builtin_FILE(), int line = __builtin_LINE()

HRNET_FAST_DEVICE void show_copies(HRNET_FAST_PLACE) {
  emulator::Thread& thread = *emulator::machine->running;
  if (!emulator::machine->places.faulty("copies are not shown", file, line)) thread.cta->shared.show(thread.index);
}

HRNET_FAST_DEVICE void open_products() {
  emulator::Thread& thread = *emulator::machine->running;
  emulator::machine->together("wgmma.fence", nullptr, [](void* const(&)[32]) {});
  thread.is_open = true;
}

template <class T, int kBlocks>
HRNET_FAST_DEVICE void start_products(T, float (&sum)[kBlocks][4], const uint32_t (&a)[4], uint32_t b, uint32_t along,
                                      uint32_t across) {
  emulator::Thread& thread = *emulator::machine->running;
  if (!thread.is_open) emulator::fail("products are started that nothing has opened");
  if (b % 16 || along % 16 || across % 16) emulator::fail("wgmma: a matrix at shared byte ", b, " is not aligned");
  thread.cta->agree(thread.index, {b, along, across, uint32_t(kBlocks), uint32_t(sizeof(T))});
  thread.products.push_back(
      {&sum[0][0], a, b, along, across, kBlocks, thread.groups, emulator::multiply_matrix<T>, {}, {}});
  thread.products.back().start();
}

HRNET_FAST_DEVICE void close_products() {
  emulator::Thread& thread = *emulator::machine->running;
  thread.is_open = false, ++thread.groups;
}

template <int kPending>
HRNET_FAST_DEVICE void wait_products(HRNET_FAST_PLACE) {
  emulator::Machine& machine = *emulator::machine;
  emulator::Thread* first = machine.running - machine.running->index % 32;
  if (machine.running->is_open) emulator::fail("products are waited for that nothing has closed");
  if (machine.places.faulty("no wait for products", file, line)) return;
  const bool one_more = machine.places.faulty("one group of products too few waited for", file, line);
  const int done = machine.running->groups - kPending - one_more;  // all groups before this one
  machine.together("wgmma", nullptr, [first, done](void* const(&)[32]) {
    const auto& products = first->products;
    for (int lane = 1; lane < 32; ++lane) {
      if (first[lane].products.size() != products.size()) emulator::fail("lanes of a warp wait for different products");
    }
    for (int lane = 0; lane < 32; ++lane) {
      for (const emulator::Product& product : first[lane].products) product.check();
    }
    while (!products.empty() && products.front().group < done) {
      products.front().multiply(first, 0);
      for (int lane = 0; lane < 32; ++lane) {
        first[lane].products.pop_front();
        for (emulator::Product& later : first[lane].products) later.keep_sums();
      }
    }
  });
}

HRNET_FAST_DEVICE void settle_rows(uint32_t (&)[2][4]) {}
HRNET_FAST_DEVICE void load_matrices_if(bool wanted, uint32_t (&words)[4], uint32_t offset) {
  if (wanted) load_matrices(words, offset);
}
#undef HRNET_FAST_PLACE

}  // namespace hrnet_fast
