// The places where a kernel keeps order, and a fault planted at one of them.
#pragma once

#include <cstring>
#include <map>
#include <string>

namespace hrnet_fast::emulator {

// A place's name is "kind file:line"; with a fault there, what is done in that place is left out or done wrongly.
class Places {
 public:
  explicit Places(std::string fault) : fault_(std::move(fault)) {}

  // True if a fault is planted here. kind: a string literal.
  bool faulty(const char* kind, const char* file, int line) {
    const auto [found, is_new] = seen_.try_emplace({kind, line, file}, false);
    if (is_new) {
      const char* slash = strrchr(file, '/');
      const std::string name = std::string(kind) + " " + (slash ? slash + 1 : file) + ":" + std::to_string(line);
      names_ += name + "\n";
      found->second = name == fault_;
    }
    return found->second;
  }

  const std::string& names() const { return names_; }

 private:
  struct Key {
    const char* kind;
    int line;
    const char* file;
    bool operator<(const Key& b) const {
      return line != b.line ? line < b.line : kind != b.kind ? kind < b.kind : file < b.file;
    }
  };
  std::string fault_, names_;
  std::map<Key, bool> seen_;
};

}  // namespace hrnet_fast::emulator
