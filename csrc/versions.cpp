// The Python class _C.Versions. A network has a thousand tensors in as many modules, which Python looks through in a
// millisecond once the network has emptied the caches.
#include <torch/csrc/autograd/python_variable.h>
#include <torch/csrc/utils/pybind.h>

#include <vector>

namespace hrnet_fast {
namespace {

namespace py = pybind11;

struct Seen {
  py::object value;  // held, so that nothing new has its address
  at::TensorImpl* tensor = nullptr;
  const void* data = nullptr;
  uint32_t version = 0;
};

const void* data_of(const at::TensorImpl& tensor) { return tensor.has_storage() ? tensor.storage().data() : nullptr; }

uint32_t version_of(at::TensorImpl& tensor) {
  return tensor.is_inference() ? 0 : tensor.version_counter().current_version();
}

class Versions {
 public:
  explicit Versions(const std::vector<py::dict>& tables) : tables_(tables) {
    for (const py::dict& table : tables_) {
      for (const auto& [key, value] : table) {
        Seen& seen = seen_.emplace_back();
        seen.value = py::reinterpret_borrow<py::object>(value);
        if (!THPVariable_Check(value.ptr())) continue;
        seen.tensor = THPVariable_Unpack(value.ptr()).unsafeGetTensorImpl();
        seen.data = data_of(*seen.tensor), seen.version = version_of(*seen.tensor);
      }
    }
  }

  bool changed() const {
    auto seen = seen_.begin();
    for (const py::dict& table : tables_) {
      PyObject *key, *value;
      for (Py_ssize_t at = 0; PyDict_Next(table.ptr(), &at, &key, &value); ++seen) {
        if (seen == seen_.end() || value != seen->value.ptr()) return true;
        at::TensorImpl* tensor = seen->tensor;
        if (tensor != nullptr && (version_of(*tensor) != seen->version || data_of(*tensor) != seen->data)) return true;
      }
    }
    return seen != seen_.end();
  }

 private:
  std::vector<py::dict> tables_;
  std::vector<Seen> seen_;  // of all tables, in their order
};

}  // namespace

void bind_versions(py::module_& m) {
  py::class_<Versions>(m, "Versions",
                       "Whether tensors were written, or anything replaced; hrnet_fast/engine/versions.py has it.")
      .def(py::init<const std::vector<py::dict>&>(), py::arg("tables"))
      .def("changed", &Versions::changed);
}

}  // namespace hrnet_fast
