// Eight floats or four doubles in a register (AVX2, FMA, F16C).
#pragma once

#include <immintrin.h>

#include "dtype.h"

#define HRNET_FAST_ISA __attribute__((target("avx2,fma,f16c"))) static inline
#define MEMBER __attribute__((target("avx2,fma,f16c"))) inline

namespace hrnet_fast {
namespace {

constexpr int kRegisters = 16;

template <class A>
struct Vec;

template <>
struct Vec<float> {
  static constexpr int kWidth = 8;
  __m256 v;
  MEMBER static Vec load(const float* s) { return {_mm256_loadu_ps(s)}; }
  MEMBER static Vec load(const bf16_t* s) {
    const __m256i wide = _mm256_cvtepu16_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(s)));
    return {_mm256_castsi256_ps(_mm256_slli_epi32(wide, 16))};
  }
  MEMBER static Vec load(const f16_t* s) {
    return {_mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(s)))};
  }
  // The first `count` lanes alone; others are 0 when read, and left when written. At most kWidth, or more for all.
  MEMBER static Vec load(const float* s, int64_t count) { return {_mm256_maskload_ps(s, first(count))}; }
  MEMBER void store(float* t, int64_t count) const { _mm256_maskstore_ps(t, first(count), v); }
  MEMBER static __m256i first(int64_t count) {
    const __m256i lane = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
    return _mm256_cmpgt_epi32(_mm256_set1_epi32(count >= kWidth ? kWidth : int(count)), lane);
  }
  MEMBER void store(float* t) const { _mm256_storeu_ps(t, v); }
  MEMBER void store(bf16_t* t) const {
    const __m256i bits = _mm256_castps_si256(v);
    const __m256i odd = _mm256_and_si256(_mm256_srli_epi32(bits, 16), _mm256_set1_epi32(1));
    const __m256i round = _mm256_add_epi32(odd, _mm256_set1_epi32(0x7fff));
    const __m256i nearest = _mm256_srli_epi32(_mm256_add_epi32(bits, round), 16);
    const __m256i nan = _mm256_castps_si256(_mm256_cmp_ps(v, v, _CMP_UNORD_Q));
    const __m256i words = _mm256_blendv_epi8(nearest, _mm256_set1_epi32(0x7fc0), nan);
    const __m128i packed = _mm_packus_epi32(_mm256_castsi256_si128(words), _mm256_extracti128_si256(words, 1));
    _mm_storeu_si128(reinterpret_cast<__m128i*>(t), packed);
  }
  MEMBER void store(f16_t* t) const {
    _mm_storeu_si128(reinterpret_cast<__m128i*>(t), _mm256_cvtps_ph(v, _MM_FROUND_TO_NEAREST_INT));
  }
  // Of each place's `at` the first `count` of four values, side by side: others are 0 when read, and left when written.
  MEMBER static Vec load_fours(const float* const (&s)[2], int64_t at, int64_t count) {
    const __m128i mask = _mm256_castsi256_si128(first(count));
    return {_mm256_set_m128(_mm_maskload_ps(s[1] + at, mask), _mm_maskload_ps(s[0] + at, mask))};
  }
  MEMBER void store_fours(float* const (&t)[2], int64_t at, int64_t count) const {
    const __m128i mask = _mm256_castsi256_si128(first(count));
    _mm_maskstore_ps(t[0] + at, mask, _mm256_castps256_ps128(v));
    _mm_maskstore_ps(t[1] + at, mask, _mm256_extractf128_ps(v, 1));
  }
  MEMBER void store_fours(float* const (&t)[2], int64_t at) const {
    _mm_storeu_ps(t[0] + at, _mm256_castps256_ps128(v)), _mm_storeu_ps(t[1] + at, _mm256_extractf128_ps(v, 1));
  }
  // Two words again and again, or only one of them and a zero; and the first of those in all lanes.
  MEMBER static Vec repeat(const float* words) {
    double two;  // not read as one, which would have to be aligned
    memcpy(&two, words, sizeof two);
    return {_mm256_castpd_ps(_mm256_set1_pd(two))};
  }
  MEMBER static Vec repeat(const float* words, int) {
    return {_mm256_castpd_ps(_mm256_broadcastsd_pd(_mm_castps_pd(_mm_load_ss(words))))};
  }
  MEMBER Vec spread(int) const { return {_mm256_moveldup_ps(v)}; }
  // Of two vectors of four sums of two numbers each those sums, vector by vector.
  MEMBER static Vec sum_fours(const Vec (&s)[2]) {
    const __m256d pairs = _mm256_castps_pd(_mm256_hadd_ps(s[0].v, s[1].v));
    return {_mm256_castpd_ps(_mm256_permute4x64_pd(pairs, 0xd8))};
  }
  MEMBER static Vec fill(float value) { return {_mm256_set1_ps(value)}; }
  MEMBER Vec plus(Vec a, Vec b) const { return {_mm256_fmadd_ps(a.v, b.v, v)}; }
  // In this order a NaN stays a NaN.
  MEMBER Vec at_least(float low) const { return {_mm256_max_ps(_mm256_set1_ps(low), v)}; }
  MEMBER Vec relu() const { return at_least(0.0f); }
};

template <>
struct Vec<double> {
  static constexpr int kWidth = 4;
  __m256d v;
  MEMBER static Vec load(const double* s) { return {_mm256_loadu_pd(s)}; }
  MEMBER void store(double* t) const { _mm256_storeu_pd(t, v); }
  MEMBER static Vec fill(double value) { return {_mm256_set1_pd(value)}; }
  MEMBER Vec plus(Vec a, Vec b) const { return {_mm256_fmadd_pd(a.v, b.v, v)}; }
  MEMBER Vec relu() const { return {_mm256_max_pd(_mm256_setzero_pd(), v)}; }
};

}  // namespace
}  // namespace hrnet_fast

#undef MEMBER
