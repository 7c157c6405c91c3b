// A stack of its own for each emulated thread, and the switch between two of them. x86-64 alone.
#pragma once

#include <sys/mman.h>

#include <cstddef>
#include <cstdint>
#include <new>
#include <vector>

#ifndef __x86_64__
#error "the emulator switches stacks in x86-64 assembly"
#endif

// Leaves the running stack in *from, and goes on where `to` was left.
extern "C" void hrnet_fast_switch_stack(void** from, void* to);
asm(R"(
.text
.globl hrnet_fast_switch_stack
.hidden hrnet_fast_switch_stack
hrnet_fast_switch_stack:
  pushq %rbp
  pushq %rbx
  pushq %r12
  pushq %r13
  pushq %r14
  pushq %r15
  movq %rsp, (%rdi)
  movq %rsi, %rsp
  popq %r15
  popq %r14
  popq %r13
  popq %r12
  popq %rbx
  popq %rbp
  ret
)");

namespace hrnet_fast::emulator {

constexpr size_t kStackBytes = 64 * 1024;

// Stacks are taken and given back; pages that no thread touches take no memory.
class Stacks {
 public:
  ~Stacks() {
    for (void* stack : all_) munmap(stack, kStackBytes);
  }
  void* take() {
    if (free_.empty()) {
      void* stack =
          mmap(nullptr, kStackBytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
      if (stack == MAP_FAILED) throw std::bad_alloc();
      all_.push_back(stack), free_.push_back(stack);
    }
    void* stack = free_.back();
    free_.pop_back();
    return stack;
  }
  void give_back(void* stack) { free_.push_back(stack); }

 private:
  std::vector<void*> all_, free_;
};

// The stack pointer of a stack that begins in `entry`, which must never return.
inline void* new_stack_pointer(void* stack, void (*entry)()) {
  void** top = reinterpret_cast<void**>(static_cast<char*>(stack) + kStackBytes - 64);
  *--top = nullptr;  // where entry would return to: it finds the stack aligned as after a call
  *--top = reinterpret_cast<void*>(entry);
  for (int saved = 0; saved < 6; ++saved) *--top = nullptr;
  return top;
}

}  // namespace hrnet_fast::emulator
