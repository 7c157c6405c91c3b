// One item of random shape on memory of its exact size, and what it must give, in double precision.
//
// Values are small integers, and weights multiples of four, so that direct kernels and F(2x2) are exact.
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

namespace hrnet_fast {

using Values = std::vector<double>;

// Floats that nothing may be read or written around: on the heap, where a sanitizer watches every access that the
// compiler sees, or beside a page that may not be touched, which stops the masked ones too.
class Floats {
 public:
  enum Place { heap, before_fence, behind_fence };

  Floats(Place place, int64_t count) : place_(place), bytes_(size_t(count) * sizeof(float)) {
    if (place == heap) {
      data_ = static_cast<float*>(std::malloc(bytes_));
      return;
    }
    const size_t page = size_t(sysconf(_SC_PAGESIZE)), inner = (bytes_ + page - 1) / page * page;
    whole_ = inner + page;
    base_ = static_cast<char*>(mmap(nullptr, whole_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    if (base_ == MAP_FAILED || mprotect(base_ + (place == before_fence ? inner : 0), page, PROT_NONE) != 0)
      std::abort();
    data_ = reinterpret_cast<float*>(place == before_fence ? base_ + inner - bytes_ : base_ + page);
  }
  Floats(const Floats&) = delete;
  ~Floats() { place_ == heap ? std::free(data_) : (void)munmap(base_, whole_); }

  float* data() { return data_; }
  int64_t size() const { return int64_t(bytes_ / sizeof(float)); }
  void fill(float value) { std::fill_n(data_, size(), value); }

 private:
  Place place_;
  size_t bytes_, whole_ = 0;
  char* base_ = nullptr;
  float* data_ = nullptr;
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
  Floats::Place place() { return Floats::Place(upto(2)); }

 private:
  std::mt19937 engine_;
};

struct RandomItem {
  Item item;
  std::vector<Map> maps;
  std::vector<std::unique_ptr<Floats>> memory;  // [map], each with its border
  std::unique_ptr<Floats> weights, bias;
  Values want, allowed;  // [n][y][x][channel of the item]: the result, and how far from it one may be

  RandomItem(Random& random, const ItemKernels& kernels);

  std::vector<void*> buffers() const {
    std::vector<void*> all;
    for (const auto& one : memory) all.push_back(one->data());
    return all;
  }

 private:
  void convolve(Random& random, const ItemKernels& kernels, const Values& in, bool linear);
  void average(const Values& in);
  void pack(Random& random, const Values& weight, int64_t positions, int64_t lanes);
  Values add_map(Random& random, int64_t n, int64_t h, int64_t w, int64_t c);
  void add_summand(Random& random);
};

}  // namespace hrnet_fast
