// Labels all pixels of a ResampleArgmax on `stream` of the current device, whose maps, `described` on the CPU, and
// blends it writes first. No torch header.
#pragma once

#include <cuda_runtime_api.h>

#include "cuda/device/resample_argmax.cuh"

namespace hrnet_fast {

void resample_argmax_launch(const ResampleArgmax& p, const ResampleMap* described, cudaStream_t stream);

}  // namespace hrnet_fast
