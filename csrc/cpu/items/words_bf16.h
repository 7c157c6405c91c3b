// Maps and weights in bfloat16: a word is two values side by side, which one instruction multiplies by two others and
// adds to a float (AVX512_BF16). Of an odd number of values the last word's second one is whatever follows, against a
// weight of 0: so what is not finite may also reach one result further left than its neighbourhood. Include after
// cpu/isa/vec_avx512.h.
#pragma once

#include "cpu/lanes.h"

namespace hrnet_fast {
namespace {

using V = Vec<float>;
using Element = bf16_t;
typedef int32_t Word __attribute__((aligned(2), may_alias));
constexpr int kPerWord = 2;  // values

HRNET_FAST_ISA const Word* words_of(const Element* values) { return reinterpret_cast<const Word*>(values); }
HRNET_FAST_ISA V broadcast(const Word* word) { return {_mm512_castsi512_ps(_mm512_set1_epi32(*word))}; }
HRNET_FAST_ISA V repeat(const Word* words) { return V::repeat(reinterpret_cast<const float*>(words)); }
HRNET_FAST_ISA V repeat(const Word* words, int count) {
  return V::repeat(reinterpret_cast<const float*>(words), count);
}
HRNET_FAST_ISA V load_words(const Word* words) { return {_mm512_castsi512_ps(_mm512_loadu_si512(words))}; }
HRNET_FAST_ISA void store_words(const V (&values)[kPerWord], Word* words) {
  const __m512i low = _mm512_cvtepu16_epi32(values[0].as_bf16()), high = _mm512_cvtepu16_epi32(values[1].as_bf16());
  _mm512_storeu_si512(words, _mm512_or_si512(low, _mm512_slli_epi32(high, 16)));
}

#ifdef HRNET_FAST_AVX512_BF16
HRNET_FAST_ISA V plus_products(V sum, V a, V b) {
  return {_mm512_dpbf16_ps(sum.v, (__m512bh)_mm512_castps_si512(a.v), (__m512bh)_mm512_castps_si512(b.v))};
}
#else  // for tests alone
HRNET_FAST_ISA V low(V words) { return {_mm512_castsi512_ps(_mm512_slli_epi32(_mm512_castps_si512(words.v), 16))}; }
HRNET_FAST_ISA V high(V words) {
  return {_mm512_castsi512_ps(_mm512_and_si512(_mm512_castps_si512(words.v), _mm512_set1_epi32(int(0xffff0000))))};
}
HRNET_FAST_ISA V plus_products(V sum, V a, V b) { return sum.plus(high(a), high(b)).plus(low(a), low(b)); }
#endif

}  // namespace
}  // namespace hrnet_fast
