// A program of its own, for sanitizers: plays random convolutions and sums in bfloat16 on emulated tiles.
//
//   check_tiles [items] [seed]
//
// Values are small integers, which float32 sums exactly: every result is one rounding away, and must be that one.
// Memory has its exact size, is NaN where nothing has been written, and may be read behind the input as far as a strip
// reaches.
// Exits with 1 and a sentence at the first result that is wrong, with 2 where the emulation cannot run.
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "cpu/program.h"

namespace hrnet_fast {
namespace {

constexpr int64_t kTail = 32, kReach = 16;  // zeros behind a map, and pixels that a strip may read there

using Elements = std::unique_ptr<bf16_t[]>;

class Random {
 public:
  explicit Random(unsigned seed) : engine_(seed) {}
  int64_t between(int64_t first, int64_t last) { return std::uniform_int_distribution<int64_t>(first, last)(engine_); }
  bool once_in(int64_t n) { return between(1, n) == 1; }

 private:
  std::mt19937 engine_;
};

Elements filled(int64_t count, uint16_t bits) {
  Elements all(new bf16_t[count]);
  std::fill_n(all.get(), count, bf16_t{bits});
  return all;
}

int64_t size(const Map& map) { return map.batch * map.image() + kTail; }

// Integers within a border of zeros.
Elements random_map(Random& random, const Map& map, int64_t reach) {
  Elements all = filled(size(map) + reach, 0xffff);
  std::fill_n(all.get(), size(map), bf16_t{0});
  for (int64_t n = 0; n < map.batch; ++n)
    for (int64_t y = 0; y < map.height; ++y)
      for (int64_t i = 0; i < map.width * map.channels; ++i)
        store(&all[map.at(n, y, 0) + i], float(random.between(-3, 3)));
  return all;
}

struct Case {
  Map in, out;
  int64_t kernel, stride, dilation, padding;
  Elements memory[3], weights;  // of the input, the result and a summand
  std::unique_ptr<float[]> bias;
  std::vector<double> plain;  // weights [out][tap][in]
  Item item;

  explicit Case(Random& random);
  double want(int64_t n, int64_t y, int64_t x, int64_t c) const;
};

Case::Case(Random& random) {
  kernel = random.once_in(3) ? 1 : 3, stride = random.between(1, 2), padding = kernel / 2;
  dilation = kernel == 3 && random.once_in(4) ? 2 : 1;
  const int64_t span = dilation * (kernel - 1) + 1 - 2 * padding;
  in = {0, 0, random.between(1, 3), random.between(span, 20), random.between(span, 40), random.between(1, 70)};
  out = {1, 0, in.batch, (in.height - span) / stride + 1, (in.width - span) / stride + 1, random.between(1, 100)};
  item.out = 1, item.channel = 0, item.channels = out.channels, item.in = 0;
  item.kind = random.once_in(5) ? Kind::sum : Kind::convolution;
  item.summands.push_back({2, {}, {}});
  item.relu = Relu(random.between(0, 2)), item.stride_h = item.stride_w = stride;

  const int64_t rows = dilation == 1 ? kernel : kernel * kernel;  // taps: rows of pixels side by side, or pixels
  item.tap_length = kernel * kernel / rows * in.channels;
  for (int64_t t = 0; t < kernel * kernel; t += kernel * kernel / rows)
    item.taps.push_back((1 - padding + t / kernel * dilation) * in.row() +
                        (1 - padding + t % kernel * dilation) * in.channels);
  const int64_t steps = (item.tap_length + 31) / 32, vectors = (out.channels + 15) / 16;
  weights = filled(vectors * rows * steps * 512, 0);
  bias.reset(new float[vectors * 16]());
  for (int64_t o = 0; o < out.channels; ++o) {
    bias[o] = float(random.between(-3, 3));
    for (int64_t t = 0; t < rows; ++t)
      for (int64_t i = 0; i < item.tap_length; ++i) {
        plain.push_back(double(random.between(-1, 1)));
        const int64_t tile = (o / 16 * rows + t) * steps + i / 32;
        store(&weights[tile * 512 + i % 32 / 2 * 32 + o % 16 * 2 + i % 2], float(plain.back()));
      }
  }
  item.weights = weights.get(), item.bias = bias.get();
  memory[0] = random_map(random, in, kReach * stride * in.channels);
  memory[1] = filled(size(out), 0xffff);
  memory[2] = random_map(random, out, 0);
}

double Case::want(int64_t n, int64_t y, int64_t x, int64_t c) const {
  double sum = item.kind == Kind::sum ? 0.0 : bias[c];
  for (int64_t t = 0; item.kind == Kind::convolution && t < kernel * kernel; ++t) {
    const int64_t row = y * stride + t / kernel * dilation - padding;
    const int64_t column = x * stride + t % kernel * dilation - padding;
    if (row < 0 || row >= in.height || column < 0 || column >= in.width) continue;
    for (int64_t i = 0; i < in.channels; ++i)
      sum += plain[(c * kernel * kernel + t) * in.channels + i] * load(&memory[0][in.at(n, row, column) + i]);
  }
  if (item.relu == Relu::first && sum < 0) sum = 0;
  sum += load(&memory[2][out.at(n, y, x) + c]);
  return item.relu == Relu::last && sum < 0 ? 0.0 : sum;
}

bool check(const Case& one) {
  const Map& out = one.out;
  for (int64_t at = 0; at < size(out); ++at) {
    const int64_t n = at / out.image(), y = at % out.image() / out.row() - 1, x = at % out.row() / out.channels - 1;
    const bool inside = n < out.batch && y >= 0 && y < out.height && x >= 0 && x < out.width;
    bf16_t want;
    store(&want, inside ? float(one.want(n, y, x, at % out.channels)) : 0.0f);
    const float got = load(&one.memory[1][at]);
    if (got == load(&want)) continue;
    const std::string name = one.item.kind == Kind::sum ? "sum" : "convolution " + std::to_string(one.kernel);
    const std::string shape = std::to_string(out.batch) + " x " + std::to_string(out.height) + " x " +
                              std::to_string(out.width) + ", " + std::to_string(one.in.channels) + " -> " +
                              std::to_string(out.channels) + " channels";
    std::printf("%s, stride %ld, %s: %g at %ld %ld %ld %ld, where %g is right\n", name.c_str(), long(one.stride),
                shape.c_str(), got, long(n), long(y), long(x), long(at % out.channels), load(&want));
    return false;
  }
  return true;
}

}  // namespace
}  // namespace hrnet_fast

int main(int argc, char** argv) {
  using namespace hrnet_fast;
  const ItemKernels* kernels = item_kernels("amx-emulated");
  if (kernels == nullptr) return std::puts("tiles are emulated on CPUs with AVX-512 alone"), 2;
  const int items = argc > 1 ? std::atoi(argv[1]) : 100;
  Random random(argc > 2 ? unsigned(std::atoi(argv[2])) : 0);
  for (int i = 0; i < items; ++i) {
    const Case one(random);
    Program program(*kernels);
    for (const Map& map : {one.in, one.out, Map{2, 0, one.out.batch, one.out.height, one.out.width, one.out.channels}})
      program.add_map(map);
    program.add_item(one.item);
    void* buffers[] = {one.memory[0].get(), one.memory[1].get(), one.memory[2].get()};
    program.run(buffers, 0, 1, program.schedule(int(random.between(1, 3))));
    if (!check(one)) return 1;
  }
  std::printf("%d items are right\n", items);
}
