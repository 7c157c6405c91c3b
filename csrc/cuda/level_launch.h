// Computes a level on the current stream of the current device. No torch header.
#pragma once

#include "cuda/level.h"

namespace hrnet_fast {

// level: one that has no refusal (cuda/level_host.h). dtype: f32 (by TF32), bf16 or f16. overlap: the launch may begin
// while the one before it ends, where the device's code is that of sm_90 or newer.
void level_cuda(const Level& level, Dtype dtype, bool overlap);

// What a device takes of this extension, as nvcc compiled it.
struct LevelCode {
  int architecture = 0;     // 90 for sm_90; of code made from PTX, the PTX's; 0 where there is no code for the device
  bool warpgroups = false;  // whether it multiplies by them: only what was compiled for sm_90a does
};
LevelCode level_code(int device);

}  // namespace hrnet_fast
