// Decodes the heatmaps of `batch` images on `stream` of the current device. No torch header.
#pragma once

#include <cuda_runtime_api.h>

#include "cpu/heatmap_decode.h"

namespace hrnet_fast {

void heatmap_decode_launch(const HeatmapDecode& p, int64_t batch, cudaStream_t stream);

}  // namespace hrnet_fast
