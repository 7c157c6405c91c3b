#include "cpu/bf16_rate.h"

#if defined(__x86_64__)
#include <immintrin.h>

#include <algorithm>
#include <chrono>

#include "cpu/features.h"
#endif

namespace hrnet_fast {

#if defined(__x86_64__)
namespace {

#define TARGET __attribute__((target("avx512f,avx512bf16")))

// Seconds of kSteps times kSums instructions that do not wait for each other.
constexpr int kSums = 16, kSteps = 4096;
template <bool kBf16>
TARGET double seconds() {
  __m512 sums[kSums];
  for (int s = 0; s < kSums; ++s) sums[s] = _mm512_set1_ps(float(s));
  const __m512 x = _mm512_set1_ps(0.5f);
  const auto start = std::chrono::steady_clock::now();
  for (int i = 0; i < kSteps; ++i) {
#pragma GCC unroll 16
    for (int s = 0; s < kSums; ++s) {
      sums[s] = kBf16 ? _mm512_dpbf16_ps(sums[s], (__m512bh)x, (__m512bh)x) : _mm512_fmadd_ps(x, x, sums[s]);
      __asm__ volatile("" : "+v"(sums[s]));  // or the compiler leaves out what nobody reads
    }
  }
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

double measured() {
  double of_float = 1.0, of_bf16 = 1.0;
  for (int turn = 0; turn < 8; ++turn) {  // the best turns: the first ones meet units that wake up
    of_float = std::min(of_float, seconds<false>());
    of_bf16 = std::min(of_bf16, seconds<true>());
  }
  return 2.0 * of_float / of_bf16;
}

}  // namespace

double bf16_products_rate() {
  static const double rate = allowed_features().avx512_bf16 ? measured() : 0.0;
  return rate;
}
#else
double bf16_products_rate() { return 0.0; }
#endif

}  // namespace hrnet_fast
