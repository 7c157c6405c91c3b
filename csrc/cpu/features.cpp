#include "cpu/features.h"

#include <cstdint>
#include <cstdlib>
#include <stdexcept>
#include <string>

#if defined(__x86_64__)
#include <cpuid.h>
#endif

namespace hrnet_fast {
namespace {

#if defined(__x86_64__)
CpuFeatures read_features() {
  unsigned a, b, c, d;
  if (!__get_cpuid(1, &a, &b, &c, &d)) return {};
  const bool has_xsave = c >> 27 & 1, has_fma = c >> 12 & 1, has_f16c = c >> 29 & 1;
  uint32_t state = 0, high = 0;  // XCR0: the register files that the operating system saves
  if (has_xsave) __asm__ volatile("xgetbv" : "=a"(state), "=d"(high) : "c"(0));
  const bool ymm = (state & 0x6) == 0x6, zmm = ymm && (state & 0xe0) == 0xe0, tiles = (state & 0x60000) == 0x60000;

  unsigned b7 = 0, d7 = 0, a71 = 0;
  if (!__get_cpuid_count(7, 0, &a, &b7, &c, &d7)) return {};
  if (a >= 1) __get_cpuid_count(7, 1, &a71, &b, &c, &d);
  const bool wide = b7 >> 16 & b7 >> 17 & b7 >> 30 & b7 >> 31 & 1;  // F, DQ, BW and VL, which the kernels use together
  CpuFeatures f = {};
  f.avx2 = ymm && has_fma && has_f16c && (b7 >> 5 & 1);
  f.avx512f = f.avx2 && zmm && wide;
  f.avx512_bf16 = f.avx512f && (a71 >> 5 & 1);
  f.avx512_fp16 = f.avx512f && (d7 >> 23 & 1);
  f.amx_tile = tiles && (d7 >> 24 & 1);
  f.amx_bf16 = f.amx_tile && (d7 >> 22 & 1);
  f.amx_int8 = f.amx_tile && (d7 >> 25 & 1);
  return f;
}
#else
CpuFeatures read_features() { return {}; }
#endif

}  // namespace

const CpuFeatures& cpu_features() {
  static const CpuFeatures features = read_features();
  return features;
}

CpuFeatures features_within(const CpuFeatures& features, const char* asked) {
  const std::string isa = asked == nullptr ? "" : asked;
  if (isa.empty()) return features;
  const std::string name = "HRNET_FAST_CPU_ISA=" + isa;
  if (isa != "avx512" && isa != "avx2" && isa != "portable")
    throw std::runtime_error(name + " is not known: choose avx512, avx2 or portable, or leave it unset");
  if ((isa == "avx512" && !features.avx512f) || (isa == "avx2" && !features.avx2))
    throw std::runtime_error(name + " cannot be used: this CPU has no " +
                             (isa == "avx2" ? "AVX2 with FMA and F16C" : "AVX-512 F, BW, DQ and VL") +
                             "; choose a narrower one, or leave it unset");
  CpuFeatures f = features;
  f.amx_tile = f.amx_bf16 = f.amx_int8 = false;
  if (isa != "avx512") f.avx512f = f.avx512_bf16 = f.avx512_fp16 = false;
  if (isa == "portable") f.avx2 = false;
  return f;
}

const CpuFeatures& allowed_features() {
  static const CpuFeatures allowed = features_within(cpu_features(), std::getenv("HRNET_FAST_CPU_ISA"));
  return allowed;
}

const char* cpu_isa() {
  const CpuFeatures& f = allowed_features();
  return f.avx512f ? "avx512" : f.avx2 ? "avx2" : "portable";
}

}  // namespace hrnet_fast
