// Runs the code of the blocks of heatmap_decode's CUDA kernel on CPU tensors: between two barriers thread after thread,
// in a random order, on shared memory that holds NaN at first.
#include <torch/library.h>

#include <algorithm>
#include <array>
#include <limits>
#include <numeric>
#include <random>

#include "cuda/device/heatmap_decode.cuh"
#include "heatmap_decode_host.h"

namespace hrnet_fast {
namespace {

class Block {
 public:
  explicit Block(int64_t seed) : random_(unsigned(seed)) { std::iota(lanes_.begin(), lanes_.end(), 0); }

  // What the threads do up to the next barrier.
  template <class Body>
  void run(Body body) {
    std::shuffle(lanes_.begin(), lanes_.end(), random_);
    for (int lane : lanes_) body(lane);
  }

 private:
  std::array<int, kDecodeThreads> lanes_;
  std::mt19937 random_;
};

template <class T>
void decode(const HeatmapDecode& p, int64_t n, int64_t k, int64_t mirror_k, Block& block) {
  using A = acc_t<T>;
  std::array<Peak<A>, kDecodeThreads> peaks;
  peaks.fill({std::numeric_limits<A>::quiet_NaN(), -1});
  const HeatmapPair<T> pair = pair_of<T>(p, n, k, mirror_k);
  block.run([&](int lane) { peaks[lane] = peak_of_lane(p, pair, lane, kDecodeThreads); });
  for (int half = kDecodeThreads / 2; half > 0; half /= 2)
    block.run([&](int lane) { join_peaks(peaks.data(), lane, half); });
  write_point(p, pair, n * p.channels + k, peaks[0]);
}

template <class T>
void decode_all(const HeatmapDecode& p, int64_t batch, Block& block) {
  for_each_channels(p, [&](const MirrorChannels& channels) {
    for (int64_t n = 0; n < batch; ++n)
      for (int k = 0; k < channels.count; ++k) decode<T>(p, n, channels.first + k, channels.of[k], block);
  });
}

at::Tensor heatmap_decode_blocks(const at::Tensor& heatmaps, const std::optional<at::Tensor>& flipped,
                                 at::IntArrayRef swap, bool shift, bool quarter, int64_t seed) {
  return heatmap_decode(heatmaps, flipped, swap, shift, quarter, [&](const HeatmapDecode& p, int64_t batch) {
    Block block(seed);
    switch (p.dtype) {
      case Dtype::f32: return decode_all<float>(p, batch, block);
      case Dtype::f64: return decode_all<double>(p, batch, block);
      case Dtype::bf16: return decode_all<bf16_t>(p, batch, block);
      case Dtype::f16: return decode_all<f16_t>(p, batch, block);
    }
  });
}

}  // namespace

TORCH_LIBRARY_FRAGMENT(hrnet_fast_testing, m) {
  m.def(
      "heatmap_decode_blocks(Tensor heatmaps, Tensor? flipped, int[] swap, bool shift, bool quarter, int seed)"
      " -> Tensor");
}
TORCH_LIBRARY_IMPL(hrnet_fast_testing, CPU, m) { m.impl("heatmap_decode_blocks", heatmap_decode_blocks); }

}  // namespace hrnet_fast
