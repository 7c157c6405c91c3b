// Sixteen floats or eight doubles in a register (AVX-512 F, BW, DQ, VL).
#pragma once

#include <immintrin.h>

#include "dtype.h"

#ifdef HRNET_FAST_AVX512_BF16  // defined by files whose code runs where there is AVX512_BF16, too
#define HRNET_FAST_TARGET "avx512f,avx512bw,avx512dq,avx512vl,fma,avx512bf16"
#else
#define HRNET_FAST_TARGET "avx512f,avx512bw,avx512dq,avx512vl,fma"
#endif
#define HRNET_FAST_ISA __attribute__((target(HRNET_FAST_TARGET))) static inline
#define MEMBER __attribute__((target(HRNET_FAST_TARGET))) inline

namespace hrnet_fast {
namespace {

constexpr int kRegisters = 32;

template <class A>
struct Vec;

template <>
struct Vec<float> {
  static constexpr int kWidth = 16;
  __m512 v;
  MEMBER static Vec load(const float* s) { return {_mm512_loadu_ps(s)}; }
  MEMBER static Vec load(const bf16_t* s) { return of_bf16(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(s))); }
  MEMBER static Vec load(const f16_t* s) {
    return {_mm512_cvtph_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(s)))};
  }
  // The first `count` lanes alone; others are 0 when read, and left when written. At most kWidth, or more for all.
  MEMBER static Vec load(const float* s, int64_t count) { return {_mm512_maskz_loadu_ps(first(count), s)}; }
  MEMBER void store(float* t, int64_t count) const { _mm512_mask_storeu_ps(t, first(count), v); }
  MEMBER static Vec load(const bf16_t* s, int64_t count) { return of_bf16(_mm256_maskz_loadu_epi16(first(count), s)); }
  MEMBER void store(bf16_t* t, int64_t count) const { _mm256_mask_storeu_epi16(t, first(count), as_bf16()); }
  MEMBER static __mmask16 first(int64_t count) {
    return count >= kWidth ? __mmask16(0xffff) : __mmask16((1u << count) - 1u);
  }
  MEMBER void store(float* t) const { _mm512_storeu_ps(t, v); }
  MEMBER void store(bf16_t* t) const { _mm256_storeu_si256(reinterpret_cast<__m256i*>(t), as_bf16()); }
  MEMBER static Vec of_bf16(__m256i values) {
    return {_mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(values), 16))};
  }
#ifdef HRNET_FAST_AVX512_BF16
  MEMBER __m256i as_bf16() const { return (__m256i)_mm512_cvtneps_pbh(v); }
#else
  MEMBER __m256i as_bf16() const {
    const __m512i bits = _mm512_castps_si512(v);
    const __m512i odd = _mm512_and_si512(_mm512_srli_epi32(bits, 16), _mm512_set1_epi32(1));
    const __m512i round = _mm512_add_epi32(odd, _mm512_set1_epi32(0x7fff));
    const __m512i nearest = _mm512_srli_epi32(_mm512_add_epi32(bits, round), 16);
    const __mmask16 nan = _mm512_cmp_ps_mask(v, v, _CMP_UNORD_Q);
    const __m512i words = _mm512_mask_blend_epi32(nan, nearest, _mm512_set1_epi32(0x7fc0));
    return _mm512_cvtepi32_epi16(words);
  }
#endif
  MEMBER void store(f16_t* t) const {
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(t), _mm512_cvtps_ph(v, _MM_FROUND_TO_NEAREST_INT));
  }
  // Of each place's `at` the first `count` of four values, side by side: others are 0 when read, and left when written.
  MEMBER static Vec load_fours(const float* const (&s)[4], int64_t at, int64_t count) {
    const __mmask8 mask = first(count);
    const __m128 a = _mm_maskz_loadu_ps(mask, s[0] + at), b = _mm_maskz_loadu_ps(mask, s[1] + at);
    const __m128 c = _mm_maskz_loadu_ps(mask, s[2] + at), d = _mm_maskz_loadu_ps(mask, s[3] + at);
    return {_mm512_insertf32x8(_mm512_castps256_ps512(_mm256_set_m128(b, a)), _mm256_set_m128(d, c), 1)};
  }
  MEMBER static Vec load_fours(const bf16_t* const (&s)[4], int64_t at, int64_t count) {
    const __mmask8 mask = first(count);
    const __m128i a = _mm_maskz_loadu_epi16(mask, s[0] + at), b = _mm_maskz_loadu_epi16(mask, s[1] + at);
    const __m128i c = _mm_maskz_loadu_epi16(mask, s[2] + at), d = _mm_maskz_loadu_epi16(mask, s[3] + at);
    return of_bf16(_mm256_set_m128i(_mm_unpacklo_epi64(c, d), _mm_unpacklo_epi64(a, b)));
  }
  MEMBER void store_fours(float* const (&t)[4], int64_t at, int64_t count) const {
    const __mmask8 mask = first(count);
    _mm_mask_storeu_ps(t[0] + at, mask, _mm512_castps512_ps128(v));
    _mm_mask_storeu_ps(t[1] + at, mask, _mm512_extractf32x4_ps(v, 1));
    _mm_mask_storeu_ps(t[2] + at, mask, _mm512_extractf32x4_ps(v, 2));
    _mm_mask_storeu_ps(t[3] + at, mask, _mm512_extractf32x4_ps(v, 3));
  }
  MEMBER void store_fours(bf16_t* const (&t)[4], int64_t at, int64_t count) const {
    const __m256i values = as_bf16();
    const __m128i low = _mm256_castsi256_si128(values), high = _mm256_extracti128_si256(values, 1);
    const __mmask8 mask = first(count);
    _mm_mask_storeu_epi16(t[0] + at, mask, low), _mm_mask_storeu_epi16(t[1] + at, mask, _mm_srli_si128(low, 8));
    _mm_mask_storeu_epi16(t[2] + at, mask, high), _mm_mask_storeu_epi16(t[3] + at, mask, _mm_srli_si128(high, 8));
  }
  // All four, in bfloat16 with as many zeros behind them.
  MEMBER void store_fours(float* const (&t)[4], int64_t at) const {
    _mm_storeu_ps(t[0] + at, _mm512_castps512_ps128(v)), _mm_storeu_ps(t[1] + at, _mm512_extractf32x4_ps(v, 1));
    _mm_storeu_ps(t[2] + at, _mm512_extractf32x4_ps(v, 2)), _mm_storeu_ps(t[3] + at, _mm512_extractf32x4_ps(v, 3));
  }
  MEMBER void store_fours(bf16_t* const (&t)[4], int64_t at) const {
    const __m256i values = as_bf16();
    const __m128i low = _mm256_castsi256_si128(values), high = _mm256_extracti128_si256(values, 1);
    const __m128i parts[4] = {_mm_move_epi64(low), _mm_srli_si128(low, 8), _mm_move_epi64(high),
                              _mm_srli_si128(high, 8)};
    for (int i = 0; i < 4; ++i) _mm_storeu_si128(reinterpret_cast<__m128i*>(t[i] + at), parts[i]);
  }
  // Four words again and again, or only `count` of them with zeros behind; and word `i` of those, 0 or 1, in all lanes.
  MEMBER static Vec repeat(const float* words) { return {_mm512_broadcast_f32x4(_mm_loadu_ps(words))}; }
  MEMBER static Vec repeat(const float* words, int count) {
    return {_mm512_broadcast_f32x4(_mm_maskz_loadu_ps(first(count), words))};
  }
  MEMBER Vec spread(int i) const { return {i == 0 ? _mm512_permute_ps(v, 0x00) : _mm512_permute_ps(v, 0x55)}; }
  // Of four vectors of four sums of four numbers each those sums, vector by vector.
  MEMBER static Vec sum_fours(const Vec (&s)[4]) {
    const __m512 ab = _mm512_add_ps(_mm512_unpacklo_ps(s[0].v, s[1].v), _mm512_unpackhi_ps(s[0].v, s[1].v));
    const __m512 cd = _mm512_add_ps(_mm512_unpacklo_ps(s[2].v, s[3].v), _mm512_unpackhi_ps(s[2].v, s[3].v));
    const __m512i half = _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 16, 20, 24, 28, 17, 21, 25, 29);
    const __m512i other = _mm512_add_epi32(half, _mm512_set1_epi32(2));
    return {_mm512_add_ps(_mm512_permutex2var_ps(ab, half, cd), _mm512_permutex2var_ps(ab, other, cd))};
  }
  MEMBER static Vec fill(float value) { return {_mm512_set1_ps(value)}; }
  MEMBER Vec plus(Vec a, Vec b) const { return {_mm512_fmadd_ps(a.v, b.v, v)}; }
  // In this order a NaN stays a NaN.
  MEMBER Vec at_least(float low) const { return {_mm512_max_ps(_mm512_set1_ps(low), v)}; }
  MEMBER Vec relu() const { return at_least(0.0f); }
};

template <>
struct Vec<double> {
  static constexpr int kWidth = 8;
  __m512d v;
  MEMBER static Vec load(const double* s) { return {_mm512_loadu_pd(s)}; }
  MEMBER void store(double* t) const { _mm512_storeu_pd(t, v); }
  MEMBER static Vec fill(double value) { return {_mm512_set1_pd(value)}; }
  MEMBER Vec plus(Vec a, Vec b) const { return {_mm512_fmadd_pd(a.v, b.v, v)}; }
  MEMBER Vec relu() const { return {_mm512_max_pd(_mm512_setzero_pd(), v)}; }
};

}  // namespace
}  // namespace hrnet_fast

#undef MEMBER
