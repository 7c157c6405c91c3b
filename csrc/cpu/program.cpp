// How a Program is played: a barrier a level, and the units of a level shared among threads.
#include "cpu/program.h"

#include <algorithm>
#include <cstring>

#include "cpu/features.h"
#include "cpu/outside.h"
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

// A thread's part in a run: what its registers need before and after.
class Turn {
 public:
  explicit Turn(const ItemKernels& kernels) : kernels_(kernels) {
    if (kernels_.enter) kernels_.enter();
  }
  ~Turn() {
    if (kernels_.leave) kernels_.leave();
  }
  Turn(const Turn&) = delete;

 private:
  const ItemKernels& kernels_;
};

}  // namespace

void Item::set_taps(const Map& from, Sides kernel, Sides padding, Sides dilation, int64_t values) {
  const bool joined = dilation.second == 1;
  tap_length = (joined ? kernel.second : 1) * from.channels;
  tap_words = (tap_length + values - 1) / values;
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
  if (isa == "avx512-bf16-emulated") return items__avx512_bf16_emulated();
  if (isa == "avx2" && cpu_features().avx2) return &kItems__avx2;
  if (isa == "amx") return items__amx();
  if (isa == "amx-emulated") return items__amx_emulated();
#endif
  return nullptr;
}

int Program::add_map(const Map& map) {
  maps_.push_back(map);
  need(map.buffer, map.offset + map.batch * map.image() + kernels_->tail());
  return int(maps_.size()) - 1;
}

void Program::need(int buffer, int64_t elements) {
  if (int(room_.size()) <= buffer) room_.resize(buffer + 1);
  room_[buffer] = std::max(room_[buffer], elements);
}

bool Program::has_run() const {
  const std::lock_guard<std::mutex> lock(mutex_);
  return !schedules_.empty();
}

const Schedule& Program::schedule(int threads) const {
  const std::lock_guard<std::mutex> lock(mutex_);
  const auto found = schedules_.find(threads);
  return found != schedules_.end() ? found->second
                                   : schedules_.emplace(threads, deal(levels_, maps_, *kernels_, threads)).first->second;
}

void Program::run_level(int64_t level, const std::vector<std::vector<Piece>>& pieces, Begun* begun, void* const* buffers,
                        int part) const {
  for (size_t i = 0; i < pieces.size(); ++i) {
    const size_t owner = (part + i) % pieces.size();
    for (size_t next; (next = begun[owner].count.fetch_add(1, std::memory_order_relaxed)) < pieces[owner].size();) {
      const Piece& piece = pieces[owner][next];
      const Item& item = levels_[level][piece.item];
      if (piece.begin == 0) clear_border(item, maps_[item.out], buffers[maps_[item.out].buffer], *kernels_);
      kernels_->run(item, maps_, buffers, piece.begin, piece.end);
    }
  }
}

template <bool to_map>
void Program::cross(const std::vector<Outside>& tensors, void* const* buffers, int part, int parts) const {
  for (const Outside& tensor : tensors) {
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

void Program::run(void* const* buffers, int64_t begin, int64_t end, int threads, const std::vector<Outside>& loads,
                  const std::vector<Outside>& stores) const {
  const int parts = team_size(threads);
  const Schedule& shared = schedule(parts);
  std::vector<Begun> begun((end - begin) * parts);
  const auto step = [&](int64_t level, int part) {
    if (level < begin) {
      cross<true>(loads, buffers, part, parts);
    } else if (level == end) {
      cross<false>(stores, buffers, part, parts);
    } else {
      run_level(level, shared.pieces[level], &begun[(level - begin) * parts], buffers, part);
    }
  };
  play_together(parts, begin - !loads.empty(), end + !stores.empty(), [&] { return Turn(*kernels_); }, step);
}

}  // namespace hrnet_fast
