// A libcuda.so.1 and libnvrtc.so.13 in one that run CUDA's kernels on the CPU: what is compiled is the
// engine's own text, by this machine's C++ compiler, and an item after the other runs it. So the calls
// that the engine makes of CUDA are made, on a machine without a GPU; what a GPU does of them is not
// shown by it.
//   POMONA_FAULT_LAUNCHES=N  after so many launches the device is lost;
//   POMONA_CUDA_SEEN=FILE    FILE gets a line of what CUDA_VISIBLE_DEVICES lets CUDA see.
#include <dlfcn.h>

#include <atomic>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <mutex>
#include <set>
#include <string>

#include "temp_folder.h"

namespace {

constexpr int kInvalid = 1, kMemory = 2, kLost = 719;

// What CUDA C++ has beyond C++, so far as the kernels use it.
constexpr char kWords[] = R"(
#include <algorithm>
#include <cmath>
#define __global__ __attribute__((visibility("default")))
#define __device__ static inline
#define __restrict__ __restrict
struct dim { unsigned x = 0; };
static thread_local dim blockIdx, blockDim, threadIdx;
struct alignas(16) float4 { float x, y, z, w; };
static inline float4 make_float4(float x, float y, float z, float w) { return {x, y, z, w}; }
static inline float __fmaf_rn(float x, float y, float z) { return std::fma(x, y, z); }
static inline float __fadd_rn(float x, float y) { return x + y; }
using std::fmaxf; using std::fminf;
extern "C" __attribute__((visibility("default"))) void place(unsigned block, unsigned size,
                                                             unsigned thread) {
  blockIdx.x = block; blockDim.x = size; threadIdx.x = thread;
}
)";

struct Program {
  std::string text, log, binary;
};

// Eight whole registers: of a number only the low half counts.
using Kernel = void (*)(uint64_t, uint64_t, uint64_t, uint64_t, uint64_t, uint64_t, uint64_t,
                        uint64_t);
using Place = void (*)(unsigned, unsigned, unsigned);

struct Module {
  void* library;
  Place place;
};

struct Function {
  Kernel kernel;
  Place place;
  int arguments;
};

thread_local int context_of_thread = 0;
int context;
std::mutex mutex;
std::set<uint64_t> buffers;

int ArgumentsOf(const std::string& kernel) {
  if (kernel == "probe" || kernel == "pool") return 5;
  return 8;
}

bool Refused() { return context_of_thread == 0; }

}  // namespace

extern "C" {

int nvrtcCreateProgram(void** made, const char* text, const char*, int, const char**,
                       const char**) {
  *made = new Program{text, "", ""};
  return 0;
}

int nvrtcCompileProgram(void* given, int count, const char* const* options) {
  Program& program = *static_cast<Program*>(given);
  bool fused = true;
  std::string target;
  for (int i = 0; i < count; ++i) {
    if (std::strcmp(options[i], "--fmad=false") == 0) fused = false;
    if (std::strncmp(options[i], "--gpu-architecture=", 19) == 0) target = options[i] + 19;
  }
  if (fused || target != "sm_75") {
    program.log = "not the options that were expected";
    return 6;
  }
  // Lasts as long as the process: a binary is a path, and may be loaded again.
  static const pomona::TempFolder folder;
  static std::atomic<int> programs = 0;
  const std::string path = folder / std::to_string(programs++);
  const std::string source = path + ".cc", log_file = path + ".log";
  program.binary = path + ".so";
  std::ofstream(source) << kWords << program.text;
  const std::string command =
      "g++ -std=c++20 -O2 -march=native -ffp-contract=off -shared -fPIC -w -o " + program.binary +
      " " + source + " >" + log_file + " 2>&1";
  if (std::system(command.c_str()) == 0) return 0;
  program.log = pomona::ReadFile(log_file);
  return 6;
}

int nvrtcGetProgramLogSize(void* program, size_t* bytes) {
  *bytes = static_cast<Program*>(program)->log.size() + 1;
  return 0;
}

int nvrtcGetProgramLog(void* program, char* to) {
  std::strcpy(to, static_cast<Program*>(program)->log.c_str());
  return 0;
}

int nvrtcGetCUBINSize(void* program, size_t* bytes) {
  *bytes = static_cast<Program*>(program)->binary.size() + 1;
  return 0;
}

int nvrtcGetCUBIN(void* program, char* to) {
  std::strcpy(to, static_cast<Program*>(program)->binary.c_str());
  return 0;
}

int nvrtcDestroyProgram(void** program) {
  delete static_cast<Program*>(*program);
  *program = nullptr;
  return 0;
}

int cuInit(unsigned flags) {
  if (const char* file = std::getenv("POMONA_CUDA_SEEN")) {
    const char* devices = std::getenv("CUDA_VISIBLE_DEVICES");
    std::ofstream(file, std::ios::app) << (devices ? devices : "all") << '\n';
  }
  return flags == 0 ? 0 : kInvalid;
}

int cuDriverGetVersion(int* version) {
  *version = 13010;
  return 0;
}
int cuGetErrorName(int code, const char** name) {
  *name = code == kMemory ? "CUDA_ERROR_OUT_OF_MEMORY"
          : code == kLost ? "CUDA_ERROR_LAUNCH_FAILED"
                          : "CUDA_ERROR_INVALID_VALUE";
  return 0;
}
int cuDeviceGetCount(int* count) {
  *count = 1;
  return 0;
}
int cuDeviceGet(int* device, int number) {
  *device = 7;
  return number == 0 ? 0 : kInvalid;
}
int cuDeviceGetName(char* name, int bytes, int device) {
  std::strncpy(name, "a GPU of the tests", bytes);
  return device == 7 ? 0 : kInvalid;
}
int cuDeviceTotalMem_v2(size_t* bytes, int device) {
  *bytes = size_t{1} << 30;
  return device == 7 ? 0 : kInvalid;
}
int cuDeviceGetAttribute(int* value, int what, int device) {
  *value = what == 75 ? 7 : what == 76 ? 5 : -1;
  return device == 7 ? 0 : kInvalid;
}
int cuDevicePrimaryCtxRetain(void** made, int device) {
  *made = &context;
  return device == 7 ? 0 : kInvalid;
}
int cuDevicePrimaryCtxRelease_v2(int device) { return device == 7 ? 0 : kInvalid; }
int cuDevicePrimaryCtxSetFlags_v2(int device, unsigned flags) {
  return device == 7 && flags == 4 ? 0 : kInvalid;
}
int cuCtxPushCurrent_v2(void* of) {
  if (of != &context || context_of_thread) return kInvalid;
  context_of_thread = 1;
  return 0;
}
int cuCtxPopCurrent_v2(void** of) {
  if (!context_of_thread) return kInvalid;
  context_of_thread = 0;
  *of = &context;
  return 0;
}
int cuModuleLoadData(void** made, const void* binary) {
  if (Refused()) return kInvalid;
  void* const library = dlopen(static_cast<const char*>(binary), RTLD_NOW | RTLD_LOCAL);
  if (!library) return kInvalid;
  *made = new Module{library, reinterpret_cast<Place>(dlsym(library, "place"))};
  return 0;
}
int cuModuleUnload(void* module) {
  delete static_cast<Module*>(module);
  return 0;
}
int cuModuleGetFunction(void** made, void* given, const char* name) {
  const Module& module = *static_cast<Module*>(given);
  void* const kernel = dlsym(module.library, name);
  if (!kernel || Refused()) return kInvalid;
  *made = new Function{reinterpret_cast<Kernel>(kernel), module.place, ArgumentsOf(name)};
  return 0;
}
int cuMemAlloc_v2(unsigned long long* address, size_t bytes) {
  if (Refused()) return kInvalid;
  void* const memory = std::aligned_alloc(256, (bytes + 255) / 256 * 256);
  if (!memory) return kMemory;
  std::memset(memory, 0xff, bytes);  // NaN: what is read before it is written shows
  *address = reinterpret_cast<uintptr_t>(memory);
  const std::lock_guard lock(mutex);
  buffers.insert(*address);
  return 0;
}
int cuMemFree_v2(unsigned long long address) {
  const std::lock_guard lock(mutex);
  if (buffers.erase(address) == 0) return kInvalid;
  std::free(reinterpret_cast<void*>(address));
  return 0;
}
int cuStreamCreate(void** made, unsigned flags) {
  *made = new int(1);
  return Refused() || flags != 1 ? kInvalid : 0;
}
int cuStreamSynchronize(void* stream) { return Refused() || !stream ? kInvalid : 0; }
int cuStreamDestroy_v2(void* stream) {
  delete static_cast<int*>(stream);
  return 0;
}
int cuMemcpyHtoDAsync_v2(unsigned long long to, const void* from, size_t bytes, void* stream) {
  if (Refused() || !stream) return kInvalid;
  std::memcpy(reinterpret_cast<void*>(to), from, bytes);
  return 0;
}
int cuMemcpyDtoHAsync_v2(void* to, unsigned long long from, size_t bytes, void* stream) {
  if (Refused() || !stream) return kInvalid;
  std::memcpy(to, reinterpret_cast<const void*>(from), bytes);
  return 0;
}
int cuLaunchKernel(void* given, unsigned groups, unsigned, unsigned, unsigned items, unsigned,
                   unsigned, unsigned, void* stream, void** arguments, void**) {
  static std::atomic<long long> launches = 0;
  const char* const most = std::getenv("POMONA_FAULT_LAUNCHES");
  if (most && ++launches > std::atoll(most)) return kLost;
  if (Refused() || !stream) return kInvalid;
  const Function& function = *static_cast<Function*>(given);
  uint64_t values[8] = {};
  for (int i = 0; i < function.arguments; ++i) std::memcpy(&values[i], arguments[i], 8);
  for (unsigned group = 0; group < groups; ++group) {
    for (unsigned item = 0; item < items; ++item) {
      function.place(group, items, item);
      function.kernel(values[0], values[1], values[2], values[3], values[4], values[5], values[6],
                      values[7]);
    }
  }
  return 0;
}
}
