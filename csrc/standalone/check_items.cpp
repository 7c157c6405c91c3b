// A program of its own, for sanitizers: plays random items by every kernel of every instruction set of this CPU.
//
//   check_items [items for each instruction set] [seed]
//
// Exits with 1 and a sentence at the first result that is wrong, depends on who computes it, or is not the item's to
// write.
#include <cstdio>
#include <stdexcept>
#include <string>

#include "cpu/features.h"
#include "standalone/random_item.h"

// What the kernels allocate is NaN (every bit set) until they write it.
extern "C" const char* __asan_default_options() { return "max_malloc_fill_size=1073741824:malloc_fill_byte=255"; }

namespace hrnet_fast {
namespace {

std::string name_of(const RandomItem& r, const char* isa) {
  const Item& item = r.item;
  const Map& to = r.maps[1];
  const std::string kernel =
      item.kind == Kind::sum       ? "sum"
      : item.kind == Kind::mean    ? "mean"
      : item.kind == Kind::shuffle ? "shuffle"
      : item.winograd ? "F(" + std::to_string(item.winograd) + (item.plain_weights ? "), plain weights" : ")")
                      : "direct";
  return std::string(isa) + " " + kernel + ", " + std::to_string(to.batch) + " x " + std::to_string(to.height) + " x " +
         std::to_string(to.width) + ", " + std::to_string(item.kind == Kind::sum ? 0 : r.maps[0].channels) + " -> " +
         std::to_string(item.channels) + " channels from " + std::to_string(item.channel) + ", " +
         std::to_string(item.summands.size()) + " summands";
}

void fail(const std::string& what) {
  std::printf("%s\n", what.c_str());
  std::exit(1);
}

// Every element of the result's memory: what was computed, a border and a tail of zeros if they are the item's, NaN as
// before elsewhere.
void check(const RandomItem& r, const std::string& name, bool with_border) {
  const Item& item = r.item;
  const Map& to = r.maps[1];
  for (int64_t i = 0; i < r.memory[1]->size(); ++i) {
    const float got = r.memory[1]->get(i);
    const int64_t place = i - to.offset, image = place / to.image(), inside = place % to.image();
    const int64_t y = inside / to.row() - 1, x = inside % to.row() / to.channels - 1,
                  c = inside % to.channels - item.channel;
    const std::string where = name + ", at " + std::to_string(image) + " " + std::to_string(y) + " " +
                              std::to_string(x) + " " + std::to_string(c) + ": " + std::to_string(got);
    const bool border = place >= 0 && (y < 0 || y >= to.height || x < 0 || x >= to.width);
    if (border && with_border && item.clears_border) {
      if (got != 0.0f) fail(where + " in a border of zeros");
    } else if (place < 0 || border || c < 0 || c >= item.channels) {
      if (!std::isnan(got)) fail(where + " where the item has nothing to write");
    } else {
      const size_t at = size_t(((image * to.height + y) * to.width + x) * item.channels + c);
      if (!(std::abs(got - r.want[at]) <= r.allowed[at]))
        fail(where + " where " + std::to_string(r.want[at]) + " is right");
    }
  }
}

// The same units in pieces and in any order, as any number of threads would compute them, give the same bits.
void check_pieces(const RandomItem& r, const ItemKernels& kernels, Random& random, const std::string& name) {
  Elements& out = *r.memory[1];
  std::vector<float> whole;
  for (int64_t i = 0; i < out.size(); ++i) whole.push_back(out.get(i));
  out.fill(NAN);
  std::vector<std::pair<int64_t, int64_t>> pieces;
  const int64_t units = kernels.units(r.item, r.maps, kernels);
  for (int64_t begin = 0; begin < units; begin = pieces.back().second)
    pieces.push_back({begin, std::min(units, begin + random.between(1, units / 3 + 1))});
  for (size_t i = pieces.size(); i > 1; --i) std::swap(pieces[i - 1], pieces[size_t(random.upto(int64_t(i) - 1))]);
  const std::vector<void*> buffers = r.buffers();
  for (const auto& [begin, end] : pieces) kernels.run(r.item, r.maps, buffers.data(), begin, end);
  check(r, name + ", in pieces", false);
  for (int64_t i = 0; i < out.size(); ++i)
    if (!std::isnan(out.get(i)) && bits_of_float(out.get(i)) != bits_of_float(whole[size_t(i)]))
      fail(name + ": other bits if computed in other pieces");
}

void check_isa(const char* isa, int count, unsigned seed) {
  const ItemKernels& kernels = *item_kernels(isa);
  Random random(seed);
  for (int k = 0; k < count; ++k) {
    RandomItem r(random, kernels);
    Program program(kernels);
    for (const Map& map : r.maps) program.add_map(map);
    program.add_item(r.item);
    const std::string name = name_of(r, isa);
    const std::vector<void*> buffers = r.buffers();
    program.run(buffers.data(), 0, 1, program.schedule(int(random.between(1, 3))));
    check(r, name, true);
    check_pieces(r, kernels, random, name);
  }
  std::printf("%s: %d items are right\n", isa, count);
}

// HRNET_FAST_CPU_ISA on CPUs that this one may not be.
void check_features() {
  const auto refused = [](const CpuFeatures& features, const char* asked) {
    try {
      features_within(features, asked);
      return std::string();
    } catch (const std::runtime_error& error) {
      return std::string(error.what());
    }
  };
  CpuFeatures none = {}, small = {}, large = {};
  small.avx2 = true;
  large.avx2 = large.avx512f = large.avx512_bf16 = large.amx_tile = large.amx_bf16 = true;
  if (refused(small, "avx512").find("HRNET_FAST_CPU_ISA=avx512 cannot be used: this CPU has no AVX-512") != 0)
    fail("AVX-512 was not refused on a CPU without it");
  if (refused(none, "avx2").find("HRNET_FAST_CPU_ISA=avx2 cannot be used: this CPU has no AVX2") != 0)
    fail("AVX2 was not refused on a CPU without it");
  if (refused(large, "AVX2").find("HRNET_FAST_CPU_ISA=AVX2 is not known") != 0) fail("an unknown name was not refused");
  for (const char* asked : {"portable", "avx2", "", static_cast<const char*>(nullptr)})
    if (!refused(small, asked).empty()) fail("what a CPU has was refused");
  const CpuFeatures wide = features_within(large, "avx512"), narrow = features_within(large, "avx2");
  if (!wide.avx512f || wide.amx_tile || wide.amx_bf16) fail("avx512 does not leave AMX out");
  if (!narrow.avx2 || narrow.avx512f || narrow.avx512_bf16) fail("avx2 does not leave AVX-512 out");
  if (features_within(large, "portable").avx2) fail("portable does not leave AVX2 out");
}

}  // namespace
}  // namespace hrnet_fast

int main(int count, char** arguments) {
  using namespace hrnet_fast;
  check_features();
  for (const char* isa : {"avx512", "avx2", "portable", "avx512-bf16", "avx512-bf16-emulated"})
    if (item_kernels(isa) != nullptr)
      check_isa(isa, count > 1 ? std::atoi(arguments[1]) : 200, count > 2 ? unsigned(std::atoi(arguments[2])) : 1);
}
