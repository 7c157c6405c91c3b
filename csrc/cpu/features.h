// What this CPU and its operating system can run, read once. No torch header.
#pragma once

namespace hrnet_fast {

struct CpuFeatures {
  bool avx2, avx512f, avx512_bf16, avx512_fp16, amx_tile, amx_bf16, amx_int8;
};

const CpuFeatures& cpu_features();

// The widest instruction set that the kernels use here: avx512, avx2 or portable.
const char* cpu_isa();

}  // namespace hrnet_fast
