// The functions of cuda/device/portable.cuh on the emulator.
#pragma once

#include <cmath>

#include "emulator/machine.h"
#include "emulator/warp_math.h"

#define HRNET_FAST_DEVICE static inline

namespace hrnet_fast {

// A fault can be planted in each line that calls a function with these parameters.
#define HRNET_FAST_PLACE const char *file = __builtin_FILE(), int line = __builtin_LINE()

HRNET_FAST_DEVICE int thread_index() { return emulator::machine->running->index; }
HRNET_FAST_DEVICE int block_index() { return emulator::machine->running->cta->block; }

HRNET_FAST_DEVICE void barrier(HRNET_FAST_PLACE) {
  if (!emulator::machine->places.faulty("no barrier", file, line)) emulator::machine->barrier(line);
}

template <class V>
HRNET_FAST_DEVICE V load_shared(uint32_t offset) {
  V value;
  emulator::Thread& thread = *emulator::machine->running;
  thread.cta->shared.read(offset, &value, sizeof(V), thread.index);
  return value;
}
template <class V>
HRNET_FAST_DEVICE void store_shared(uint32_t offset, V value) {
  emulator::Thread& thread = *emulator::machine->running;
  thread.cta->shared.write(offset, &value, sizeof(V), thread.index);
}
template <class V>
HRNET_FAST_DEVICE V load_global(const void* source) {
  V value;
  emulator::machine->global.read(source, &value, sizeof(V), emulator::machine->running->cta->launch);
  return value;
}
template <class V>
HRNET_FAST_DEVICE void store_global(void* target, V value) {
  emulator::machine->global.write(target, &value, sizeof(V), emulator::machine->running->cta->launch);
}

// A copy takes its bytes now or as late as it may; they arrive when they are waited for, and not before.
HRNET_FAST_DEVICE void copy_async(uint32_t offset, const void* source) {
  emulator::Machine& machine = *emulator::machine;
  emulator::Thread& thread = *machine.running;
  emulator::Copy copy = {offset, source, {}, machine.random() % 2 == 0};
  machine.global.read(source, copy.value, 16, thread.cta->launch);
  thread.cta->shared.begin_copy(offset, thread.index);
  thread.open.push_back(copy);
}
HRNET_FAST_DEVICE void commit_copies(HRNET_FAST_PLACE) {
  emulator::Machine& machine = *emulator::machine;
  if (machine.places.faulty("no commit", file, line)) return;
  machine.running->pending.push_back(std::move(machine.running->open));
  machine.running->open.clear();
}
HRNET_FAST_DEVICE void wait_copies(int pending, HRNET_FAST_PLACE) {
  emulator::Machine& machine = *emulator::machine;
  emulator::Thread& thread = *machine.running;
  if (pending < 0 || pending >= kMostStages) emulator::fail("a wait that leaves ", pending, " groups of copies");
  if (machine.places.faulty("no wait for copies", file, line)) return;
  if (machine.places.faulty("one group too few waited for", file, line)) ++pending;
  while (int(thread.pending.size()) > pending) {
    for (emulator::Copy& copy : thread.pending.front()) {
      if (!copy.early) machine.global.read(copy.from, copy.value, 16, thread.cta->launch);
      thread.cta->shared.end_copy(copy.to, copy.value, thread.index);
    }
    thread.pending.pop_front();
  }
}

HRNET_FAST_DEVICE uint32_t ring_slot(int index, int slots, HRNET_FAST_PLACE) {
  return uint32_t((index + (slots > 1 && emulator::machine->places.faulty("the next stage", file, line))) % slots);
}

struct MatrixOperands {
  uint32_t* words;
  uint32_t offset;
};

template <int kMatrices>
HRNET_FAST_DEVICE void load_matrices(uint32_t (&words)[kMatrices], uint32_t offset) {
  MatrixOperands own = {words, offset};
  emulator::Machine& machine = *emulator::machine;
  emulator::Thread* first = machine.running - machine.running->index % 32;
  machine.together(kMatrices == 4 ? "ldmatrix.x4" : "ldmatrix.x2", &own, [first](void* const(&operands)[32]) {
    emulator::SharedMemory& shared = first->cta->shared;
    for (int matrix = 0; matrix < kMatrices; ++matrix) {
      uint32_t rows[8];
      for (int i = 0; i < 8; ++i) rows[i] = static_cast<const MatrixOperands*>(operands[matrix * 8 + i])->offset;
      ++emulator::machine->matrices, emulator::machine->turns += emulator::SharedMemory::turns(rows);
      for (int lane = 0; lane < 32; ++lane) {
        const uint32_t row = rows[lane / 4];
        if (row % 16) emulator::fail("ldmatrix: a row at shared byte ", row, " is not aligned to 16 bytes");
        uint32_t* word = static_cast<const MatrixOperands*>(operands[lane])->words + matrix;
        shared.read(row + uint32_t(lane % 4) * 4, word, 4, first->index + lane);
      }
    }
  });
}

template <class T>
HRNET_FAST_DEVICE void multiply_add(T, float (&sum)[4], const uint32_t (&a)[4], uint32_t b0, uint32_t b1) {
  emulator::MultiplyOperands own = {sum, a, {b0, b1}};
  emulator::machine->together("mma", &own, [](void* const(&operands)[32]) { emulator::multiply_warp<T>(operands); });
}

HRNET_FAST_DEVICE uint32_t operand(f16_t, uint32_t word) { return word; }
HRNET_FAST_DEVICE uint32_t operand(bf16_t, uint32_t word) { return word; }
// To the nearest TF32, ties away from zero; infinity and NaN stay.
HRNET_FAST_DEVICE uint32_t operand(float, uint32_t word) {
  return (word & 0x7f800000) == 0x7f800000 ? word : (word + 0x1000) & ~0x1fffu;
}

// The last place is right, or off by one in either direction.
HRNET_FAST_DEVICE float reciprocal(float x) {
  return nextafterf(1.0f / x, float(emulator::machine->random() % 3));  // towards 0, 1 or 2
}

HRNET_FAST_DEVICE void start_next_launch() {}  // the machine starts it as early as it may
HRNET_FAST_DEVICE void wait_for_previous_launch(HRNET_FAST_PLACE) {
  if (!emulator::machine->places.faulty("no wait for the launch before", file, line)) {
    emulator::machine->wait_for_previous_launch();
  }
}
#undef HRNET_FAST_PLACE

}  // namespace hrnet_fast
