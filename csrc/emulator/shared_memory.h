// A CTA's shared memory that knows who wrote and read each word, and since which barrier.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <vector>

#include "cuda/level.h"
#include "emulator/failure.h"

namespace hrnet_fast::emulator {

// Two threads that touch a word, one of them writing, need a barrier in between: without one it is a race, whatever the
// schedule was. A word is written before it is read, and not touched while a copy to it is under way.
class SharedMemory {
 public:
  explicit SharedMemory(uint32_t bytes) : bytes_(bytes, char(0xff)), words_((bytes + 3) / 4) {}

  void read(uint32_t offset, void* value, uint32_t size, int thread) {
    check("reads", offset, size);
    for (uint32_t w = offset / 4; w <= (offset + size - 1) / 4; ++w) {
      Word& word = words_[w];
      if (word.copier >= 0) fail("thread ", thread, " reads shared byte ", 4 * w, " while a copy to it is under way");
      if (word.write_epoch < 0) fail("thread ", thread, " reads shared byte ", 4 * w, ", which nothing has written");
      if (word.write_epoch == epoch_ && word.writer != thread) {
        fail("race: thread ", thread, " reads shared byte ", 4 * w, ", which thread ", word.writer,
             " wrote since the last barrier");
      }
      word.reader = word.read_epoch == epoch_ && word.reader != thread ? kSeveral : thread;
      word.read_epoch = epoch_;
    }
    memcpy(value, &bytes_[offset], size);
  }

  void write(uint32_t offset, const void* value, uint32_t size, int thread) {
    claim("writes", offset, size, thread);
    land(offset, value, size, thread);
  }

  void begin_copy(uint32_t offset, int thread) {
    claim("copies to", offset, 16, thread);
    memset(&bytes_[offset], 0xff, 16);
    for (uint32_t w = offset / 4; w < offset / 4 + 4; ++w) words_[w].copier = thread;
  }
  void end_copy(uint32_t offset, const void* value, int thread) {
    for (uint32_t w = offset / 4; w < offset / 4 + 4; ++w) words_[w].copier = -1;
    land(offset, value, 16, thread);
  }

  void pass_barrier() { ++epoch_; }

  // What a thread has left is there for the tensor cores themselves to read, once a barrier has passed as well.
  void show(int thread) {
    for (const uint32_t w : left_[thread]) {
      if (words_[w].writer == thread) words_[w].shown = true;
    }
    left_[thread].clear();
  }

  // What a tensor core reads for the warp of `thread`.
  void read_shown(uint32_t offset, void* value, uint32_t size, int thread) {
    read(offset, value, size, thread);
    for (uint32_t w = offset / 4; w <= (offset + size - 1) / 4; ++w) {
      if (!words_[w].shown) fail("a tensor core reads shared byte ", 4 * w, ", which nothing has shown it");
    }
  }

  // Turns that eight rows of 16 bytes take: those that lie in the same four banks wait for each other.
  static int turns(const uint32_t (&rows)[8]) {
    int rows_of[8] = {}, most = 0;
    for (int i = 0; i < 8; ++i) {
      int& count = rows_of[rows[i] / 16 % 8];
      if (count == 0 || std::find(rows, rows + i, rows[i]) == rows + i) most = std::max(most, ++count);
    }
    return most;
  }

 private:
  static constexpr int kSeveral = -2;
  struct Word {
    int write_epoch = -1, read_epoch = -1;
    int16_t writer = -1, reader = -1, copier = -1;
    bool shown = false;
  };

  void check(const char* what, uint32_t offset, uint32_t size) const {
    if (offset % size) fail("a thread ", what, " ", size, " shared bytes at ", offset, ", which is not aligned");
    if (offset + size > bytes_.size()) {
      fail("a thread ", what, " shared byte ", offset + size - 1, " of ", bytes_.size());
    }
  }
  void claim(const char* what, uint32_t offset, uint32_t size, int thread) {
    check(what, offset, size);
    for (uint32_t w = offset / 4; w <= (offset + size - 1) / 4; ++w) {
      const Word& word = words_[w];
      if (word.copier >= 0)
        fail("thread ", thread, " ", what, " shared byte ", 4 * w, " while a copy to it is under way");
      if (word.read_epoch == epoch_ && word.reader != thread) {
        fail("race: thread ", thread, " ", what, " shared byte ", 4 * w,
             ", which another has read since the last barrier");
      }
      if (word.write_epoch == epoch_ && word.writer != thread) {
        fail("race: thread ", thread, " ", what, " shared byte ", 4 * w, ", which thread ", word.writer,
             " wrote since the last barrier");
      }
    }
  }
  void land(uint32_t offset, const void* value, uint32_t size, int thread) {
    memcpy(&bytes_[offset], value, size);
    for (uint32_t w = offset / 4; w <= (offset + size - 1) / 4; ++w) {
      words_[w].write_epoch = epoch_;
      words_[w].writer = int16_t(thread), words_[w].shown = false;
      left_[thread].push_back(w);
    }
  }

  std::vector<char> bytes_;
  std::vector<Word> words_;
  std::vector<uint32_t> left_[kThreads];  // words that a thread wrote and has not shown
  int epoch_ = 0;
};

}  // namespace hrnet_fast::emulator
