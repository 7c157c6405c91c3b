// A plan for the CPU as flat data: levels of items over maps, all of one dtype. No torch header.
//
// A map lies channels-last with a border of one zero pixel on each side, so that a 3x3 convolution has no border cases:
// [n, height + 2, width + 2, channels]. Maps live in buffers that the caller owns and passes at each run.
#pragma once

#include <cstdint>
#include <map>
#include <string_view>
#include <utility>
#include <vector>

#include "resize_sum.h"  // kMaxTerms

namespace hrnet_fast {

struct Map {
  int buffer;
  int64_t offset;  // of pixel (-1, -1) of image 0, in elements
  int64_t batch, height, width, channels;
  bool keeps_border = false;  // the map before it in this place has left the border of zeros

  int64_t row() const { return (width + 2) * channels; }
  int64_t image() const { return (height + 2) * row(); }
  // Offset of pixel (y, x) of image n, both counted from the first pixel that is not border.
  int64_t at(int64_t n, int64_t y, int64_t x) const { return offset + from_first(n, y, x); }
  int64_t from_first(int64_t n, int64_t y, int64_t x) const {
    return n * image() + (y + 1) * row() + (x + 1) * channels;
  }
};

// A summand: a map, interpolated to the size of the sum. Taps are empty along an axis of equal size.
struct Summand {
  int map;
  std::vector<Tap<float>> rows, cols;
};

using Sides = std::pair<int64_t, int64_t>;  // along the height, along the width

enum class Relu { none, last, first };

// Convolution: out = relu(conv(in) + bias + summands); sum: the same without a convolution; mean: of all pixels of each
// image of `in`, into a map of one pixel; shuffle: each pixel of `in` becomes several, as in torch's pixel_shuffle.
enum class Kind { sum, convolution, mean, shuffle };

struct Item {
  int out;
  int64_t channel;   // first channel of `out` that is written
  int64_t channels;  // how many
  int in = -1;       // of all but a sum
  Kind kind = Kind::sum;
  int64_t side = 1;  // of a shuffle: pixels along each side that one becomes
  // Words [blocks][taps][words of a tap][lanes * vectors of the block], see block_vectors; of a block that ends in
  // fours as cpu/items/fours.h has them, of AMX as cpu/amx/convolve.h.
  const void* weights = nullptr;
  const float* bias = nullptr;  // padded with zeros to whole vectors
  int64_t stride_h = 1, stride_w = 1;
  std::vector<int64_t> taps;  // offsets in elements from the input pixel at (y * stride_h - 1, x * stride_w - 1)
  int64_t tap_length = 0;     // elements side by side that a tap covers: a pixel's, or those of a row of pixels
  int64_t tap_words = 0;      // words that hold them
  std::vector<Summand> summands;
  Relu relu = Relu::none;
  bool clears_border = true;  // the first writer of a map also zeroes its border, unless the map keeps it
  int winograd = 0;           // m of F(m x m, 3x3), 2 to 4; 0 for a direct convolution
  int64_t group = 0;          // tiles of m x m that are transformed together
  // Of Winograd: the weights are elements [blocks][in channels][taps][lanes * vectors of the block], as they were.
  bool plain_weights = false;

  // Sets `taps`, `tap_length` and `tap_words`: those of a kernel row count as one where they lie side by side.
  void set_taps(const Map& from, Sides kernel, Sides padding, Sides dilation, int64_t per_word);
};

// Output channels go in blocks of two vectors; an odd number of vectors ends in a block of three (or is one of one).
inline int64_t block_vectors(int64_t vectors, int64_t first) {
  const int64_t left = vectors - first;
  return left == 3 || left == 1 ? left : 2;
}

inline int64_t block_count(int64_t vectors) { return vectors == 1 ? 1 : vectors / 2; }

// Whether so few channels are left behind whole vectors that those of several pixels or tiles may share one, as fours
// (cpu/items/fours.h).
inline bool leaves_few(int64_t channels, int64_t lanes) {
  return lanes > 4 && channels % lanes > 0 && channels % lanes <= 4;
}

// Whether the last vector of a convolution's output channels holds fours. One of a single tap has none, as a linear
// layer is one, too.
inline bool ends_in_fours(const Item& item, int64_t lanes) {
  const bool suits = item.winograd != 0 ? !item.plain_weights : item.taps.size() > 1;
  return suits && item.channels > lanes && leaves_few(item.channels, lanes);
}

// The kernels for one instruction set: floats in a vector, and the computation of units [begin, end) of an item. A unit
// of a sum or shuffle is kUnit pixels, of a direct convolution also one block of output channels; of Winograd's, a
// group of tiles by a block; of a mean, an image by kMeanVectors vectors of channels.
constexpr int64_t kUnit = 24, kMeanVectors = 8;
struct ItemKernels {
  const char* isa;
  int lanes;  // output channels are packed in vectors of as many
  void (*run)(const Item&, const std::vector<Map>&, void* const* buffers, int64_t begin, int64_t end);
  int64_t (*units)(const Item&, const std::vector<Map>&, const ItemKernels&);
  // In any measure, the same for all items.
  double (*unit_cost)(const Item&, const std::vector<Map>&, const ItemKernels&, int64_t unit);
  int element_bytes = 4;      // of a map: float, or bfloat16
  int64_t per_word = 1;       // values of a word, whose products are summed at once: of 4 bytes; to AMX, a step
  int64_t strip = 0;          // pixels behind a map that are read, and left out of the results
  bool direct_alone = false;  // no Winograd, no means and no shuffles
  // Elements behind a map that are read as if they were border.
  int64_t tail() const { return per_word == 1 ? 0 : per_word; }
  void (*enter)() = nullptr;  // by each thread before its first item of a run, and
  void (*leave)() = nullptr;  // after its last
};
extern const ItemKernels kItems__avx512, kItems__avx2, kItems__portable;
// Of maps in bfloat16; null where they cannot run.
const ItemKernels *items__amx(), *items__amx_emulated(), *items__avx512_bf16(), *items__avx512_bf16_emulated();
const ItemKernels* item_kernels(std::string_view isa = "");  // of the instruction set, or null; "": as cpu_isa()

// Units [begin, end) of an item of a level.
struct Piece {
  int64_t item, begin, end;
};

// What a number of threads play: each its own pieces in their order, and then what others have not begun.
struct Schedule {
  int threads;
  std::vector<std::vector<std::vector<Piece>>> pieces;  // [level][thread]
  std::vector<int64_t> counts;                          // of a level's pieces
};

// A tensor of the caller's with the extents of a map: float32, or bfloat16 where the map is. Strides are in elements.
struct CallerTensor {
  int map;
  void* data;
  int element_bytes;
  int64_t image, channel, row, pixel;
};

class Program {
 public:
  explicit Program(const ItemKernels& kernels) : kernels_(&kernels) {}
  int add_map(const Map& map);
  void add_level() { levels_.emplace_back(); }
  void add_item(Item item) {
    if (levels_.empty()) add_level();
    levels_.back().push_back(std::move(item));
  }
  const std::vector<Map>& maps() const { return maps_; }
  const ItemKernels& kernels() const { return *kernels_; }
  int64_t levels() const { return int64_t(levels_.size()); }
  // Elements that each buffer must have: up to the end of its maps, and to what `need` asked for.
  const std::vector<int64_t>& buffer_sizes() const { return buffer_sizes_; }
  void need(int buffer, int64_t elements);
  bool has_run() const { return !schedules_.empty(); }

  // Who plays what of the items that were added: after the first call none may be. Calls may not meet each other.
  const Schedule& schedule(int threads);
  // Plays levels [begin, end) in one parallel region. Results do not depend on the schedule. loads: what fills a map
  // before; stores: what is filled from one after. May be called by several threads at once.
  void run(void* const* buffers, int64_t begin, int64_t end, const Schedule& schedule,
           const std::vector<CallerTensor>& loads = {}, const std::vector<CallerTensor>& stores = {}) const;

#ifdef HRNET_FAST_WITH_TESTS
  // Of each level, the cost of what each of so many threads is dealt.
  std::vector<std::vector<double>> shares(int threads);
#endif

 private:
  template <bool to_map>
  void cross(const std::vector<CallerTensor>& tensors, void* const* buffers, int part, int parts) const;
  void play(const Piece& piece, int64_t level, void* const* buffers) const;

  const ItemKernels* kernels_;
  std::vector<Map> maps_;
  std::vector<int64_t> buffer_sizes_;
  std::vector<std::vector<Item>> levels_;
  std::map<int, Schedule> schedules_;  // by number of threads
};

}  // namespace hrnet_fast
