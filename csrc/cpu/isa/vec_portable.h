// Sixteen bytes in the vector type of GCC and Clang, which becomes SSE2, NEON or whatever the machine's baseline has.
#pragma once

#include "dtype.h"

#define HRNET_FAST_ISA static inline

namespace hrnet_fast {
namespace {

#if defined(__aarch64__)
constexpr int kRegisters = 32;
#else
constexpr int kRegisters = 16;
#endif

template <class A>
struct Vec {
  static constexpr int kWidth = 16 / sizeof(A);
  typedef A Lanes __attribute__((vector_size(16)));
  typedef uint32_t Words __attribute__((vector_size(16)));
  typedef uint16_t Halves __attribute__((vector_size(8)));
  Lanes v;

  static Vec load(const A* source) {
    Vec out;
    memcpy(&out.v, source, sizeof out.v);
    return out;
  }
  static Vec load(const bf16_t* source) {
    Halves halves;
    memcpy(&halves, source, sizeof halves);
    return {(Lanes)(__builtin_convertvector(halves, Words) << 16)};
  }
  static Vec load(const f16_t* source) {
    Vec out;
    for (int i = 0; i < kWidth; ++i) out.v[i] = hrnet_fast::load(source + i);
    return out;
  }
  // The first `count` lanes alone; others are 0 when read, and left when written. At most kWidth, or more for all.
  static Vec load(const A* source, int64_t count) {
    if (count >= kWidth) return load(source);
    Vec out = fill(0);
    for (int i = 0; i < kWidth - 1; ++i)
      if (i < count) out.v[i] = source[i];
    return out;
  }
  void store(A* target, int64_t count) const {
    if (count >= kWidth) return store(target);
    for (int i = 0; i < kWidth - 1; ++i)
      if (i < count) target[i] = v[i];
  }
  void store(A* target) const { memcpy(target, &v, sizeof v); }
  void store(bf16_t* target) const {
    const Words bits = (Words)v, nan = (Words)(v != v);
    const Words nearest = (bits + 0x7fff + (bits >> 16 & 1)) >> 16;
    const Halves halves = __builtin_convertvector((nearest & ~nan) | (nan & 0x7fc0), Halves);
    memcpy(target, &halves, sizeof halves);
  }
  void store(f16_t* target) const {
    for (int i = 0; i < kWidth; ++i) hrnet_fast::store(target + i, v[i]);
  }
  // Of one place four values are a vector, and of one word its values.
  static Vec repeat(const A* word) { return fill(*word); }
  static Vec repeat(const A* word, int) { return fill(*word); }
  Vec spread(int) const { return *this; }
  static Vec sum_fours(const Vec (&s)[1]) { return s[0]; }
  static Vec load_fours(const A* const (&s)[1], int64_t at, int64_t count) { return load(s[0] + at, count); }
  void store_fours(A* const (&t)[1], int64_t at, int64_t count) const { store(t[0] + at, count); }
  void store_fours(A* const (&t)[1], int64_t at) const { store(t[0] + at); }
  // Less 0, which the compiler leaves out, as it would not plus 0.
  static Vec fill(A value) { return {value - Lanes{}}; }
  Vec plus(Vec a, Vec b) const { return {v + a.v * b.v}; }
  Vec at_least(A low) const { return {v < fill(low).v ? fill(low).v : v}; }  // in this order a NaN stays a NaN
  Vec relu() const { return at_least(0); }
};

}  // namespace
}  // namespace hrnet_fast
