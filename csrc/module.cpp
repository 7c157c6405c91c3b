// The Python module _C. Importing it loads the ops, which register themselves in their own files; what is bound here is
// not an op.
#include <pybind11/pybind11.h>
#include <torch/headeronly/version.h>

#ifdef HRNET_FAST_WITH_CUDA
#include <cuda.h>

#include "cuda/level_launch.h"
#endif

#include "cpu/features.h"

namespace py = pybind11;

namespace hrnet_fast {
void bind_program(py::module_& m);   // csrc/cpu/program_python.cpp
void bind_versions(py::module_& m);  // csrc/versions.cpp
}  // namespace hrnet_fast

PYBIND11_MODULE(TORCH_EXTENSION_NAME, m) {
  m.def(
      "build_info",
      [] {
        py::dict info;
        info["torch"] = TORCH_VERSION;
        info["compiler"] = __VERSION__;
#ifdef HRNET_FAST_WITH_CUDA
        info["cuda"] = std::to_string(CUDA_VERSION / 1000) + "." + std::to_string(CUDA_VERSION % 1000 / 10);
#else
        info["cuda"] = py::none();
#endif
#ifdef _OPENMP
        info["openmp"] = true;
#else
        info["openmp"] = false;
#endif
        return info;
      },
      "What this file was compiled with: torch, compiler, the CUDA toolkit or None, and whether loops run in "
      "parallel.");
  m.def(
      "cpu_features",
      [] {
        const hrnet_fast::CpuFeatures& f = hrnet_fast::cpu_features();
        py::dict features;
        features["avx2"] = f.avx2;
        features["avx512f"] = f.avx512f;
        features["avx512_bf16"] = f.avx512_bf16;
        features["avx512_fp16"] = f.avx512_fp16;
        features["amx_tile"] = f.amx_tile;
        features["amx_bf16"] = f.amx_bf16;
        features["amx_int8"] = f.amx_int8;
        return features;
      },
      "What this CPU and its operating system can run.");
  m.def("cpu_isa", &hrnet_fast::cpu_isa,
        "The instruction set of the CPU kernels on this machine: avx512, avx2 or portable.");
#ifdef HRNET_FAST_WITH_CUDA
  m.def(
      "level_code",
      [](int device) {
        const hrnet_fast::LevelCode code = hrnet_fast::level_code(device);
        return std::make_pair(code.architecture, code.warpgroups);
      },
      "What a CUDA device, named by its index, takes of this file: the architecture that it was compiled for, as 90 "
      "for sm_90, 0 where there is no code for it; and whether it multiplies by warpgroups.");
#endif
  hrnet_fast::bind_program(m);
  hrnet_fast::bind_versions(m);
}
