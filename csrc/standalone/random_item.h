// One item of random shape on memory of its exact size, and what it must give, in double precision.
//
// Values are small integers, and weights multiples of four, so that direct kernels and F(2x2) are exact, but for the
// rounding of results to bfloat16.
#pragma once

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <memory>
#include <random>
#include <vector>

#include "cpu/program.h"
#include "dtype.h"

namespace hrnet_fast {

using Values = std::vector<double>;

// Floats, or bfloat16 where elements have two bytes, that nothing may be read or written around: on the heap, where a
// sanitizer watches every access that the compiler sees, or beside a page that may not be touched, which stops the
// masked ones too.
class Elements {
 public:
  enum Place { heap, before_fence, behind_fence };

  Elements(Place place, int64_t count, int element_bytes)
      : place_(place), element_bytes_(element_bytes), bytes_(size_t(count * element_bytes)) {
    if (place == heap) {
      data_ = std::malloc(bytes_);
      return;
    }
    const size_t page = size_t(sysconf(_SC_PAGESIZE)), inner = (bytes_ + page - 1) / page * page;
    whole_ = inner + page;
    base_ = static_cast<char*>(mmap(nullptr, whole_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    if (base_ == MAP_FAILED || mprotect(base_ + (place == before_fence ? inner : 0), page, PROT_NONE) != 0)
      std::abort();
    data_ = place == before_fence ? base_ + inner - bytes_ : base_ + page;
  }
  Elements(const Elements&) = delete;
  ~Elements() { place_ == heap ? std::free(data_) : (void)munmap(base_, whole_); }

  void* data() { return data_; }
  int64_t size() const { return int64_t(bytes_) / element_bytes_; }
  float get(int64_t i) const { return element_bytes_ == 2 ? load(as<bf16_t>() + i) : load(as<float>() + i); }
  void set(int64_t i, double value) {
    element_bytes_ == 2 ? store(as<bf16_t>() + i, float(value)) : store(as<float>() + i, float(value));
  }
  void fill(double value, int64_t first = 0) {
    for (int64_t i = first; i < size(); ++i) set(i, value);
  }

 private:
  template <class T>
  T* as() const {
    return static_cast<T*>(data_);
  }

  Place place_;
  int element_bytes_;
  size_t bytes_, whole_ = 0;
  char* base_ = nullptr;
  void* data_ = nullptr;
};

class Random {
 public:
  explicit Random(unsigned seed) : engine_(seed) {}
  int64_t upto(int64_t last) { return std::uniform_int_distribution<int64_t>(0, last)(engine_); }
  int64_t between(int64_t first, int64_t last) { return first + upto(last - first); }
  bool once_in(int64_t n) { return upto(n - 1) == 0; }
  int64_t channels() {
    constexpr int64_t kCounts[] = {1, 2, 3, 7, 8, 9, 15, 16, 17, 18, 30, 31, 32, 33, 36, 44, 48, 64, 72, 97};
    return kCounts[upto(std::size(kCounts) - 1)];
  }
  Elements::Place place() { return Elements::Place(upto(2)); }

 private:
  std::mt19937 engine_;
};

struct RandomItem {
  Item item;
  std::vector<Map> maps;
  std::vector<std::unique_ptr<Elements>> memory;  // [map], each with its border
  std::unique_ptr<Elements> weights, bias;
  Values want, allowed;  // [n][y][x][channel of the item]: the result, and how far from it one may be

  RandomItem(Random& random, const ItemKernels& kernels);

  std::vector<void*> buffers() const {
    std::vector<void*> all;
    for (const auto& one : memory) all.push_back(one->data());
    return all;
  }

 private:
  void convolve(Random& random, const Values& in, bool linear);
  void average(const Values& in);
  void shuffle(const Values& in, int64_t side);
  void pack(Random& random, const Values& weight, int64_t positions);
  Values add_map(Random& random, int64_t n, int64_t h, int64_t w, int64_t c);
  void add_summand(Random& random);

  const ItemKernels& kernels_;
};

}  // namespace hrnet_fast
