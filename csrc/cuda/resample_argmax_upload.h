// What a ResampleArgmax reads, on the device of its maps: the part that the binding and the tests share.
#pragma once

#include <ATen/ops/amax.h>
#include <ATen/ops/clamp_min.h>
#include <ATen/ops/maximum.h>
#include <ATen/ops/sub.h>

#include <array>
#include <cstring>

#include "resample_argmax_host.h"

namespace hrnet_fast {

// What is taken from each image's values, lest an exponential overflow: [N] float32 on the maps' device.
inline at::Tensor exponent_shifts(at::TensorList maps) {
  constexpr double kLargestExponent = 80;  // float32 holds e^88
  at::Tensor largest;
  for (const at::Tensor& map : maps) {
    const at::Tensor own = at::amax(map, {1, 2, 3}).to(at::kFloat);
    largest = largest.defined() ? at::maximum(largest, own) : own;
  }
  return at::clamp_min(at::sub(largest, kLargestExponent), 0);
}

// Points `p` to its tables, maps and blends one after another, and shifts on the maps' device: keep what is returned.
inline std::array<at::Tensor, 2> upload(ResampleArgmax& p, at::TensorList maps, bool exp) {
  constexpr int64_t kMost = int64_t(1) << 30;  // labels of an image are counted in 32 bits
  TORCH_CHECK_VALUE(p.height <= kMost / p.width, "resample_argmax: ", p.height, " x ", p.width,
                    " labels are more than 2^30");
  const at::Device device = maps[0].device();
  const int64_t split = p.count * sizeof(ResampleMap), size = p.count * (p.height + p.width) * sizeof(Blend);
  at::Tensor table = at::empty({split + size}, at::TensorOptions(at::kByte).pinned_memory(device.is_cuda()));
  memcpy(table.mutable_data_ptr<uint8_t>(), p.maps, split);
  memcpy(table.mutable_data_ptr<uint8_t>() + split, p.blends, size);
  table = table.to(device, /*non_blocking=*/true);
  p.maps = values_of<ResampleMap>(table);
  p.blends = reinterpret_cast<const Blend*>(p.maps + p.count);
  const at::Tensor shifts = exp ? exponent_shifts(maps) : at::Tensor();
  if (exp) p.shifts = values_of<float>(shifts);
  return {table, shifts};
}

}  // namespace hrnet_fast
