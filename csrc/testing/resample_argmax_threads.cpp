// Runs the code of the threads of resample_argmax's CUDA kernels on CPU tensors: block after block, on shared memory
// that holds NaN at first.
#include <torch/library.h>

#include <algorithm>
#include <limits>

#include "cuda/device/resample_argmax.cuh"
#include "cuda/resample_argmax_room.h"

namespace hrnet_fast {
namespace {

// Some threads have no blend to make.
void run_blends(const ResampleArgmax& p, const ResampleMap* described) {
  constexpr int64_t kBeyond = 100;
  for_each_maps(p, described, [&](const ResampleMaps& maps) {
    for (int k = 0; k < maps.count; ++k)
      for (int64_t line = 0; line < p.height + p.width + kBeyond; ++line)
        resample_blends_thread(p, maps.of[k], maps.first + k, line);
  });
}

// Fewer blocks than images, so that each thread labels several.
template <class T>
void run_blocks(const ResampleArgmax& p) {
  constexpr int64_t kImages = 2;
  const int threads = resample_threads(p.channels);
  std::vector<float> sums(p.channels * threads);
  for (int64_t n = 0; n < kImages; ++n)
    for (int64_t first = 0; first < p.height * p.width; first += threads) {
      std::fill(sums.begin(), sums.end(), std::numeric_limits<float>::quiet_NaN());
      for (int lane = 0; lane < threads; ++lane)
        resample_argmax_thread<T>(p, sums.data() + lane, threads, first + lane, n, kImages);
    }
}

at::Tensor resample_argmax_threads(at::TensorList maps, at::IntArrayRef rows, at::IntArrayRef cols, bool exp,
                                   bool align_corners) {
  return resample_argmax(maps, rows, cols, align_corners, [&](ResampleArgmax& p) {
    const ResampleMap* described = p.maps;
    const auto room = make_room(p, maps, exp);
    run_blends(p, described);
    switch (p.dtype) {
      case Dtype::bf16: return run_blocks<bf16_t>(p);
      case Dtype::f16: return run_blocks<f16_t>(p);
      default: return run_blocks<float>(p);
    }
  });
}

}  // namespace

TORCH_LIBRARY_FRAGMENT(hrnet_fast_testing, m) {
  m.def("resample_argmax_threads(Tensor[] maps, int[] rows, int[] cols, bool exp, bool align_corners) -> Tensor");
}
TORCH_LIBRARY_IMPL(hrnet_fast_testing, CPU, m) { m.impl("resample_argmax_threads", resample_argmax_threads); }

}  // namespace hrnet_fast
