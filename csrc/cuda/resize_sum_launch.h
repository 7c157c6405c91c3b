// Computes a ResizeSum on the current stream of the current device.
#pragma once

#include "resize_sum.h"

namespace hrnet_fast {

void resize_sum_cuda(const ResizeSum& p);

}  // namespace hrnet_fast
