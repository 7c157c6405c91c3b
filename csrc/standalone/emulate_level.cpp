// The level kernel on the emulator, as a library for tests: levels one after another on memory that is given.
#include "cuda/device/level_block.cuh"
#include "cuda/level_host.h"

namespace {

using namespace hrnet_fast;

struct Report {
  std::string places;               // where faults can be planted, a line each
  int64_t matrices = 0, turns = 0;  // as the machine counts them
};

template <class T>
Report emulate(const Level* levels, int count, const std::vector<emulator::GlobalMemory::Region>& regions, bool overlap,
               uint32_t seed, const char* fault) {
  std::vector<LevelLaunch> launches;
  for (int i = 0; i < count; ++i) {
    const std::string why = level_refusal(levels[i], sizeof(T));
    if (!why.empty()) emulator::fail("level ", i, ", ", why);
    launches.push_back(make_launch(levels[i], sizeof(T)));
  }
  std::vector<emulator::Launch> bodies;
  for (const LevelLaunch& launch : launches) {
    bodies.push_back({[&launch] { level_block<T>(launch); }, level_blocks(launch), level_shared_bytes(launch)});
  }
  emulator::Machine machine(regions, fault, seed);
  emulator::machine = &machine;
  machine.play(bodies, overlap);
  return {machine.places.names(), machine.matrices, machine.turns};
}

void copy_out(const std::string& text, char* to, int room) {
  strncpy(to, text.c_str(), size_t(room) - 1);
  to[room - 1] = '\0';
}

}  // namespace

// Returns 0 and a report: matrices, turns, and the places where faults can be planted, a line each; or 1 and a sentence
// on what went wrong. itemsize: 2 for float16, -2 for bfloat16, 4 for float32. starts, bytes, writable: of the tensors
// that may be touched.
extern "C" __attribute__((visibility("default"))) int hrnet_fast_emulate(const Level* levels, int count, int itemsize,
                                                                         void* const* starts, const int64_t* bytes,
                                                                         const uint8_t* writable, int tensors,
                                                                         int overlap, uint32_t seed, const char* fault,
                                                                         char* message, int room) {
  std::vector<emulator::GlobalMemory::Region> regions;
  for (int i = 0; i < tensors; ++i)
    regions.push_back({static_cast<char*>(starts[i]), size_t(bytes[i]), writable[i] != 0});
  try {
    const auto play = itemsize == 4 ? emulate<float> : itemsize == -2 ? emulate<bf16_t> : emulate<f16_t>;
    const Report report = play(levels, count, regions, overlap != 0, seed, fault);
    copy_out(std::to_string(report.matrices) + "\n" + std::to_string(report.turns) + "\n" + report.places, message,
             room);
    return 0;
  } catch (const std::exception& error) {
    copy_out(error.what(), message, room);
    return 1;
  }
}

// Shared memory of a CTA of the level's launch, in bytes; itemsize: 2 or 4.
extern "C" __attribute__((visibility("default"))) int64_t hrnet_fast_level_shared(const Level* level, int itemsize) {
  return level_shared_bytes(make_launch(*level, itemsize));
}

// Writes one sentence on why the kernel cannot compute the level, or nothing.
extern "C" __attribute__((visibility("default"))) void hrnet_fast_level_refusal(const Level* level, int itemsize,
                                                                                char* message, int room) {
  copy_out(level_refusal(*level, itemsize), message, room);
}
