// How a Program is played: level after level, whose pieces threads share.
#include "cpu/program.h"

#include <algorithm>
#include <cstring>
#include <memory>

#if defined(__x86_64__)
#include <xmmintrin.h>
#endif

#include "cpu/features.h"
#include "cpu/caller_tensor.h"
#include "cpu/schedule.h"
#include "cpu/team.h"

namespace hrnet_fast {
namespace {

// An item clears the border of its map in the unit that comes first, and the tail behind the map.
void clear_border(const Item& item, const Map& map, void* buffer, const ItemKernels& kernels) {
  if (!item.clears_border || map.keeps_border) return;
  const auto clear = [&](int64_t at, int64_t count) {
    std::memset(static_cast<char*>(buffer) + at * kernels.element_bytes, 0, count * kernels.element_bytes);
  };
  for (int64_t n = 0; n < map.batch; ++n) {
    const int64_t image = map.offset + n * map.image();
    clear(image, map.row());
    clear(image + (map.height + 1) * map.row(), map.row());
    for (int64_t y = 1; y <= map.height; ++y) {
      clear(image + y * map.row(), map.channels);
      clear(image + (y + 1) * map.row() - map.channels, map.channels);
    }
  }
  clear(map.offset + map.batch * map.image(), kernels.tail());
}

// How a thread rounds, and whether it flushes denormals (torch.set_flush_denormal).
struct Arithmetic {
#if defined(__x86_64__)
  unsigned control = _mm_getcsr() & ~_MM_EXCEPT_MASK;
  void take() const { _mm_setcsr(control); }
#elif defined(__aarch64__)
  uint64_t control = read();
  static uint64_t read() {
    uint64_t bits;
    __asm__ volatile("mrs %0, fpcr" : "=r"(bits));
    return bits;
  }
  void take() const { __asm__ volatile("msr fpcr, %0" ::"r"(control)); }
#else
  void take() const {}
#endif
};

// A thread's part in a run: what its registers need before and after. The arithmetic is the caller's, lest results
// depend on who played what.
class Turn {
 public:
  Turn(const ItemKernels& kernels, const Arithmetic& callers) : kernels_(kernels) {
    callers.take();
    if (kernels_.enter) kernels_.enter();
  }
  ~Turn() {
    if (kernels_.leave) kernels_.leave();
    own_.take();
  }
  Turn(const Turn&) = delete;

 private:
  const ItemKernels& kernels_;
  const Arithmetic own_;
};

// Counts of a run of the calling thread, all zero. Its memory stays: that of many threads would come from the system
// anew at each call.
Begun* none_begun(int64_t count) {
  thread_local std::unique_ptr<Begun[]> room;
  thread_local int64_t size = 0;
  if (count > size) room = std::make_unique<Begun[]>(count), size = count;
  for (int64_t i = 0; i < count; ++i) room[i].count.store(0, std::memory_order_relaxed);
  return room.get();
}

}  // namespace

void Item::set_taps(const Map& from, Sides kernel, Sides padding, Sides dilation, int64_t per_word) {
  const bool joined = dilation.second == 1;
  tap_length = (joined ? kernel.second : 1) * from.channels;
  tap_words = (tap_length + per_word - 1) / per_word;
  for (int64_t y = 0; y < kernel.first; ++y)
    for (int64_t x = 0; x < (joined ? 1 : kernel.second); ++x)
      taps.push_back((1 - padding.first + y * dilation.first) * from.row() +
                     (1 - padding.second + x * dilation.second) * from.channels);
}

const ItemKernels* item_kernels(std::string_view isa) {
  if (isa.empty()) isa = cpu_isa();
#if defined(__x86_64__)
  if (isa == "avx512" && cpu_features().avx512f) return &kItems__avx512;
  if (isa == "avx512-bf16") return items__avx512_bf16();
  if (isa == "avx2" && cpu_features().avx2) return &kItems__avx2;
  if (isa == "amx") return items__amx();
#ifdef HRNET_FAST_WITH_TESTS
  if (isa == "avx512-bf16-emulated") return items__avx512_bf16_emulated();
  if (isa == "amx-emulated") return items__amx_emulated();
#endif
#endif
  return isa == "portable" ? &kItems__portable : nullptr;
}

int Program::add_map(const Map& map) {
  maps_.push_back(map);
  need(map.buffer, map.offset + map.batch * map.image() + kernels_->tail());
  return int(maps_.size()) - 1;
}

void Program::need(int buffer, int64_t elements) {
  if (int(buffer_sizes_.size()) <= buffer) buffer_sizes_.resize(buffer + 1);
  buffer_sizes_[buffer] = std::max(buffer_sizes_[buffer], elements);
}

const Schedule& Program::schedule(int threads) {
  const auto found = schedules_.find(threads);
  return found != schedules_.end()
             ? found->second
             : schedules_.emplace(threads, deal(levels_, maps_, *kernels_, threads)).first->second;
}

#ifdef HRNET_FAST_WITH_TESTS
std::vector<std::vector<double>> Program::shares(int threads) {
  std::vector<std::vector<double>> all;
  for (size_t level = 0; level < levels_.size(); ++level) {
    std::vector<double>& costs = all.emplace_back();
    for (const std::vector<Piece>& pieces : schedule(threads).pieces[level]) {
      double cost = 0.0;
      for (const Piece& piece : pieces)
        for (int64_t unit = piece.begin; unit < piece.end; ++unit)
          cost += kernels_->unit_cost(levels_[level][piece.item], maps_, *kernels_, unit);
      costs.push_back(cost);
    }
  }
  return all;
}
#endif

void Program::play(const Piece& piece, int64_t level, void* const* buffers) const {
  const Item& item = levels_[level][piece.item];
  if (piece.begin == 0) clear_border(item, maps_[item.out], buffers[maps_[item.out].buffer], *kernels_);
  kernels_->run(item, maps_, buffers, piece.begin, piece.end);
}

template <bool to_map>
void Program::cross(const std::vector<CallerTensor>& tensors, void* const* buffers, int part, int parts) const {
  for (const CallerTensor& tensor : tensors) {
    const Map& map = maps_[tensor.map];
    const int64_t rows = map.batch * map.height, first = rows * part / parts, last = rows * (part + 1) / parts;
    if (kernels_->element_bytes == sizeof(float)) {
      copy_rows<to_map, float, float>(map, static_cast<float*>(buffers[map.buffer]), tensor, first, last);
    } else if (tensor.element_bytes == sizeof(float)) {
      copy_rows<to_map, bf16_t, float>(map, static_cast<bf16_t*>(buffers[map.buffer]), tensor, first, last);
    } else {
      copy_rows<to_map, bf16_t, bf16_t>(map, static_cast<bf16_t*>(buffers[map.buffer]), tensor, first, last);
    }
  }
}

void Program::run(void* const* buffers, int64_t begin, int64_t end, const Schedule& schedule,
                  const std::vector<CallerTensor>& loads, const std::vector<CallerTensor>& stores) const {
  const int parts = schedule.threads;
  // Steps are the loads, the levels, and the stores, of which each part has one piece.
  const int64_t first = begin - !loads.empty(), steps = end + !stores.empty() - first;
  const auto crosses = [&](int64_t level) { return level < begin || level == end; };
  const auto pieces = [&](int64_t step) { return crosses(first + step) ? parts : schedule.counts[first + step]; };
  const auto pieces_of = [&](int64_t step, int part) {
    return crosses(first + step) ? 1 : int64_t(schedule.pieces[first + step][part].size());
  };
  const auto play_piece = [&](int64_t step, int part, int64_t piece) {
    const int64_t level = first + step;
    if (level < begin) {
      cross<true>(loads, buffers, part, parts);
    } else if (level == end) {
      cross<false>(stores, buffers, part, parts);
    } else {
      play(schedule.pieces[level][part][piece], level, buffers);
    }
  };
  const Arithmetic callers;
  play_together(
      parts, steps, none_begun(steps * parts), [&] { return Turn(*kernels_, callers); }, pieces, pieces_of, play_piece);
}

}  // namespace hrnet_fast
