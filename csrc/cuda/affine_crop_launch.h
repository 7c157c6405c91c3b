// Cuts out `count` pieces on `stream` of the current device. No torch header.
#pragma once

#include <cuda_runtime_api.h>

#include "cpu/affine_crop.h"

namespace hrnet_fast {

void affine_crop_launch(const AffineCrop& p, int64_t count, cudaStream_t stream);

}  // namespace hrnet_fast
