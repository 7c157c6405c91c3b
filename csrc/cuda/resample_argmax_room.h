// What a ResampleArgmax writes and reads beside its maps and labels, on the maps' device: the part that the binding and
// the tests share. A CUDA graph captures it, since nothing comes from the CPU.
#pragma once

#include <ATen/ops/amax.h>
#include <ATen/ops/clamp_min.h>
#include <ATen/ops/maximum.h>
#include <ATen/ops/sub.h>

#include <array>

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

// Points `p` to room for its maps and blends, one after the other, and to shifts: keep what is returned.
inline std::array<at::Tensor, 2> make_room(ResampleArgmax& p, at::TensorList maps, bool exp) {
  const int64_t split = p.count * sizeof(ResampleMap), size = p.count * (p.height + p.width) * sizeof(Blend);
  const at::Tensor room = at::empty({split + size}, maps[0].options().dtype(at::kByte));
  p.maps = static_cast<ResampleMap*>(room.mutable_data_ptr());
  p.blends = reinterpret_cast<Blend*>(p.maps + p.count);
  const at::Tensor shifts = exp ? exponent_shifts(maps) : at::Tensor();
  if (exp) p.shifts = values_of<float>(shifts);
  return {room, shifts};
}

}  // namespace hrnet_fast
