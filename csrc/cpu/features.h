// What this CPU and its operating system can run, read once. No torch header.
#pragma once

#include <string_view>

namespace hrnet_fast {

struct CpuFeatures {
  bool avx2, avx512f, avx512_bf16, avx512_fp16, amx_tile, amx_bf16, amx_int8;
};

const CpuFeatures& cpu_features();

// Those of `features` that kernels may use if the instruction set `asked` is (null or "" for all of them): a narrower
// one rules out what wider ones have, avx512 the tiles of AMX too. Throws std::runtime_error if it is unknown or
// lacking.
CpuFeatures features_within(const CpuFeatures& features, const char* asked);

// The features that kernels may use here: those of the CPU within HRNET_FAST_CPU_ISA, which is read at the first call.
const CpuFeatures& allowed_features();

// The instruction set of the kernels here: the widest allowed of avx512, avx2 and portable.
const char* cpu_isa();

// The body for the instruction set `isa`, or null if this CPU cannot run it. Bodies are template arguments so that
// those which only x86 has are not linked elsewhere.
template <auto avx512, auto avx2, auto portable>
decltype(portable) body_for(std::string_view isa) {
#if defined(__x86_64__)
  if (isa == "avx512") return cpu_features().avx512f ? avx512 : nullptr;
  if (isa == "avx2") return cpu_features().avx2 ? avx2 : nullptr;
#endif
  return isa == "portable" ? portable : nullptr;
}

}  // namespace hrnet_fast
