// Runs the code of the threads of affine_crop's CUDA kernel on CPU tensors, one after another.
#include <torch/library.h>

#include "affine_crop_host.h"
#include "cuda/device/affine_crop.cuh"

namespace hrnet_fast {
namespace {

at::Tensor affine_crop_threads(const at::Tensor& image, const at::Tensor& matrices, at::IntArrayRef size,
                               at::ArrayRef<double> mean, at::ArrayRef<double> std, bool flip) {
  return affine_crop(image, matrices, size, mean, std, flip, [](const AffineCrop& p, int64_t count) {
    for_each_crops(p, count, [](const AffineCrop& part, const CropInverses& inverses) {
      constexpr int64_t kBeyond = 100;  // threads of the last block that have no pixel
      const int64_t threads = part.crop_height * part.crop_width + kBeyond;
      for (int n = 0; n < inverses.count; ++n)
        for (int64_t pixel = 0; pixel < threads; ++pixel) affine_crop_thread(part, inverses.of[n], n, pixel);
    });
  });
}

}  // namespace

TORCH_LIBRARY_FRAGMENT(hrnet_fast_testing, m) {
  m.def(
      "affine_crop_threads(Tensor image, Tensor matrices, int[2] size, float[] mean, float[] std, bool flip)"
      " -> Tensor");
}
TORCH_LIBRARY_IMPL(hrnet_fast_testing, CPU, m) { m.impl("affine_crop_threads", affine_crop_threads); }

}  // namespace hrnet_fast
