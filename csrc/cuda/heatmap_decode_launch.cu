#include "cuda/device/heatmap_decode.cuh"
#include "cuda/heatmap_decode_launch.h"

namespace hrnet_fast {
namespace {

// A block decodes one heatmap.
template <class T>
__global__ void __launch_bounds__(kDecodeThreads)
    heatmap_decode_kernel(const __grid_constant__ HeatmapDecode p, const __grid_constant__ MirrorChannels channels) {
  __shared__ Peak<acc_t<T>> peaks[kDecodeThreads];
  const int index = int(blockIdx.x % channels.count), lane = int(threadIdx.x);
  const int64_t n = blockIdx.x / channels.count, k = channels.first + index;
  const HeatmapPair<T> pair = pair_of<T>(p, n, k, channels.of[index]);
  peaks[lane] = peak_of_lane(p, pair, lane, kDecodeThreads);
  for (int half = kDecodeThreads / 2; half > 0; half /= 2) {
    __syncthreads();
    join_peaks(peaks, lane, half);
  }
  if (lane == 0) write_point(p, pair, n * p.channels + k, peaks[0]);
}

template <class T>
void launch(const HeatmapDecode& p, int64_t batch, cudaStream_t stream) {
  for_each_channels(p, [&](const MirrorChannels& channels) {
    heatmap_decode_kernel<T><<<unsigned(batch * channels.count), kDecodeThreads, 0, stream>>>(p, channels);
  });
}

}  // namespace

void heatmap_decode_launch(const HeatmapDecode& p, int64_t batch, cudaStream_t stream) {
  switch (p.dtype) {
    case Dtype::f32: return launch<float>(p, batch, stream);
    case Dtype::f64: return launch<double>(p, batch, stream);
    case Dtype::bf16: return launch<bf16_t>(p, batch, stream);
    case Dtype::f16: return launch<f16_t>(p, batch, stream);
  }
}

}  // namespace hrnet_fast
