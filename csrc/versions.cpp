// The Python class _C.Versions. A network has a thousand tensors, whose versions Python reads in 0.7 ms once the network
// has emptied the caches.
#include <torch/csrc/utils/pybind.h>

#include <vector>

namespace hrnet_fast {
namespace {

class Versions {
 public:
  explicit Versions(const std::vector<at::Tensor>& tensors) {
    for (const at::Tensor& tensor : tensors) {
      counters_.push_back(tensor.unsafeGetTensorImpl()->version_counter());
      seen_.push_back(counters_.back().current_version());
    }
  }

  bool changed() const {
    bool any = false;
    for (size_t i = 0; i < counters_.size(); ++i) any |= counters_[i].current_version() != seen_[i];
    return any;
  }

 private:
  std::vector<c10::VariableVersion> counters_;  // a tensor shares it with its views
  std::vector<uint32_t> seen_;
};

}  // namespace

void bind_versions(pybind11::module_& m) {
  pybind11::class_<Versions>(m, "Versions", "Whether tensors were written in place; hrnet_fast/engine/versions.py has it.")
      .def(pybind11::init<const std::vector<at::Tensor>&>())
      .def("changed", &Versions::changed);
}

}  // namespace hrnet_fast
