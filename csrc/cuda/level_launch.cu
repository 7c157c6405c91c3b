// The level kernel, one a dtype, and its launch on the current stream of the current device.
#include <c10/cuda/CUDAException.h>
#include <c10/cuda/CUDAFunctions.h>
#include <c10/cuda/CUDAGraphsC10Utils.h>
#include <c10/cuda/CUDAGuard.h>
#include <c10/cuda/CUDAStream.h>

#include <deque>
#include <mutex>

#include "cuda/device/level_block.cuh"
#include "cuda/level_host.h"
#include "cuda/level_launch.h"

namespace hrnet_fast {
namespace {

constexpr int kResident = 2;                 // CTAs that a multiprocessor's registers hold
constexpr int kOldest = 80, kOverlaps = 90;  // architectures whose code computes, and waits for the launch before

template <class T>
__global__ __launch_bounds__(kThreads, kResident) void level_kernel(const __grid_constant__ LevelLaunch launch) {
#if __CUDA_ARCH__ >= 800  // older ones lack cp.async; they are refused before
  level_block<T>(launch);
#endif
}

// Never launched: by the threads that it would take, the host tells code of sm_90a from that of sm_90, without a copy
// from the device.
constexpr int kMarked = 32 * kGroupWarps;
#ifdef HRNET_FAST_WARPGROUPS
__global__ __launch_bounds__(kMarked) void mark() {}
#else
__global__ void mark() {}
#endif

struct Device {
  std::once_flag asked;
  bool overlaps = false;
  int shared = 0;  // bytes that a CTA may have at most
};

// Of a kernel's code for the current device, which may be loaded only now: where another thread captures, that would be
// refused, and end the capture.
template <class Kernel>
cudaError_t ask_for_code(Kernel* kernel, cudaFuncAttributes& found) {
  const c10::cuda::CUDAStreamCaptureModeGuard relaxed(cudaStreamCaptureModeRelaxed);
  return cudaFuncGetAttributes(&found, kernel);
}

// The current device, where the kernel may have all shared memory. Its attributes are set once and not for each launch:
// threads that launch at once would overwrite each other's, and a multiprocessor divides its memory anew between
// launches only when it is idle.
template <class T>
const Device& prepared_device() {
  static std::deque<Device> devices(c10::cuda::device_count());
  const int index = c10::cuda::current_device();
  Device& device = devices.at(index);
  std::call_once(device.asked, [&] {
    cudaFuncAttributes code;
    C10_CUDA_CHECK(ask_for_code(level_kernel<T>, code));
    TORCH_CHECK_VALUE(code.ptxVersion >= kOldest, "level: what this GPU takes of the extension was compiled for sm_",
                      code.ptxVersion, ", and the kernel needs sm_", kOldest, " or newer; build it for this GPU");
    device.overlaps = code.ptxVersion >= kOverlaps;
    C10_CUDA_CHECK(cudaDeviceGetAttribute(&device.shared, cudaDevAttrMaxSharedMemoryPerBlockOptin, index));
    const auto set = [](cudaFuncAttribute what, int value) {
      C10_CUDA_CHECK(cudaFuncSetAttribute(level_kernel<T>, what, value));
    };
    set(cudaFuncAttributeMaxDynamicSharedMemorySize, device.shared);
    set(cudaFuncAttributePreferredSharedMemoryCarveout, cudaSharedmemCarveoutMaxShared);
  });
  return device;
}

template <class T>
void launch_level(const Level& level, bool overlap) {
  const Device& device = prepared_device<T>();
  const LevelLaunch launch = make_launch(level, sizeof(T));
  const int shared = int(level_shared_bytes(launch)), at_most = device.shared;
  TORCH_CHECK_VALUE(shared <= at_most, "level: its tiles need ", shared,
                    " bytes of shared memory a CTA, and this GPU gives ", at_most,
                    "; use smaller tiles, chunks or fewer stages");
  cudaLaunchAttribute early = {};
  early.id = cudaLaunchAttributeProgrammaticStreamSerialization;
  early.val.programmaticStreamSerializationAllowed = 1;
  cudaLaunchConfig_t config = {};
  config.gridDim = dim3(unsigned(level_blocks(launch)));
  config.blockDim = dim3(kThreads);
  config.dynamicSmemBytes = size_t(shared);
  config.stream = c10::cuda::getCurrentCUDAStream();
  config.attrs = &early;
  config.numAttrs = overlap && device.overlaps ? 1 : 0;
  C10_CUDA_CHECK(cudaLaunchKernelEx(&config, level_kernel<T>, launch));
}

bool is_missing(cudaError_t error) {
  return error == cudaErrorNoKernelImageForDevice || error == cudaErrorInvalidDeviceFunction ||
         error == cudaErrorUnsupportedPtxVersion || error == cudaErrorJitCompilerNotFound;
}

}  // namespace

LevelCode level_code(int device) {
  const c10::cuda::CUDAGuard guard(static_cast<c10::DeviceIndex>(device));
  cudaFuncAttributes code;
  const cudaError_t error = ask_for_code(mark, code);
  if (is_missing(error)) {
    (void)cudaGetLastError();  // else the next check would find it
    return {};
  }
  C10_CUDA_CHECK(error);
  return {code.ptxVersion, code.maxThreadsPerBlock == kMarked};
}

void level_cuda(const Level& level, Dtype dtype, bool overlap) {
  switch (dtype) {
    case Dtype::f32: return launch_level<float>(level, overlap);
    case Dtype::bf16: return launch_level<bf16_t>(level, overlap);
    case Dtype::f16: return launch_level<f16_t>(level, overlap);
    case Dtype::f64: TORCH_CHECK_TYPE(false, "level: the kernel has no float64");
  }
}

}  // namespace hrnet_fast
