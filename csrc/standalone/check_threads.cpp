// A program of its own, for sanitizers: plays the threads of the small ops' CUDA kernels on random heatmaps, crops and
// labels.
//
//   check_threads [items]
//
// Memory has its exact size; where results go it holds what is no result.
// Exits with 1 and a sentence at the first result that is not there.
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <random>
#include <vector>

#include "cuda/device/affine_crop.cuh"
#include "cuda/device/heatmap_decode.cuh"
#include "cuda/device/resample_argmax.cuh"
#include "cuda/device/upsample_argmax.cuh"

namespace hrnet_fast {
namespace {

std::mt19937 random_bits(7);

int pick(int low, int high) { return std::uniform_int_distribution<int>(low, high)(random_bits); }
float uniform(float low, float high) { return std::uniform_real_distribution<float>(low, high)(random_bits); }

void require(bool good, const char* what) {
  if (good) return;
  std::printf("%s\n", what);
  std::exit(1);
}

// A map [batch, channels, height, width] of random values, channels last or rows last.
template <class T>
struct Map {
  std::vector<T> values;
  Term term;

  Map(int64_t batch, int64_t channels, int64_t height, int64_t width) : values(batch * channels * height * width) {
    for (T& value : values) store(&value, uniform(-3, 3));
    const int64_t plane = height * width;
    term = pick(0, 1) ? Term{values.data(), height, width, channels * plane, plane, width, 1}
                      : Term{values.data(), height, width, channels * plane, 1, width * channels, channels};
  }
  Heatmaps heatmaps() const { return {term.data, term.stride_n, term.stride_c, term.stride_h, term.stride_w}; }
};

template <class T>
void check_decode() {
  using A = acc_t<T>;
  const int batch = pick(1, 2), channels = pick(1, 5), height = pick(1, 20), width = pick(1, 20);
  const Map<T> maps(batch, channels, height, width), flipped(batch, channels, height, width);
  std::vector<int64_t> swap(channels);
  for (int64_t& k : swap) k = pick(0, channels - 1);
  std::vector<A> out(batch * channels * 3, A(NAN));
  HeatmapDecode p = {maps.heatmaps(), flipped.heatmaps(), swap.data(), out.data(), channels, height, width};
  if (pick(0, 1)) p.flipped = {};
  p.shift = pick(0, 1), p.quarter = pick(0, 1);
  for_each_channels(p, [&](const MirrorChannels& part) {
    for (int block = 0; block < batch * part.count; ++block) {
      const int64_t n = block / part.count, k = part.first + block % part.count;
      const HeatmapPair<T> pair = pair_of<T>(p, n, k, part.of[block % part.count]);
      std::vector<Peak<A>> peaks(kDecodeThreads);
      for (int lane = 0; lane < kDecodeThreads; ++lane) peaks[lane] = peak_of_lane(p, pair, lane, kDecodeThreads);
      for (int half = kDecodeThreads / 2; half > 0; half /= 2)
        for (int lane = 0; lane < kDecodeThreads; ++lane) join_peaks(peaks.data(), lane, half);
      write_point(p, pair, n * channels + k, peaks[0]);
    }
  });
  for (A value : out) require(std::isfinite(value), "a point was not written");
}

void check_crop() {
  const int height = pick(1, 30), width = pick(1, 30), count = pick(1, 3), h = pick(1, 20), w = pick(1, 20);
  std::vector<uint8_t> image(height * width * 3, 200);
  std::vector<float> inverses(count * 6), out(count * 3 * h * w, NAN), mirrored(out);
  for (float& value : inverses) value = uniform(-2, 2);
  for (int n = 0; n < count; ++n) inverses[n * 6 + 2] = uniform(-9, 39), inverses[n * 6 + 5] = uniform(-9, 39);
  inverses[pick(0, count * 6 - 1)] = pick(0, 1) ? NAN : INFINITY;
  AffineCrop p = {image.data(), height, width, width * 3, 3, 1, inverses.data(), out.data(), mirrored.data(), h, w};
  if (pick(0, 1)) p.stride_h = width, p.stride_w = 1, p.stride_c = height * width;
  for (float& scale : p.scale) scale = 1;
  for_each_crops(p, count, [&](const AffineCrop& part, const CropInverses& maps) {
    for (int n = 0; n < maps.count; ++n)
      for (int pixel = 0; pixel < h * w + 100; ++pixel) affine_crop_thread(part, maps.of[n], n, pixel);
  });
  for (size_t i = 0; i < out.size(); ++i)
    require(out[i] >= 0 && out[i] <= 200 && mirrored[i] >= 0, "a pixel was not written, or lies beyond the picture's");
}

template <class T>
void check_labels() {
  const int batch = pick(1, 3), classes = pick(1, 9), count = pick(1, kMaxTerms), h = pick(1, 25), w = pick(1, 25);
  std::vector<Map<T>> maps;
  for (int k = 0; k < count; ++k) maps.emplace_back(batch, classes, pick(1, 12), pick(1, 12));
  std::vector<uint8_t> labels(batch * h * w, 255);
  UpsampleArgmax p = {};
  for (int k = 0; k < count; ++k) p.maps[k] = maps[k].term, p.weights[k] = uniform(-1, 1);
  p.count = count, p.labels = labels.data(), p.batch = batch, p.channels = classes, p.height = h, p.width = w;
  const bool align_corners = pick(0, 1);
  with_room_for(count, [&](auto room) {
    for (int pixel = 0; pixel < h * w + 100; ++pixel)
      upsample_argmax_thread<T, decltype(room)::value>(p, align_corners, pixel, 0, 1);
  });
  for (uint8_t label : labels) require(label < classes, "a label was not written");
}

template <class T>
void check_resampled_labels() {
  const int batch = pick(1, 3), classes = pick(1, 9), count = pick(1, 40), h = pick(1, 25), w = pick(1, 25);
  std::vector<Map<T>> maps;
  std::vector<ResampleMap> described, parts(count);
  std::vector<Blend> blends(count * (h + w));
  const auto axis_to = [](int target) {
    const int step = pick(1, 30), last = pick(0, 40), base = pick(1, 50);
    const int start = pick(0, 1) ? last : pick(0, last / step) * step;
    return ResampleAxis{pick(1, 30), start, step, last, pick(1, 50), base, pick(1, base), target};
  };
  for (int k = 0; k < count; ++k) {
    maps.emplace_back(batch, classes, pick(1, 12), pick(1, 12));
    described.push_back({maps[k].term, axis_to(h), axis_to(w)});
  }
  std::vector<float> shifts(batch, 1), sums(classes * resample_threads(classes), NAN);
  std::vector<uint8_t> labels(batch * h * w, 255);
  ResampleArgmax p = {
      parts.data(), blends.data(), pick(0, 1) ? shifts.data() : nullptr, labels.data(), count, batch, classes, h, w};
  p.align_corners = pick(0, 1);
  for_each_maps(p, described.data(), [&](const ResampleMaps& part) {
    for (int k = 0; k < part.count; ++k)
      for (int line = 0; line < h + w + 100; ++line) resample_blends_thread(p, part.of[k], part.first + k, line);
  });
  const int threads = resample_threads(classes);
  for (int pixel = 0; pixel < h * w + 100; ++pixel)
    resample_argmax_thread<T>(p, sums.data() + pixel % threads, threads, pixel, 0, 1);
  for (uint8_t label : labels) require(label < classes, "a label was not written");
}

template <class T>
void check_maps() {
  check_decode<T>();
  check_labels<T>();
  check_resampled_labels<T>();
}

void check_all() {
  check_crop();
  check_decode<double>();
  check_maps<float>();
  check_maps<bf16_t>();
  check_maps<f16_t>();
}

}  // namespace
}  // namespace hrnet_fast

int main(int count, char** arguments) {
  const int items = count > 1 ? std::atoi(arguments[1]) : 100;
  for (int item = 0; item < items; ++item) hrnet_fast::check_all();
  std::printf("%d items are there\n", items);
}
