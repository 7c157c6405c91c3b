// Labels all pixels of an UpsampleArgmax on `stream` of the current device. No torch header.
#pragma once

#include <cuda_runtime_api.h>

#include "cpu/upsample_argmax.h"

namespace hrnet_fast {

void upsample_argmax_launch(const UpsampleArgmax& p, bool align_corners, cudaStream_t stream);

}  // namespace hrnet_fast
