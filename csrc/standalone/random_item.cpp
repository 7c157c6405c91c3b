#include "standalone/random_item.h"

#include "taps.h"

namespace hrnet_fast {
namespace {

constexpr double kBilinear = 1e-6, kWinograd = 3e-6;  // errors of float32, against the sum of what was added up
constexpr double kHalfBit = 1.0 / 256;                // of bfloat16, against what is rounded to it

// Errors of bfloat16 by F(3x3) and F(4x4), whose patches and weights are rounded to it: against the largest result of
// one input times the root of the inputs, since the roundings are independent. Twice the largest found in 20000 items.
constexpr double kWinogradBf16[] = {0.02, 0.06};

// G of F(m x m, 3x3) [m + 2][3]: p^j / product of (p - q), the last row for the point at infinity.
Values weight_transform(int m) {
  const Values points = m == 2   ? Values{0, 1, -1}
                        : m == 3 ? Values{0.5, -0.5, 1.25, -1.25}
                                 : Values{0, 0.625, -0.625, 1.5, -1.5};
  Values g;
  for (const double p : points) {
    double others = 1;
    for (const double q : points) others *= p == q ? 1 : p - q;
    for (int j = 0; j < 3; ++j) g.push_back(std::pow(p, j) / others);
  }
  g.insert(g.end(), {0, 0, 1});
  return g;
}

// G w G^T of weights [out * in][3][3] -> [out * in][m + 2][m + 2].
Values transform(const Values& weight, int m) {
  const Values g = weight_transform(m);
  const int n = m + 2;
  Values all;
  for (size_t w = 0; w < weight.size(); w += 9)
    for (int y = 0; y < n; ++y)
      for (int x = 0; x < n; ++x) {
        double sum = 0;
        for (int i = 0; i < 3; ++i)
          for (int j = 0; j < 3; ++j) sum += g[y * 3 + i] * weight[w + i * 3 + j] * g[x * 3 + j];
        all.push_back(sum);
      }
  return all;
}

}  // namespace

// A map of integers within a border of zeros, and zeros in the tail, behind a few NaN or at the very start of its
// memory.
Values RandomItem::add_map(Random& random, int64_t n, int64_t h, int64_t w, int64_t c) {
  const int64_t before = random.once_in(2) ? 0 : random.between(1, 20);
  const Map map{int(maps.size()), before, n, h, w, c};
  maps.push_back(map);
  const int64_t count = before + n * map.image() + kernels_.tail();
  memory.push_back(std::make_unique<Elements>(random.place(), count, kernels_.element_bytes));
  memory.back()->fill(NAN);
  memory.back()->fill(0.0, before);
  Values values;
  for (int64_t i = 0; i < n; ++i)
    for (int64_t y = 0; y < h; ++y)
      for (int64_t x = 0; x < w; ++x)
        for (int64_t k = 0; k < c; ++k) {
          values.push_back(double(random.between(-3, 3)));
          memory.back()->set(map.at(i, y, x) + k, values.back());
        }
  return values;
}

// Weights [out][in][position] in the kernels' order: [block][tap][word][outputs of the block][value of the word], plain
// ones of Winograd [block][in][position][outputs of the block]; with fours as cpu/items/fours.h has them. A
// tap's values are those of one position or more.
void RandomItem::pack(Random& random, const Values& weight, int64_t positions) {
  const int64_t lanes = kernels_.lanes, vectors = (item.channels + lanes - 1) / lanes;
  const int64_t inputs = int64_t(weight.size()) / positions / item.channels;
  const int64_t length = item.winograd ? inputs : item.tap_length, taps = positions * inputs / length;
  const int64_t words = (length + kernels_.per_word - 1) / kernels_.per_word, padded = words * kernels_.per_word;
  const int64_t last = ends_in_fours(item, lanes) ? (words + lanes / 4 - 1) / (lanes / 4) : words;  // words of a vector
  weights = std::make_unique<Elements>(
      random.place(), taps * ((vectors - 1) * words + last) * lanes * kernels_.per_word, kernels_.element_bytes);
  int64_t at = 0;
  const auto put = [&](int64_t o, int64_t tap, int64_t k) {
    const int64_t p = (tap * length + k) / inputs, i = (tap * length + k) % inputs;
    weights->set(at++, o < item.channels && k < length ? weight[(o * inputs + i) * positions + p] : 0.0);
  };
  for (int64_t first = 0, width; first < vectors; first += width) {
    width = block_vectors(vectors, first);
    const int64_t begin = first * lanes, end = (first + width) * lanes;
    if (end >= item.channels && ends_in_fours(item, lanes)) {
      const int64_t beside = lanes / 4, whole = end - lanes;
      for (int64_t tap = 0; tap < taps; ++tap)
        for (int64_t first_word = 0; first_word < words; first_word += beside) {
          const auto put_word = [&](int64_t o, int64_t word) {
            for (int64_t value = 0; value < kernels_.per_word; ++value) put(o, tap, word * kernels_.per_word + value);
          };
          for (int64_t word = first_word; word < std::min(words, first_word + beside); ++word)
            for (int64_t o = begin; o < whole; ++o) put_word(o, word);
          for (int64_t o = whole; o < whole + 4; ++o)
            for (int64_t word = first_word; word < first_word + beside; ++word) put_word(o, word);
        }
    } else if (item.plain_weights) {
      for (int64_t k = 0; k < padded; ++k)
        for (int64_t tap = 0; tap < taps; ++tap)
          for (int64_t o = begin; o < end; ++o) put(o, tap, k);
    } else {
      for (int64_t tap = 0; tap < taps; ++tap)
        for (int64_t word = 0; word < words; ++word)
          for (int64_t o = begin; o < end; ++o)
            for (int64_t value = 0; value < kernels_.per_word; ++value) put(o, tap, word * kernels_.per_word + value);
    }
  }
  item.weights = weights->data();
}

// Makes `item` the mean of map 0, and `want` what it gives.
void RandomItem::average(const Values& in) {
  const Map& from = maps[0];
  const int64_t pixels = from.height * from.width;
  item.in = 0, item.kind = Kind::mean;
  for (size_t i = 0; i < in.size(); ++i)
    want[i / size_t(pixels * from.channels) * size_t(from.channels) + i % size_t(from.channels)] +=
        in[i] / double(pixels);
  for (size_t i = 0; i < want.size(); ++i)
    allowed[i] = 1e-7 * std::abs(want[i]) + 1e-12;  // whole numbers, divided once
}

// Makes `item` the shuffle of map 0, and `want` what it gives.
void RandomItem::shuffle(const Values& in, int64_t side) {
  const Map &from = maps[0], &to = maps[1];
  item.in = 0, item.kind = Kind::shuffle, item.side = side;
  size_t at = 0;
  for (int64_t n = 0; n < to.batch; ++n)
    for (int64_t y = 0; y < to.height; ++y)
      for (int64_t x = 0; x < to.width; ++x)
        for (int64_t c = 0; c < to.channels; ++c, ++at) {
          const int64_t pixel = (n * from.height + y / side) * from.width + x / side;
          want[at] = in[size_t(pixel * from.channels + (c * side + y % side) * side + x % side)];
        }
}

// Makes `item` a convolution of map 0, and `want` what it gives without summands. linear: with a 1x1 kernel.
void RandomItem::convolve(Random& random, const Values& in, bool linear) {
  const Map &from = maps[0], to = maps[1];
  const bool winograd = item.winograd != 0;
  const auto side = [&] { return winograd ? 3 : linear ? 1 : random.between(1, 3); };
  const int64_t kernel_h = side(), kernel_w = side();
  // The result is as large as its map was made; any stride that keeps its last pixel within the input will do.
  const auto stride = [&](int64_t size, int64_t result, int64_t kernel, int64_t pad, int64_t dilation) {
    const int64_t room = size + 2 * pad - dilation * (kernel - 1) - 1;
    return result == 1 ? random.between(1, 3) : room / (result - 1);
  };
  int64_t pad_h = 1, pad_w = 1, dilation_h = 1, dilation_w = 1;
  if (!winograd) {
    const auto fits = [&](int64_t size, int64_t result, int64_t kernel, int64_t pad, int64_t dilation) {
      return size + 2 * pad - dilation * (kernel - 1) - 1 >= result - 1;
    };
    do pad_h = random.upto(1), dilation_h = random.between(1, 2);
    while (!fits(from.height, to.height, kernel_h, pad_h, dilation_h));
    do pad_w = random.upto(1), dilation_w = random.between(1, 2);
    while (!fits(from.width, to.width, kernel_w, pad_w, dilation_w));
    item.stride_h = stride(from.height, to.height, kernel_h, pad_h, dilation_h);
    item.stride_w = stride(from.width, to.width, kernel_w, pad_w, dilation_w);
  }
  item.in = 0, item.kind = Kind::convolution;
  item.set_taps(from, {kernel_h, kernel_w}, {pad_h, pad_w}, {dilation_h, dilation_w}, kernels_.per_word);

  const int64_t positions = kernel_h * kernel_w;
  Values weight;
  for (int64_t i = 0; i < item.channels * from.channels * positions; ++i)
    weight.push_back(4.0 * double(random.between(-2, 2)));
  if (winograd && !item.plain_weights) {
    pack(random, transform(weight, item.winograd), (item.winograd + 2) * (item.winograd + 2));
  } else {
    pack(random, weight, positions);
  }
  const int64_t padded = (item.channels + kernels_.lanes - 1) / kernels_.lanes * kernels_.lanes;
  bias = std::make_unique<Elements>(random.place(), padded, int(sizeof(float)));
  bias->fill(0.0);
  for (int64_t o = 0; o < item.channels; ++o) bias->set(o, double(random.between(-9, 9)));
  item.bias = static_cast<const float*>(bias->data());

  size_t at = 0;
  for (int64_t n = 0; n < to.batch; ++n)
    for (int64_t y = 0; y < to.height; ++y)
      for (int64_t x = 0; x < to.width; ++x)
        for (int64_t o = 0; o < item.channels; ++o, ++at) {
          double sum = 0, size = 0;
          for (int64_t p = 0; p < positions; ++p) {
            const int64_t row = y * item.stride_h - pad_h + p / kernel_w * dilation_h;
            const int64_t column = x * item.stride_w - pad_w + p % kernel_w * dilation_w;
            if (row < 0 || row >= from.height || column < 0 || column >= from.width) continue;
            const double* source = &in[((n * from.height + row) * from.width + column) * from.channels];
            for (int64_t i = 0; i < from.channels; ++i) {
              const double product = source[i] * weight[(o * from.channels + i) * positions + p];
              sum += product, size += std::abs(product);
            }
          }
          want[at] = sum + item.bias[o];
          // By F(4x4) a result errs with all of its tile, also where it reads less of the patch itself.
          const double largest = 24.0 * 9, inputs = double(from.channels);
          if (item.winograd > 2)
            allowed[at] = kernels_.element_bytes == 2 ? kWinogradBf16[item.winograd - 3] * largest * std::sqrt(inputs)
                                                      : kWinograd * (size + largest * inputs);
        }
}

void RandomItem::add_summand(Random& random) {
  const Map to = maps[1];
  const bool resized = random.once_in(2);
  const int64_t h = resized ? random.between(1, 12) : to.height, w = resized ? random.between(1, 12) : to.width;
  const Values values = add_map(random, to.batch, h, w, item.channels);
  const Mode mode = random.once_in(2) ? Mode::nearest : Mode::bilinear;
  const bool align_corners = random.once_in(2);
  Summand summand{int(maps.size()) - 1, {}, {}};
  if (h != to.height)
    for (int64_t y = 0; y < to.height; ++y)
      summand.rows.push_back(resize_tap<float>(mode, align_corners, y, h, to.height));
  if (w != to.width)
    for (int64_t x = 0; x < to.width; ++x)
      summand.cols.push_back(resize_tap<float>(mode, align_corners, x, w, to.width));
  size_t at = 0;
  for (int64_t n = 0; n < to.batch; ++n)
    for (int64_t y = 0; y < to.height; ++y)
      for (int64_t x = 0; x < to.width; ++x)
        for (int64_t c = 0; c < item.channels; ++c, ++at) {
          const Tap<float> row = summand.rows.empty() ? Tap<float>{y, y, 0} : summand.rows[y];
          const Tap<float> col = summand.cols.empty() ? Tap<float>{x, x, 0} : summand.cols[x];
          const auto value = [&](int64_t i, int64_t j) { return values[((n * h + i) * w + j) * item.channels + c]; };
          const double top = (1.0 - col.weight) * value(row.lo, col.lo) + col.weight * value(row.lo, col.hi);
          const double bottom = (1.0 - col.weight) * value(row.hi, col.lo) + col.weight * value(row.hi, col.hi);
          want[at] += (1.0 - row.weight) * top + row.weight * bottom;
          if (mode == Mode::bilinear && (h != to.height || w != to.width))
            allowed[at] += kBilinear * (3 + std::abs(want[at]));
        }
  item.summands.push_back(std::move(summand));
}

RandomItem::RandomItem(Random& random, const ItemKernels& kernels) : kernels_(kernels) {
  enum {
    direct,
    winograd,
    sum,
    mean,
    linear,
    shuffle
  } kind = random.once_in(8)   ? mean
           : random.once_in(8) ? linear
           : random.once_in(8) ? shuffle
           : random.once_in(4) ? sum
           : random.once_in(3) ? direct
                               : winograd;
  const bool moves = kind == mean || kind == shuffle;  // and computes no epilogue
  const bool pixel = kind == mean || kind == linear;   // an image of the result has only one
  const int64_t n = random.between(1, 3), side = kind == shuffle ? random.between(1, 3) : 1;
  const int64_t h = side * (pixel || random.once_in(5) ? 1 : random.between(1, 13));
  const int64_t w = side * (pixel || random.once_in(5) ? 1 : random.between(1, 13));
  const int64_t outputs = random.channels();
  const int64_t inputs = kind == shuffle              ? outputs * side * side
                         : pixel && random.once_in(2) ? random.between(1, 300)
                                                      : random.channels();
  item.channels = kind == mean ? inputs : outputs;
  item.winograd = kind == winograd ? int(random.between(2, 4)) : 0;
  item.plain_weights = item.winograd != 0 && random.once_in(2);
  item.group = item.winograd == 0 ? 0 : random.once_in(4) ? 1000 : random.between(1, 30);
  item.out = 1, item.channel = kind == sum && random.once_in(2) ? random.upto(40) : 0;
  item.clears_border = item.channel == 0;
  item.relu = moves ? Relu::none : Relu(random.upto(2));

  const auto larger = [&](int64_t size) {
    return kind == direct ? size + random.upto(size) + 2 : kind == mean ? random.between(1, 13) : size / side;
  };
  const int64_t larger_h = larger(h), larger_w = larger(w);
  const Values in = add_map(random, n, larger_h, larger_w, inputs);
  const int64_t beside = kind == sum ? random.upto(1) * random.upto(20) : 0;
  add_map(random, n, h, w, item.channel + item.channels + beside);
  memory[1]->fill(NAN);
  want.assign(size_t(n * h * w * item.channels), 0.0);
  allowed = want;
  if (kind == mean) {
    average(in);
  } else if (kind == shuffle) {
    this->shuffle(in, side);
  } else if (kind != sum) {
    convolve(random, in, kind == linear);
  }
  if (item.relu == Relu::first)
    for (double& value : want) value = std::max(value, 0.0);
  const int64_t summands = moves ? 0 : random.once_in(8) ? kMaxTerms : random.upto(3);
  for (int64_t i = 0; i < summands; ++i) add_summand(random);
  if (item.relu == Relu::last)
    for (double& value : want) value = std::max(value, 0.0);
  if (kernels.element_bytes == 2)
    for (size_t i = 0; i < want.size(); ++i) allowed[i] += kHalfBit * (std::abs(want[i]) + allowed[i]);
}

}  // namespace hrnet_fast
