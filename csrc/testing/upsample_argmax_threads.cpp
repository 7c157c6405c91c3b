// Runs the code of the threads of upsample_argmax's CUDA kernel on CPU tensors, one after another.
#include <torch/library.h>

#include "cuda/device/upsample_argmax.cuh"
#include "upsample_argmax_host.h"

namespace hrnet_fast {
namespace {

// Fewer threads than images, so that each labels several, and some without a pixel.
template <class T>
void run_threads(const UpsampleArgmax& p, bool align_corners) {
  constexpr int64_t kImages = 2, kBeyond = 100;
  with_room_for(p.count, [&](auto maps) {
    for (int64_t n = 0; n < kImages; ++n)
      for (int64_t pixel = 0; pixel < p.height * p.width + kBeyond; ++pixel)
        upsample_argmax_thread<T, decltype(maps)::value>(p, align_corners, pixel, n, kImages);
  });
}

at::Tensor upsample_argmax_threads(at::TensorList maps, at::ArrayRef<double> weights, at::IntArrayRef size,
                                   bool align_corners) {
  return upsample_argmax(maps, weights, size, [&](const UpsampleArgmax& p) {
    switch (p.dtype) {
      case Dtype::bf16: return run_threads<bf16_t>(p, align_corners);
      case Dtype::f16: return run_threads<f16_t>(p, align_corners);
      default: return run_threads<float>(p, align_corners);
    }
  });
}

}  // namespace

TORCH_LIBRARY_FRAGMENT(hrnet_fast_testing, m) {
  m.def("upsample_argmax_threads(Tensor[] maps, float[] weights, int[2] size, bool align_corners) -> Tensor");
}
TORCH_LIBRARY_IMPL(hrnet_fast_testing, CPU, m) { m.impl("upsample_argmax_threads", upsample_argmax_threads); }

}  // namespace hrnet_fast
