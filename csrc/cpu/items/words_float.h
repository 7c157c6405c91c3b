// Maps and weights in float: a word is one value. Include after cpu/isa/vec_<isa>.h.
#pragma once

#include "cpu/lanes.h"

namespace hrnet_fast {
namespace {

using V = Vec<float>;
using Element = float;
using Word = float;
constexpr int kPerWord = 1;  // values

HRNET_FAST_ISA const Word* words_of(const Element* values) { return values; }
HRNET_FAST_ISA V broadcast(const Word* word) { return V::fill(*word); }
HRNET_FAST_ISA V repeat(const Word* words) { return V::repeat(words); }
HRNET_FAST_ISA V repeat(const Word* words, int count) { return V::repeat(words, count); }
HRNET_FAST_ISA V load_words(const Word* words) { return V::load(words); }
HRNET_FAST_ISA void store_words(const V (&values)[kPerWord], Word* words) { values[0].store(words); }
HRNET_FAST_ISA V plus_products(V sum, V a, V b) { return sum.plus(a, b); }

}  // namespace
}  // namespace hrnet_fast
