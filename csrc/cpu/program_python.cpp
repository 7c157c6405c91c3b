// The Python class _C.CpuProgram: built once from a plan, then run. Arguments are checked here, not where it computes.
#include <ATen/Parallel.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <memory>
#include <stdexcept>
#include <string>
#include <tuple>

#include "cpu/features.h"
#include "cpu/program.h"

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
    throw std::invalid_argument("CpuProgram: there are no kernels for isa='" + (isa.empty() ? cpu_isa() : isa) + "' here");
  return *kernels;
}

std::vector<std::string> isas() {
  std::vector<std::string> all;
  for (const char* isa : {"avx512", "avx2"})
    if (item_kernels(isa) != nullptr) all.push_back(isa);
  return all;
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
    all.push_back({index, taps(mode, align_corners, map.height, out.height),
                   taps(mode, align_corners, map.width, out.width)});
  }
  return all;
}

Relu relu_of(const std::string& name) {
  require(name == "none" || name == "last" || name == "first", "relu must be 'none', 'last' or 'first'");
  return name == "none" ? Relu::none : name == "last" ? Relu::last : Relu::first;
}

void add_sum(Program& program, int out, int64_t channel, int64_t channels, const std::vector<SummandSpec>& specs,
             const std::string& relu) {
  const Map& to = map_at(program, out);
  require(channel >= 0 && channels > 0 && channel + channels <= to.channels, "the channels do not fit the result");
  Item item;
  item.out = out, item.channel = channel, item.channels = channels;
  item.summands = summands(program, to, channels, specs);
  item.relu = relu_of(relu);
  item.clears_border = channel == 0;
  program.add_item(std::move(item));
}

void add_conv(Program& program, int out, int in, uintptr_t weights, uintptr_t bias, std::pair<int64_t, int64_t> kernel,
              std::pair<int64_t, int64_t> stride, std::pair<int64_t, int64_t> padding,
              std::pair<int64_t, int64_t> dilation, const std::vector<SummandSpec>& specs, const std::string& relu, int winograd,
              int64_t group) {
  const Map &to = map_at(program, out), &from = map_at(program, in);
  const auto fits = [](int64_t size, int64_t result, int64_t k, int64_t s, int64_t p, int64_t d) {
    return p <= 1 && (size + 2 * p - d * (k - 1) - 1) / s + 1 == result;
  };
  require(fits(from.height, to.height, kernel.first, stride.first, padding.first, dilation.first) &&
              fits(from.width, to.width, kernel.second, stride.second, padding.second, dilation.second) &&
              from.batch == to.batch,
          "the result's size is not that of the convolution, or it pads by more than one pixel");
  Item item;
  item.out = out, item.channel = 0, item.channels = to.channels, item.in = in;
  item.weights = reinterpret_cast<const void*>(weights), item.bias = reinterpret_cast<const float*>(bias);
  item.stride_h = stride.first, item.stride_w = stride.second;
  const bool joined = program.kernels().joins_taps && dilation.second == 1;
  item.tap_length = (joined ? kernel.second : 1) * from.channels;
  for (int64_t y = 0; y < kernel.first; ++y)
    for (int64_t x = 0; x < (joined ? 1 : kernel.second); ++x)
      item.taps.push_back((1 - padding.first + y * dilation.first) * from.row() +
                          (1 - padding.second + x * dilation.second) * from.channels);
  const std::pair<int64_t, int64_t> one{1, 1}, three{3, 3};
  require(winograd == 0 || ((winograd == 2 || winograd == 4) && group > 0 && kernel == three && stride == one &&
                            padding == one && dilation == one),
          "Winograd's kernels are F(2x2) and F(4x4), for a 3x3 convolution of stride, padding and dilation 1");
  item.winograd = winograd, item.group = group;
  item.summands = summands(program, to, to.channels, specs);
  item.relu = relu_of(relu);
  program.add_item(std::move(item));
}

void run(const Program& program, const std::vector<uintptr_t>& buffers, int64_t begin, int64_t end) {
  std::vector<void*> pointers;
  for (const uintptr_t buffer : buffers) pointers.push_back(reinterpret_cast<void*>(buffer));
  const int threads = at::get_num_threads();  // of this thread: OpenMP itself knows what was set in others alone
  py::gil_scoped_release release;
  program.run(pointers.data(), begin, end, threads);
}

}  // namespace

void bind_program(py::module_& m) {
  m.def("cpu_program_isa", [] { return item_kernels() == nullptr ? "" : item_kernels()->isa; },
        "The instruction set that CpuProgram uses unless told otherwise; empty where it has none.");
  m.def("cpu_program_isa_bfloat16", [] { return item_kernels("amx") == nullptr ? "" : "amx"; },
        "The instruction set whose CpuProgram keeps its maps in bfloat16; empty where this CPU has none.");
  m.def("cpu_program_isas", &isas, "The instruction sets that CpuProgram can use on this CPU, the widest first.");
  m.def("cpu_program_lanes", [](const std::string& isa) { return kernels_of(isa).lanes; }, py::arg("isa") = "",
        "Floats in one of its vectors: output channels are packed in blocks of two.");
  py::class_<Program>(m, "CpuProgram", "Levels of items over maps; hrnet_fast/engine/executors/native.py builds it.")
      .def(py::init([](const std::string& isa) { return std::make_unique<Program>(kernels_of(isa)); }),
           py::arg("isa") = "")
      .def("add_map",
           [](Program& program, int buffer, int64_t offset, int64_t n, int64_t h, int64_t w, int64_t c) {
             return program.add_map({buffer, offset, n, h, w, c});
           })
      .def_property_readonly("element_bytes", [](const Program& program) { return program.kernels().element_bytes; })
      .def_property_readonly("tail", [](const Program& program) { return program.kernels().tail; },
                             "Elements behind a map that belong to it, and are zeros.")
      .def("add_level", &Program::add_level)
      .def("add_conv", &add_conv)
      .def("add_sum", &add_sum)
      .def("run", &run);
}

}  // namespace hrnet_fast
