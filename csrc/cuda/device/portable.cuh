// What a GPU thread can do beyond C++: nvcc compiles it here, any other compiler gets csrc/emulator/thread.h, which
// models the same functions on a CPU. Shared memory is addressed in bytes from the start of the CTA's.
#pragma once

#include "dtype.h"

namespace hrnet_fast {

struct alignas(16) Granule {
  uint32_t words[4];
};
struct alignas(8) Pair {
  float first, second;
};

}  // namespace hrnet_fast

#ifndef __CUDACC__
#include "emulator/thread.h"
#include "emulator/warpgroup.h"
#else

#define HRNET_FAST_DEVICE static __device__ __forceinline__

namespace hrnet_fast {

HRNET_FAST_DEVICE int thread_index() { return int(threadIdx.x); }
HRNET_FAST_DEVICE int block_index() { return int(blockIdx.x); }
HRNET_FAST_DEVICE void barrier() { __syncthreads(); }

HRNET_FAST_DEVICE char* shared_bytes() {
  extern __shared__ __align__(16) char bytes[];
  return bytes;
}
HRNET_FAST_DEVICE uint32_t shared_address(uint32_t offset) {
  return uint32_t(__cvta_generic_to_shared(shared_bytes())) + offset;
}

template <class V>
HRNET_FAST_DEVICE V load_shared(uint32_t offset) {
  return *reinterpret_cast<const V*>(shared_bytes() + offset);
}
template <class V>
HRNET_FAST_DEVICE void store_shared(uint32_t offset, V value) {
  *reinterpret_cast<V*>(shared_bytes() + offset) = value;
}
template <class V>
HRNET_FAST_DEVICE V load_global(const void* source) {
  return *static_cast<const V*>(source);
}
template <class V>
HRNET_FAST_DEVICE void store_global(void* target, V value) {
  *static_cast<V*>(target) = value;
}

// 16 bytes, past L1 and past the registers; they are there after wait_copies.
HRNET_FAST_DEVICE void copy_async(uint32_t offset, const void* source) {
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16;" ::"r"(shared_address(offset)), "l"(source) : "memory");
}
HRNET_FAST_DEVICE void commit_copies() { asm volatile("cp.async.commit_group;" ::: "memory"); }

// Until at most `pending` of this thread's newest groups are under way.
HRNET_FAST_DEVICE void wait_copies(int pending) {
  switch (pending) {
    case 0: asm volatile("cp.async.wait_group 0;" ::: "memory"); break;
    case 1: asm volatile("cp.async.wait_group 1;" ::: "memory"); break;
    case 2: asm volatile("cp.async.wait_group 2;" ::: "memory"); break;
    default: asm volatile("cp.async.wait_group 3;" ::: "memory");
  }
}

// Which of `slots` buffers the index-th piece of a stream takes.
HRNET_FAST_DEVICE uint32_t ring_slot(int index, int slots) { return uint32_t(index % slots); }

// 8x8 matrices of 16-bit values (8x4 of 32-bit ones): lane l gives the address of row l % 8 of matrix l / 8, and gets
// word l % 4 of row l / 4 of each.
HRNET_FAST_DEVICE void load_matrices(uint32_t (&words)[4], uint32_t offset) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
               : "=r"(words[0]), "=r"(words[1]), "=r"(words[2]), "=r"(words[3])
               : "r"(shared_address(offset))
               : "memory");
}
HRNET_FAST_DEVICE void load_matrices(uint32_t (&words)[2], uint32_t offset) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x2.shared.b16 {%0, %1}, [%2];"
               : "=r"(words[0]), "=r"(words[1])
               : "r"(shared_address(offset))
               : "memory");
}

// sum[16, 8] += a[16, K] * b[K, 8], float32 sums; K = 16 for 16-bit values, 8 for TF32. Both are two granules along K.
#define HRNET_FAST_MMA(shape, type)                                          \
  asm("mma.sync.aligned." shape ".row.col.f32." type "." type                \
      ".f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};" \
      : "+f"(sum[0]), "+f"(sum[1]), "+f"(sum[2]), "+f"(sum[3])               \
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1))
HRNET_FAST_DEVICE void multiply_add(f16_t, float (&sum)[4], const uint32_t (&a)[4], uint32_t b0, uint32_t b1) {
  HRNET_FAST_MMA("m16n8k16", "f16");
}
HRNET_FAST_DEVICE void multiply_add(bf16_t, float (&sum)[4], const uint32_t (&a)[4], uint32_t b0, uint32_t b1) {
  HRNET_FAST_MMA("m16n8k16", "bf16");
}
HRNET_FAST_DEVICE void multiply_add(float, float (&sum)[4], const uint32_t (&a)[4], uint32_t b0, uint32_t b1) {
  HRNET_FAST_MMA("m16n8k8", "tf32");
}
#undef HRNET_FAST_MMA

// What the tensor core should see of a word of a map: TF32 is rounded, where the core would cut.
HRNET_FAST_DEVICE uint32_t operand(f16_t, uint32_t word) { return word; }
HRNET_FAST_DEVICE uint32_t operand(bf16_t, uint32_t word) { return word; }
HRNET_FAST_DEVICE uint32_t operand(float, uint32_t word) {
  uint32_t rounded;
  asm("cvt.rna.tf32.f32 %0, %1;" : "=r"(rounded) : "f"(float_of_bits(word)));
  return rounded;
}

// Within one unit in the last place. An exact quotient is a call where a compiler cannot rule out small numbers.
HRNET_FAST_DEVICE float reciprocal(float x) {
  float inverse;
  asm("rcp.approx.ftz.f32 %0, %1;" : "=f"(inverse) : "f"(x));
  return inverse;
}

// The next launch of the stream may start, if it was launched so; what it reads of this one it must wait for.
HRNET_FAST_DEVICE void start_next_launch() {
#if __CUDA_ARCH__ >= 900
  asm volatile("griddepcontrol.launch_dependents;" ::: "memory");
#endif
}
HRNET_FAST_DEVICE void wait_for_previous_launch() {
#if __CUDA_ARCH__ >= 900
  asm volatile("griddepcontrol.wait;" ::: "memory");
#endif
}

}  // namespace hrnet_fast

#include "cuda/device/warpgroup.cuh"
#endif
