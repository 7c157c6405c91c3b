// Division by a number that many threads divide by: exact for dividends below 2^21.
#pragma once

#include "cuda/device/portable.cuh"

namespace hrnet_fast {

struct Divider {
  int by;
  float reciprocal;
};

HRNET_FAST_DEVICE Divider divider(int by) { return {by, 1.0f / float(by)}; }

// The half keeps quotients half a unit of 1 / by away from integers, more than what rounding moves them.
HRNET_FAST_DEVICE int operator/(int a, Divider d) { return int((float(a) + 0.5f) * d.reciprocal); }

}  // namespace hrnet_fast
