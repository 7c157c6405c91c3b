// The Python class _C.Versions. A network has two thousand tensors in a thousand dictionaries of its modules, and is
// looked through after every call, which has emptied the caches: so little as possible of each is read.
#include <torch/csrc/autograd/python_variable.h>
#include <torch/csrc/utils/pybind.h>

#include <atomic>
#include <utility>
#include <vector>

namespace hrnet_fast {
namespace {

namespace py = pybind11;

constexpr size_t kAhead = 24;  // entries that are fetched ahead

struct Table {
  py::dict table;
  std::vector<py::object> values;  // held, so that nothing new has their addresses

  bool changed() const {
    PyObject *key, *value;
    size_t index = 0;
    for (Py_ssize_t at = 0; PyDict_Next(table.ptr(), &at, &key, &value); ++index)
      if (index == values.size() || value != values[index].ptr()) return true;
    return index != values.size();
  }
};

#if PY_VERSION_HEX < 0x030C0000

// Tells of writes into dictionaries by their tags, which are others after every write.
class Writes {
 public:
  void follow(PyObject* table) { tags_.emplace_back(table, tag_of(table)); }

  // Calls differs(i) for each that was written since; false if any does.
  template <class Differs>
  bool none_matters(const Differs& differs) {
    for (size_t i = 0; i < tags_.size(); ++i) {
      if (i + kAhead < tags_.size()) __builtin_prefetch(tags_[i + kAhead].first);
      const uint64_t tag = tag_of(tags_[i].first);
      if (tag == tags_[i].second) continue;
      if (differs(i)) return false;
      tags_[i].second = tag;  // written, with what was there before
    }
    return true;
  }

 private:
  static uint64_t tag_of(PyObject* table) { return reinterpret_cast<PyDictObject*>(table)->ma_version_tag; }

  std::vector<std::pair<PyObject*, uint64_t>> tags_;
};

#else

// The same where Python calls back before it writes into any of them; they are then all looked at.
class Writes {
 public:
  void follow(PyObject* table) {
    ++count_;
    if (watcher() < 0 || PyDict_Watch(watcher(), table) < 0) PyErr_Clear(), watched_ = false;
    seen_ = writes;
  }

  template <class Differs>
  bool none_matters(const Differs& differs) {
    const uint64_t now = writes;
    if (watched_ && now == seen_) return true;
    for (size_t i = 0; i < count_; ++i)
      if (differs(i)) return false;
    seen_ = now;
    return true;
  }

 private:
  // Python has eight, for all extensions together; without one, every call looks at all tables.
  static int watcher() {
    static const int id =
        PyDict_AddWatcher([](PyDict_WatchEvent, PyObject*, PyObject*, PyObject*) { return ++writes, 0; });
    return id;
  }

  inline static std::atomic<uint64_t> writes = 0;
  size_t count_ = 0;
  uint64_t seen_ = 0;
  bool watched_ = true;
};

#endif

// What a tensor of a table was when it was seen; the table keeps the object alive, and nobody the tensor.
struct Stored {
  PyObject* object;
  at::TensorImpl* tensor;
  c10::Storage storage;
};

class Versions {
 public:
  explicit Versions(const std::vector<py::dict>& tables) {
    for (const py::dict& table : tables) {
      Table& own = tables_.emplace_back(Table{table, {}});
      writes_.follow(table.ptr());
      for (const auto& [key, value] : table) {
        own.values.push_back(py::reinterpret_borrow<py::object>(value));
        if (!THPVariable_Check(value.ptr())) continue;
        at::TensorImpl* tensor = THPVariable_Unpack(value.ptr()).unsafeGetTensorImpl();
        if (tensor->has_storage()) storages_.push_back({value.ptr(), tensor, tensor->unsafe_storage()});
        if (!tensor->is_inference())
          counters_.emplace_back(tensor->version_counter(), tensor->version_counter().current_version());
      }
    }
  }

  bool changed() {
    if (!writes_.none_matters([this](size_t i) { return tables_[i].changed(); })) return true;
    bool any = false;
    for (size_t i = 0; i < storages_.size(); ++i) {
      if (i + kAhead < storages_.size()) __builtin_prefetch(storages_[i + kAhead].tensor);
      const auto& [object, tensor, storage] = storages_[i];
      if (THPVariable_Unpack(object).unsafeGetTensorImpl() != tensor) return true;  // swapped, and freed perhaps
      any |= tensor->unsafe_storage().unsafeGetStorageImpl() != storage.unsafeGetStorageImpl();
    }
    for (const auto& [counter, version] : counters_) any |= counter.current_version() != version;
    return any;
  }

 private:
  std::vector<Table> tables_;
  Writes writes_;
  std::vector<Stored> storages_;
  std::vector<std::pair<c10::VariableVersion, uint32_t>> counters_;
};

}  // namespace

void bind_versions(py::module_& m) {
  py::class_<Versions>(m, "Versions",
                       "Whether tensors were written, or anything replaced; hrnet_fast/engine/versions.py has it.")
      .def(py::init<const std::vector<py::dict>&>(), py::arg("tables"))
      .def("changed", &Versions::changed);
}

}  // namespace hrnet_fast
