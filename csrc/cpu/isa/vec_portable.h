// One value at a time: the compiler vectorises for the baseline instruction set, on any machine.
#pragma once

#include "dtype.h"

#define HRNET_FAST_ISA static inline

namespace hrnet_fast {
namespace {

template <class A>
struct Vec {
  static constexpr int kWidth = 1;
  A v;
  template <class T>
  static Vec load(const T* source) { return {hrnet_fast::load(source)}; }
  template <class T>
  void store(T* target) const { hrnet_fast::store(target, v); }
  static Vec fill(A value) { return {value}; }
  Vec operator+(Vec o) const { return {v + o.v}; }
  Vec operator*(Vec o) const { return {v * o.v}; }
  Vec relu() const { return {v < A(0) ? A(0) : v}; }
};

}  // namespace
}  // namespace hrnet_fast
