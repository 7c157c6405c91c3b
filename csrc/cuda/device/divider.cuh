// Division by a number that many threads divide by: exact for dividends below 2^21, also where the reciprocal is off by
// its last place.
#pragma once

#include "cuda/device/portable.cuh"

namespace hrnet_fast {

struct Divider {
  int by;
  float reciprocal;
};

HRNET_FAST_DEVICE Divider divider(int by) { return {by, reciprocal(float(by))}; }

// The half keeps quotients half a unit of 1 / by away from integers, more than what the reciprocal and rounding move
// them.
HRNET_FAST_DEVICE int operator/(int a, Divider d) { return int((float(a) + 0.5f) * d.reciprocal); }

}  // namespace hrnet_fast
