// The Python class _C.CpuProgram: built once from a plan, then run. Arguments are checked here, not where it computes.
#include <ATen/Parallel.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <algorithm>
#include <array>
#include <memory>
#include <stdexcept>
#include <string>
#include <tuple>

#include "cpu/bf16_rate.h"
#include "cpu/features.h"
#include "cpu/program.h"
#include "cpu/team.h"

namespace py = pybind11;

namespace hrnet_fast {
namespace {

// (map, mode or "" for a map of equal size, align_corners)
using SummandSpec = std::tuple<int, std::string, bool>;

void require(bool good, const char* sentence) {
  if (!good) throw std::invalid_argument(std::string("CpuProgram: ") + sentence);
}

const ItemKernels& kernels_of(const std::string& isa) {
  const ItemKernels* kernels = item_kernels(isa);
  if (kernels == nullptr)
    throw std::invalid_argument("CpuProgram: there are no kernels for isa='" + (isa.empty() ? cpu_isa() : isa) +
                                "' here");
  return *kernels;
}

// The first of those that this CPU has and that compute faster than float32.
std::string isa_bfloat16() {
  if (item_kernels("amx") != nullptr) return "amx";
  return item_kernels("avx512-bf16") != nullptr && bf16_products_rate() > 1.5 ? "avx512-bf16" : "";
}

// What grows a program while another thread plays it would pull the maps and items away from under that thread.
void require_new(const Program& program) {
  require(!program.has_run(), "a program that has run takes no more maps, levels or items: make another one");
}

int add_map(Program& program, int buffer, int64_t offset, int64_t n, int64_t h, int64_t w, int64_t c,
            bool keeps_border) {
  require_new(program);
  constexpr int kBuffers = 1 << 16;
  constexpr double kElements = 0x1p48;
  require(buffer >= 0 && buffer < kBuffers, "a buffer's index is from 0 to 65535");
  require(offset >= 0 && n > 0 && h > 0 && w > 0 && c > 0,
          "a map needs a positive size and an offset that is not negative");
  require(double(offset) + double(n) * (double(h) + 2) * (double(w) + 2) * double(c) < kElements,
          "a map lies within the first 2^48 elements of its buffer");
  return program.add_map({buffer, offset, n, h, w, c, keeps_border});
}

const Map& map_at(const Program& program, int index) {
  require(index >= 0 && index < int(program.maps().size()), "there is no map of that index");
  return program.maps()[index];
}

std::vector<Tap<float>> taps(const std::string& mode, bool align_corners, int64_t in, int64_t out) {
  std::vector<Tap<float>> all;
  if (in == out) return all;
  require(mode == "nearest" || mode == "bilinear", "a map of another size needs mode 'nearest' or 'bilinear'");
  for (int64_t i = 0; i < out; ++i)
    all.push_back(resize_tap<float>(mode == "nearest" ? Mode::nearest : Mode::bilinear, align_corners, i, in, out));
  return all;
}

std::vector<Summand> summands(const Program& program, const Map& out, int64_t channels,
                              const std::vector<SummandSpec>& specs) {
  require(specs.size() <= kMaxTerms, "an item takes at most 8 summands");
  std::vector<Summand> all;
  for (const auto& [index, mode, align_corners] : specs) {
    const Map& map = map_at(program, index);
    require(map.batch == out.batch && map.channels == channels, "a summand has another batch or number of channels");
    all.push_back(
        {index, taps(mode, align_corners, map.height, out.height), taps(mode, align_corners, map.width, out.width)});
  }
  return all;
}

Relu relu_of(const std::string& name) {
  require(name == "none" || name == "last" || name == "first", "relu must be 'none', 'last' or 'first'");
  return name == "none" ? Relu::none : name == "last" ? Relu::last : Relu::first;
}

void add_sum(Program& program, int out, int64_t channel, int64_t channels, const std::vector<SummandSpec>& specs,
             const std::string& relu) {
  require_new(program);
  const Map& to = map_at(program, out);
  require(channel >= 0 && channels > 0 && channels <= to.channels - channel, "the channels do not fit the result");
  Item item{out, channel, channels};
  item.summands = summands(program, to, channels, specs);
  item.relu = relu_of(relu);
  item.clears_border = channel == 0;
  program.add_item(std::move(item));
}

void add_mean(Program& program, int out, int in) {
  require_new(program);
  const Map &to = map_at(program, out), &from = map_at(program, in);
  require(!program.kernels().direct_alone, "these kernels have no mean");
  require(to.height == 1 && to.width == 1 && to.batch == from.batch && to.channels == from.channels,
          "a mean is one pixel of the same batch and channels");
  program.add_item({out, 0, to.channels, in, Kind::mean});
}

void add_shuffle(Program& program, int out, int in) {
  require_new(program);
  const Map &to = map_at(program, out), &from = map_at(program, in);
  require(!program.kernels().direct_alone, "these kernels have no shuffle");
  const int64_t side = to.height / from.height;
  require(side > 0 && to.height == side * from.height && to.width == side * from.width && to.batch == from.batch &&
              from.channels == side * side * to.channels,
          "a shuffle's result has s times the sides of its input, and its channels divided by s * s");
  program.add_item({out, 0, to.channels, in, Kind::shuffle, side});
}

// Flat data of the caller's: address, elements.
using Span = std::pair<uintptr_t, int64_t>;

void require_span(const char* what, const Span& span, int64_t elements, int bytes) {
  if (span.first != 0 && span.first % bytes == 0 && span.second == elements) return;
  throw std::invalid_argument("CpuProgram: " + std::string(what) + " must be " + std::to_string(elements) +
                              " elements as the packing of this instruction set has them, but are " +
                              std::to_string(span.second) + " at address " + std::to_string(span.first));
}

// Elements of a convolution's packed weights. outputs: its channels, padded to whole vectors.
int64_t weight_elements(const Item& item, int64_t inputs, int64_t outputs, const ItemKernels& kernels) {
  const auto padded = [&](int64_t values) {
    return (values + kernels.per_word - 1) / kernels.per_word * kernels.per_word;
  };
  const int64_t direct = int64_t(item.taps.size()), positions = (item.winograd + 2) * (item.winograd + 2);
  const int64_t taps = item.winograd == 0 ? direct : item.plain_weights ? 9 : positions;
  const int64_t length = padded(item.winograd == 0 ? item.tap_length : inputs);
  const int64_t all = outputs * taps * length;
  if (kernels.direct_alone || !ends_in_fours(item, kernels.lanes)) return all;
  // Of as many words the last vector has one where others have several.
  const int64_t words = length / kernels.per_word, beside = kernels.lanes / 4;
  return all - taps * kernels.per_word * kernels.lanes * (words - (words + beside - 1) / beside);
}

void add_conv(Program& program, int out, int in, Span weights, Span bias, Sides kernel, Sides stride, Sides padding,
              Sides dilation, const std::vector<SummandSpec>& specs, const std::string& relu, int winograd,
              int64_t group, bool plain_weights) {
  require_new(program);
  const Map &to = map_at(program, out), &from = map_at(program, in);
  const auto fits = [](int64_t size, int64_t result, int64_t k, int64_t s, int64_t p, int64_t d) {
    if (p < 0 || p > 1 || k < 1 || s < 1 || d < 1 || k > size + 2 || d > size + 2) return false;
    const int64_t places = size + 2 * p - d * (k - 1) - 1;
    return places >= 0 && places / s + 1 == result;
  };
  require(fits(from.height, to.height, kernel.first, stride.first, padding.first, dilation.first) &&
              fits(from.width, to.width, kernel.second, stride.second, padding.second, dilation.second) &&
              from.batch == to.batch,
          "the result's size is not that of the convolution, or it pads by more than one pixel");
  Item item{out, 0, to.channels, in, Kind::convolution};
  item.weights = reinterpret_cast<const void*>(weights.first), item.bias = reinterpret_cast<const float*>(bias.first);
  item.stride_h = stride.first, item.stride_w = stride.second;
  item.set_taps(from, kernel, padding, dilation, program.kernels().per_word);
  constexpr int64_t kMostTiles = 1 << 20;
  const Sides one{1, 1}, three{3, 3};
  const bool suits = kernel == three && stride == one && padding == one && dilation == one;
  require(winograd == 0 || (winograd >= 2 && winograd <= 4 && group > 0 && group <= kMostTiles && suits),
          "Winograd's kernels are F(2x2), F(3x3) and F(4x4), for a 3x3 convolution of stride, padding and dilation 1 "
          "in groups of 1 to 2^20 tiles");
  require(winograd == 0 || !program.kernels().direct_alone, "these kernels have no Winograd");
  item.winograd = winograd, item.group = group, item.plain_weights = winograd != 0 && plain_weights;
  item.summands = summands(program, to, to.channels, specs);
  item.relu = relu_of(relu);
  const ItemKernels& kernels = program.kernels();
  const int64_t outputs = (to.channels + kernels.lanes - 1) / kernels.lanes * kernels.lanes;
  require_span("weights", weights, weight_elements(item, from.channels, outputs, kernels), kernels.element_bytes);
  require_span("biases", bias, outputs, sizeof(float));
  program.need(from.buffer, from.offset + from.batch * from.image() + kernels.strip * stride.second * from.channels +
                                kernels.tail());
  program.add_item(std::move(item));
}

// (map, address, bytes of an element, elements from the first to the last, strides of image, channel, row, pixel)
using CallerTensorSpec = std::tuple<int, uintptr_t, int, int64_t, std::array<int64_t, 4>>;

std::vector<CallerTensor> caller_tensors(const Program& program, const std::vector<CallerTensorSpec>& specs) {
  std::vector<CallerTensor> all;
  for (const auto& [index, address, bytes, elements, strides] : specs) {
    const Map& map = map_at(program, index);
    const int64_t sizes[] = {map.batch, map.channels, map.height, map.width};
    double last = 0;  // exact up to 2^53, and no stride overflows it
    for (int i = 0; i < 4; ++i) {
      require(strides[i] >= 0, "a tensor's strides are not negative");
      last += double(sizes[i] - 1) * double(strides[i]);
    }
    require(bytes == sizeof(float) || bytes == program.kernels().element_bytes,
            "a tensor of the caller's is float32, or of the type of the maps");
    require(address != 0 && address % bytes == 0 && last < double(elements),
            "a tensor of the caller's is smaller than its map, or not aligned to its elements");
    all.push_back({index, reinterpret_cast<void*>(address), bytes, strides[0], strides[1], strides[2], strides[3]});
  }
  return all;
}

void run(Program& program, const std::vector<Span>& buffers, int64_t begin, int64_t end,
         const std::vector<CallerTensorSpec>& loads, const std::vector<CallerTensorSpec>& stores) {
  require(begin >= 0 && begin <= end && end <= program.levels(),
          "levels are played from begin to end, of those there are");
  const std::vector<int64_t>& sizes = program.buffer_sizes();
  if (buffers.size() < sizes.size())
    throw std::invalid_argument("CpuProgram: " + std::to_string(buffers.size()) +
                                " buffers were given, but its maps lie in " + std::to_string(sizes.size()));
  std::vector<void*> pointers;
  for (size_t i = 0; i < sizes.size(); ++i) {
    const auto [address, elements] = buffers[i];
    if (sizes[i] > 0 && (address == 0 || address % program.kernels().element_bytes != 0 || elements < sizes[i]))
      throw std::invalid_argument("CpuProgram: buffer " + std::to_string(i) + " must be " + std::to_string(sizes[i]) +
                                  " elements or more, aligned to their size, but has " + std::to_string(elements) +
                                  " at address " + std::to_string(address));
    pointers.push_back(reinterpret_cast<void*>(address));
  }
  const std::vector<CallerTensor> from = caller_tensors(program, loads), to = caller_tensors(program, stores);
  const int threads = at::get_num_threads();  // of this thread: OpenMP itself knows what was set in others alone
  Run this_run;
  // Under Python's lock, which a fork waits for.
  const Schedule& schedule = program.schedule(this_run.team_size(threads));
  py::gil_scoped_release release;
  program.run(pointers.data(), begin, end, schedule, from, to);
  this_run.end();  // before it waits for Python's lock, which its successor may hold
}

}  // namespace

void bind_program(py::module_& m) {
  let_teams_survive_forks();
  m.def("cpu_isa_bfloat16", &isa_bfloat16,
        "The instruction set whose CpuProgram keeps its maps in bfloat16, and gains by it; empty where this CPU has "
        "none.");
  py::class_<ItemKernels>(m, "CpuIsaTraits", "How the kernels for an instruction set lay out what they read and write.")
      .def_readonly("lanes", &ItemKernels::lanes, "Floats in a vector: output channels are packed in blocks of two.")
      .def_readonly("per_word", &ItemKernels::per_word,
                    "Inputs that products are summed of at once: weights are packed in words of as many.")
      .def_readonly("element_bytes", &ItemKernels::element_bytes,
                    "Of an element of a map: 4 for float32, 2 for bfloat16.")
      .def_readonly("direct_alone", &ItemKernels::direct_alone,
                    "Whether there are neither Winograd nor means nor shuffles.")
      .def_readonly("strip", &ItemKernels::strip,
                    "Pixels behind a map that are read, times the stride, and left out of the results.")
      .def_property_readonly("tail", &ItemKernels::tail, "Elements behind a map that belong to it, and are zeros.");
  m.def("cpu_isa_traits", &kernels_of, py::arg("isa") = "", py::return_value_policy::reference,
        "Of an instruction set; by default of the widest that is allowed.");
  py::class_<Program> program(m, "CpuProgram",
                              "Levels of items over maps; hrnet_fast/engine/cpu/compiled.py builds it.");
  program
      .def(py::init([](const std::string& isa) { return std::make_unique<Program>(kernels_of(isa)); }),
           py::arg("isa") = "")
      .def("add_map", &add_map, py::arg("buffer"), py::arg("offset"), py::arg("n"), py::arg("h"), py::arg("w"),
           py::arg("c"), py::arg("keeps_border") = false)
      .def("add_level", [](Program& program) { require_new(program), program.add_level(); })
      .def("add_conv", &add_conv)
      .def("add_sum", &add_sum)
      .def("add_mean", &add_mean)
      .def("add_shuffle", &add_shuffle)
      .def("run", &run, py::arg("buffers"), py::arg("begin"), py::arg("end"),
           py::arg("loads") = std::vector<CallerTensorSpec>(), py::arg("stores") = std::vector<CallerTensorSpec>());
#ifdef HRNET_FAST_WITH_TESTS
  program.def("shares", &Program::shares, py::arg("threads"),
              "Of each level, the cost of what each of so many threads is dealt, by the schedule's own measure.");
  m.def(
      "cpu_bfloat16_rate", &bf16_products_rate,
      "Products of bfloat16 that this CPU adds up in the time of one of float32, outside AMX; 0 without AVX512_BF16.");
  m.def("cores_of_quota", &cores_of_quota, py::arg("root"),
        "Cores that the control groups of this process leave it the time of; 0 for no limit.");
#endif
}

}  // namespace hrnet_fast
