// Small kernels with one mistake each, and what the emulator says of them; a line each that passed.
#include <cstdio>

#include "cuda/device/divider.cuh"

namespace {

using namespace hrnet_fast;

alignas(16) float memory[64];

// What is wrong with a launch of one CTA, or an empty string. memory: read and written.
std::string played(std::function<void()> body) {
  emulator::Machine machine({{reinterpret_cast<char*>(memory), sizeof memory, true}}, "", 1);
  emulator::machine = &machine;
  try {
    machine.play({{std::move(body), 1, 1024}}, false);
  } catch (const emulator::Failure& failure) {
    return failure.what();
  }
  return "";
}

int wrong = 0;

void expect(const char* name, const char* sentence, std::function<void()> body) {
  const std::string found = played(std::move(body));
  const bool good = *sentence ? found.find(sentence) != std::string::npos : found.empty();
  wrong += !good;
  printf(good ? "%s\n" : "%s: wanted \"%s\", found \"%s\"\n", name, sentence, found.c_str());
}

void once(const std::function<void()>& act) {
  if (thread_index() == 0) act();
}

// c = a * b of one warp, from matrices whose value at (row, k) is row + 16 k, and the identity.
void multiply_by_identity() {
  const int lane = thread_index() % 32;
  const auto pair = [](float low, float high) {
    f16_t values[2];
    store(&values[0], low), store(&values[1], high);
    return uint32_t(values[1].bits) << 16 | values[0].bits;
  };
  for (int i = thread_index(); i < 128; i += kThreads) {  // a: [row][k], two at a time
    const float value = float(i / 8 + 16 * (i % 8 * 2));
    store_shared(uint32_t(i) * 4, pair(value, value + 16));
  }
  for (int i = thread_index(); i < 64; i += kThreads) {  // b: [column][k]
    store_shared(512 + uint32_t(i) * 4, pair(i / 8 == i % 8 * 2, i / 8 == i % 8 * 2 + 1));
  }
  barrier();
  if (thread_index() >= 32) return;
  uint32_t a[4], b[2];
  float sum[4] = {};
  load_matrices(a, uint32_t(lane % 16 * 32 + lane / 16 * 16));
  load_matrices(b, uint32_t(512 + lane % 8 * 32 + lane / 8 % 2 * 16));
  multiply_add(f16_t(), sum, a, b[0], b[1]);
  for (int i = 0; i < 4; ++i) {
    const int row = lane / 4 + i / 2 * 8, column = lane % 4 * 2 + i % 2;
    if (sum[i] != float(row + 16 * column)) emulator::fail("c(", row, ", ", column, ") is ", sum[i]);
  }
}

// Where quotients change, next to the largest dividends, by reciprocals whose last place is right or off by one.
void divide() {
  for (int by = 1; by < 1 << 21; ++by) {
    for (const float towards : {0.0f, 1.0f / float(by), 2.0f}) {
      const Divider divider = {by, nextafterf(1.0f / float(by), towards)};
      const int most = ((1 << 21) - 1) / by;
      if (most * by / divider != most || (most * by - 1) / divider != most - 1) {
        emulator::fail("a number next to ", most * by, " by ", by);
      }
    }
  }
}

// A product of zeros by warpgroups, from a matrix at shared byte 0, with one mistake.
enum class Mistake { none, not_shown, not_opened, not_waited_for, alone, differs, other_rows, other_sums };

void multiply_in_groups(Mistake mistake) {
  for (int i = thread_index(); i < 256; i += kThreads) store_shared<int>(uint32_t(i) * 4, 0);
  if (mistake != Mistake::not_shown) show_copies();
  barrier();
  if (mistake == Mistake::alone && thread_index() >= 224) return;
  float sum[2][4] = {};
  uint32_t rows[4] = {};
  const uint32_t elsewhere = mistake == Mistake::differs && thread_index() >= 224 ? 512 : 0;
  if (mistake != Mistake::not_opened) open_products();
  start_products(f16_t(), sum, rows, elsewhere, 128, 256);
  close_products();
  if (mistake == Mistake::other_rows) rows[3] = 1;
  if (mistake == Mistake::other_sums) sum[1][0] = 1;
  if (mistake != Mistake::not_waited_for) wait_products<0>();
}

// Two products of ones with the same sums, both under way at a time: the first one's rows are free before the second's.
void multiply_two_at_a_time(Mistake mistake) {
  for (int i = thread_index(); i < 256; i += kThreads) store_shared<uint32_t>(uint32_t(i) * 4, 0x3c003c00);
  show_copies();
  barrier();
  float sum[2][4] = {};
  uint32_t first[4] = {0x3c003c00, 0x3c003c00, 0x3c003c00, 0x3c003c00}, second[4];
  std::copy_n(first, 4, second);
  for (const auto* rows : {&first, &second}) {
    open_products();
    start_products(f16_t(), sum, *rows, 0, 128, 256);
    close_products();
  }
  wait_products<1>();
  first[0] = 0;
  if (mistake == Mistake::other_rows) second[0] = 0;
  if (mistake == Mistake::other_sums) sum[1][0] = 0;
  if (mistake == Mistake::not_waited_for) return wait_products<1>();
  wait_products<0>();
  for (const auto& block : sum) {
    for (const float value : block) {
      if (value != 32) emulator::fail("a sum is ", value);
    }
  }
}

}  // namespace

int main() {
  expect("matrices and products have the lanes of the hardware", "", multiply_by_identity);
  expect("quotients", "", [] { once(divide); });
  expect("a kernel without a mistake", "", [] {
    if (thread_index() < 16) copy_async(uint32_t(thread_index()) * 16, memory + thread_index() * 4);
    commit_copies();
    wait_copies(0);
    barrier();
    load_shared<float>(uint32_t(thread_index() % 64) * 4);
  });
  expect("a barrier that some never reach", "a barrier", [] {
    if (thread_index() < 128) barrier();
  });
  expect("two barriers", "meet at barriers in lines", [] {
    if (thread_index() < 128) {
      barrier();
    } else {
      barrier();
    }
  });
  expect("lanes that do different things", "lanes of a warp meet at", [] {
    uint32_t four[4], two[2];
    if (thread_index() % 2) {
      load_matrices(four, 0);
    } else {
      load_matrices(two, 0);
    }
  });
  expect("lanes that wait for each other", "deadlock", [] {
    uint32_t words[4];
    if (thread_index() % 32 < 16) {
      barrier();
    } else {
      load_matrices(words, 0);
    }
  });
  expect("two threads write", "race: thread", [] { store_shared<int>(0, 1); });
  expect("one writes and another reads", "race: thread", [] {
    once([] { store_shared<int>(0, 1); });
    if (thread_index() == 40) load_shared<int>(0);
  });
  expect("what nothing wrote", "which nothing has written", [] { load_shared<int>(16); });
  expect("a copy that is read too early", "while a copy to it is under way", [] {
    once([] {
      copy_async(0, memory);
      load_shared<int>(0);
    });
  });
  expect("a copy that nothing waits for", "ends before its copies", [] { once([] { copy_async(0, memory); }); });
  expect("shared memory's end", "shared byte 1027 of 1024", [] { once([] { store_shared<int>(1024, 1); }); });
  expect("a copy to an odd place", "which is not aligned", [] { once([] { copy_async(8, memory); }); });
  expect("a copy from an odd place", "that are not aligned", [] { once([] { copy_async(0, memory + 1); }); });
  expect("beyond a tensor", "of a tensor of 256", [] { once([] { load_global<float>(memory + 64); }); });
  expect("before all tensors", "before all memory", [] { once([] { load_global<float>(memory - 1); }); });
  expect("written twice", "has written", [] { store_global<float>(memory, 1.0f); });
  expect("its own results", "reads what launch 0 writes", [] {
    once([] {
      store_global<float>(memory, 1.0f);
      load_global<float>(memory);
    });
  });
  expect("a warpgroup's product", "", [] { multiply_in_groups(Mistake::none); });
  expect("a matrix that tensor cores cannot see", "which nothing has shown it",
         [] { multiply_in_groups(Mistake::not_shown); });
  expect("products without a fence", "that nothing has opened", [] { multiply_in_groups(Mistake::not_opened); });
  expect("products that nothing waits for", "ends before its products",
         [] { multiply_in_groups(Mistake::not_waited_for); });
  expect("a warp that leaves its group", "not started all products", [] { multiply_in_groups(Mistake::alone); });
  expect("rows that change too early", "a product's rows change", [] { multiply_in_groups(Mistake::other_rows); });
  expect("sums that change too early", "sums change before", [] { multiply_in_groups(Mistake::other_sums); });
  expect("two products", "", [] { multiply_two_at_a_time(Mistake::none); });
  expect("rows of the second of two", "a product's rows change", [] { multiply_two_at_a_time(Mistake::other_rows); });
  expect("sums of the second of two", "sums change before", [] { multiply_two_at_a_time(Mistake::other_sums); });
  expect("the second of two, that nothing waits for", "ends before its products",
         [] { multiply_two_at_a_time(Mistake::not_waited_for); });
  expect("a warp with another matrix", "start different products", [] { multiply_in_groups(Mistake::differs); });
  return wrong;
}
