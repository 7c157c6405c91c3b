// What a warpgroup can do on sm_90a: four warps multiply their own 16 rows each, from registers, with one matrix in
// shared memory that the tensor cores read themselves. csrc/emulator/warpgroup.h models the same functions.
#pragma once

#ifdef __CUDA_ARCH_FEAT_SM90_ALL
#define HRNET_FAST_WARPGROUPS

namespace hrnet_fast {

// What this thread's copies have left in shared memory is there for the tensor cores.
HRNET_FAST_DEVICE void show_copies() { asm volatile("fence.proxy.async.shared::cta;" ::: "memory"); }

// Between open_products and wait_products nothing but other products touches the sums, and nothing the rows.
HRNET_FAST_DEVICE void open_products() { asm volatile("wgmma.fence.sync.aligned;" ::: "memory"); }
HRNET_FAST_DEVICE void close_products() { asm volatile("wgmma.commit_group.sync.aligned;" ::: "memory"); }

// Until at most kPending of the newest groups of products are under way.
template <int kPending>
HRNET_FAST_DEVICE void wait_products() {
  asm volatile("wgmma.wait_group.sync.aligned %0;" ::"n"(kPending) : "memory");
}

// The rows are in registers of their own before what follows. Else the compiler forms them in those that products under
// way still read, and then lets no products overlap with anything ("serialized", says ptxas).
HRNET_FAST_DEVICE void settle_rows(uint32_t (&a)[2][4]) {
  asm volatile(""
               : "+r"(a[0][0]), "+r"(a[0][1]), "+r"(a[0][2]), "+r"(a[0][3]), "+r"(a[1][0]), "+r"(a[1][1]),
                 "+r"(a[1][2]), "+r"(a[1][3])
               :
               : "memory");
}

// load_matrices, if `wanted`, which is the same for all lanes; else the words stay. For rows that products under way
// read at a loop's edge: were they written whole in the loop, ptxas would hold registers for them from the kernel's
// beginning on, others in each body, until none are left (C7512).
HRNET_FAST_DEVICE void load_matrices_if(bool wanted, uint32_t (&words)[4], uint32_t offset) {
  asm volatile(
      "{\n.reg .pred wanted;\nsetp.ne.u32 wanted, %5, 0;\n"
      "@wanted ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];\n}"
      : "+r"(words[0]), "+r"(words[1]), "+r"(words[2]), "+r"(words[3])
      : "r"(shared_address(offset)), "r"(uint32_t(wanted))
      : "memory");
}

// A matrix of 8x8 16-bit (8x4 32-bit) blocks, 128 bytes each: `along` bytes from a block to the next along K, `across`
// to that of the next eight columns. PTX ISA, matrix descriptors: K-major, no swizzle, leading and stride byte offset.
HRNET_FAST_DEVICE uint64_t matrix_descriptor(uint32_t offset, uint32_t along, uint32_t across) {
  return uint64_t(shared_address(offset) >> 4 & 0x3fff) | uint64_t(along >> 4) << 16 | uint64_t(across >> 4) << 32;
}

// sum[64, 8 * blocks] += a[64, K] * b[K, 8 * blocks]
#define HRNET_FAST_SUMS(j) "+f"(sum[j][0]), "+f"(sum[j][1]), "+f"(sum[j][2]), "+f"(sum[j][3])
#define HRNET_FAST_WGMMA(T, kind, last, blocks, columns, sums, rows, matrix, ...)                               \
  HRNET_FAST_DEVICE void start_products(T, float (&sum)[blocks][4], const uint32_t (&a)[4], uint32_t b,         \
                                        uint32_t along, uint32_t across) {                                      \
    asm volatile("{\n.reg .pred more;\nsetp.eq.u32 more, 0, 0;\nwgmma.mma_async.sync.aligned.m64n" columns kind \
                 " {" sums "}, {" rows "}, " matrix ", more, 1, 1" last ";\n}"                                  \
                 : __VA_ARGS__                                                                                  \
                 : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "l"(matrix_descriptor(b, along, across)));       \
  }
#define HRNET_FAST_8 "%0,%1,%2,%3,%4,%5,%6,%7"
#define HRNET_FAST_12 HRNET_FAST_8 ",%8,%9,%10,%11"
#define HRNET_FAST_16 HRNET_FAST_12 ",%12,%13,%14,%15"
#define HRNET_FAST_20 HRNET_FAST_16 ",%16,%17,%18,%19"
#define HRNET_FAST_24 HRNET_FAST_20 ",%20,%21,%22,%23"
#define HRNET_FAST_32 HRNET_FAST_24 ",%24,%25,%26,%27,%28,%29,%30,%31"
#define HRNET_FAST_2 HRNET_FAST_SUMS(0), HRNET_FAST_SUMS(1)
#define HRNET_FAST_4 HRNET_FAST_2, HRNET_FAST_SUMS(2), HRNET_FAST_SUMS(3)
#define HRNET_FAST_6 HRNET_FAST_4, HRNET_FAST_SUMS(4), HRNET_FAST_SUMS(5)
#define HRNET_FAST_WGMMAS(T, kind, last)                                                                              \
  HRNET_FAST_WGMMA(T, kind, last, 2, "16", HRNET_FAST_8, "%8,%9,%10,%11", "%12", HRNET_FAST_2)                        \
  HRNET_FAST_WGMMA(T, kind, last, 3, "24", HRNET_FAST_12, "%12,%13,%14,%15", "%16", HRNET_FAST_2, HRNET_FAST_SUMS(2)) \
  HRNET_FAST_WGMMA(T, kind, last, 4, "32", HRNET_FAST_16, "%16,%17,%18,%19", "%20", HRNET_FAST_4)                     \
  HRNET_FAST_WGMMA(T, kind, last, 5, "40", HRNET_FAST_20, "%20,%21,%22,%23", "%24", HRNET_FAST_4, HRNET_FAST_SUMS(4)) \
  HRNET_FAST_WGMMA(T, kind, last, 6, "48", HRNET_FAST_24, "%24,%25,%26,%27", "%28", HRNET_FAST_6)                     \
  HRNET_FAST_WGMMA(T, kind, last, 8, "64", HRNET_FAST_32, "%32,%33,%34,%35", "%36", HRNET_FAST_6, HRNET_FAST_SUMS(6), \
                   HRNET_FAST_SUMS(7))
HRNET_FAST_WGMMAS(f16_t, "k16.f32.f16.f16", ", 0")
HRNET_FAST_WGMMAS(bf16_t, "k16.f32.bf16.bf16", ", 0")
HRNET_FAST_WGMMAS(float, "k8.f32.tf32.tf32", "")
#undef HRNET_FAST_WGMMAS
#undef HRNET_FAST_WGMMA
#undef HRNET_FAST_SUMS
#undef HRNET_FAST_2
#undef HRNET_FAST_4
#undef HRNET_FAST_6
#undef HRNET_FAST_8
#undef HRNET_FAST_12
#undef HRNET_FAST_16
#undef HRNET_FAST_20
#undef HRNET_FAST_24
#undef HRNET_FAST_32

}  // namespace hrnet_fast
#endif
