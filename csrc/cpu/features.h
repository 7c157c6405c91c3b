// What this CPU and its operating system can run, read once. No torch header.
#pragma once

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

}  // namespace hrnet_fast
