// Storage types and their conversion to the type that sums are kept in; host and device. No torch header.
#pragma once

#include <cstdint>
#include <cstring>

// Internal linkage on the host: each instruction set's file keeps its own copy, so the linker cannot hand AVX-512 code
// to an old CPU.
#ifdef __CUDACC__
#include <cuda_fp16.h>
#define HRNET_FAST_HD static __host__ __device__ __forceinline__
#else
#define HRNET_FAST_HD static inline
#endif

namespace hrnet_fast {

enum class Dtype { f32, f64, bf16, f16 };

struct bf16_t {
  uint16_t bits;
};
struct f16_t {
  uint16_t bits;
};

template <class T>
struct Accumulator {
  using type = float;
};
template <>
struct Accumulator<double> {
  using type = double;
};
template <class T>
using acc_t = typename Accumulator<T>::type;

HRNET_FAST_HD float float_of_bits(uint32_t bits) {
  float value;
  memcpy(&value, &bits, sizeof value);
  return value;
}

HRNET_FAST_HD uint32_t bits_of_float(float value) {
  uint32_t bits;
  memcpy(&bits, &value, sizeof bits);
  return bits;
}

HRNET_FAST_HD float load(const float* source) { return *source; }
HRNET_FAST_HD double load(const double* source) { return *source; }
HRNET_FAST_HD float load(const bf16_t* source) { return float_of_bits(uint32_t(source->bits) << 16); }
HRNET_FAST_HD float load(const f16_t* source) {
#ifdef __CUDA_ARCH__
  return __half2float(*reinterpret_cast<const __half*>(source));
#else
  const uint32_t sign = uint32_t(source->bits & 0x8000) << 16, exponent = source->bits >> 10 & 31,
                 mantissa = source->bits & 0x3ff;
  if (exponent == 31) return float_of_bits(sign | 0x7f800000 | mantissa << 13);
  if (exponent == 0) return float_of_bits(sign | bits_of_float(float(mantissa) * 0x1p-24f));
  return float_of_bits(sign | (exponent + 112) << 23 | mantissa << 13);
#endif
}

HRNET_FAST_HD void store(float* target, float value) { *target = value; }
HRNET_FAST_HD void store(double* target, double value) { *target = value; }
HRNET_FAST_HD void store(bf16_t* target, float value) {
  const uint32_t bits = bits_of_float(value);
  const bool nan = value != value;
  target->bits = nan ? 0x7fc0 : uint16_t((bits + 0x7fff + (bits >> 16 & 1)) >> 16);  // round to nearest, ties to even
}
HRNET_FAST_HD void store(f16_t* target, float value) {
#ifdef __CUDA_ARCH__
  *reinterpret_cast<__half*>(target) = __float2half_rn(value);
#else
  const uint32_t bits = bits_of_float(value), sign = bits >> 16 & 0x8000, magnitude = bits & 0x7fffffff;
  uint32_t half;
  if (magnitude > 0x7f800000) {
    half = 0x7e00;  // NaN
  } else if (magnitude >= 0x477ff000) {
    half = 0x7c00;  // 65520 and more round to infinity
  } else if (magnitude < 0x38800000) {
    half = bits_of_float(float_of_bits(magnitude) + 0.5f) - bits_of_float(0.5f);  // subnormal: 0.5's last bit is 2^-24
  } else {
    half = ((magnitude + 0xfff + (magnitude >> 13 & 1)) >> 13) - (112 << 10);
  }
  target->bits = uint16_t(sign | half);
#endif
}

}  // namespace hrnet_fast
