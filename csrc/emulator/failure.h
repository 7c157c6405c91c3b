// What the emulator found wrong, as a sentence.
#pragma once

#include <sstream>
#include <stdexcept>
#include <string>

namespace hrnet_fast::emulator {

struct Failure : std::runtime_error {
  using std::runtime_error::runtime_error;
};

template <class... Parts>
[[noreturn]] void fail(const Parts&... parts) {
  std::ostringstream text;
  (text << ... << parts);
  throw Failure(text.str());
}

}  // namespace hrnet_fast::emulator
