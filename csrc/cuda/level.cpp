// level on a CUDA device: one launch for the convolutions and sums of a description, which cuda/level.h lays out.
#include <c10/cuda/CUDAGuard.h>
#include <torch/library.h>

#include "cuda/level_extents.h"
#include "cuda/level_launch.h"
#include "host.h"

namespace hrnet_fast {
namespace {

bool holds(const at::Tensor& tensor, const Extent& extent) {
  const char* begin = static_cast<const char*>(tensor.const_data_ptr());
  const char* data = static_cast<const char*>(extent.data);
  return begin <= data && data + extent.bytes <= begin + tensor.nbytes();
}

// inputs, outputs: dense tensors, one device; everything that the description points to lies in them.
void level(at::TensorList inputs, at::TensorList outputs, const at::Tensor& description, bool overlap) {
  TORCH_CHECK_VALUE(!outputs.empty(), "level: there is no output");
  TORCH_CHECK_VALUE(description.is_cpu() && description.scalar_type() == at::kByte && description.is_contiguous() &&
                        description.nbytes() == sizeof(Level),
                    "level: the description is not ", sizeof(Level), " bytes on the CPU");
  const at::Tensor& first = outputs[0];
  for (at::TensorList tensors : {inputs, outputs}) {
    for (const at::Tensor& t : tensors) {
      TORCH_CHECK_VALUE(t.device() == first.device() && t.is_non_overlapping_and_dense(),
                        "level: a tensor is on another device, or has gaps");
    }
  }
  const Dtype dtype = dtype_of(first, "level");
  TORCH_CHECK_TYPE(dtype != Dtype::f64, "level: float64 has no kernel; use float32, float16 or bfloat16");
  Level what;
  memcpy(&what, description.const_data_ptr(), sizeof(Level));
  const int itemsize = int(first.element_size());
  const std::string refusal = level_refusal(what, itemsize);
  TORCH_CHECK_VALUE(refusal.empty(), "level: ", refusal);
  for (const Extent& extent : level_extents(what, itemsize)) {
    const auto held = [&](const at::Tensor& tensor) { return holds(tensor, extent); };
    TORCH_CHECK_VALUE(reinterpret_cast<uintptr_t>(extent.data) % 16 == 0, "level: ", extent.what,
                      " of an item does not begin at a multiple of 16 bytes");
    TORCH_CHECK_VALUE(std::any_of(outputs.begin(), outputs.end(), held) ||
                          (!extent.written && std::any_of(inputs.begin(), inputs.end(), held)),
                      "level: ", extent.what, " of an item does not lie in one of the ",
                      extent.written ? "outputs" : "tensors");
  }
  const c10::cuda::CUDAGuard guard(first.device());
  level_cuda(what, dtype, overlap);
}

}  // namespace

TORCH_LIBRARY_IMPL(hrnet_fast, CUDA, m) { m.impl("level", level); }

}  // namespace hrnet_fast
