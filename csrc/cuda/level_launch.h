// Computes a level on the current stream of the current device. No torch header.
#pragma once

#include "cuda/level.h"

namespace hrnet_fast {

// level: one that has no refusal (cuda/level_host.h). dtype: f32 (by TF32), bf16 or f16. overlap: the launch may begin
// while the one before it ends (sm_90).
void level_cuda(const Level& level, Dtype dtype, bool overlap);

// Whether the code that a device takes of this extension multiplies by warpgroups: only what was compiled for sm_90a
// does.
bool level_has_warpgroups(int device);

}  // namespace hrnet_fast
