// NVIDIA's devices by CUDA's driver, and by NVRTC, which compiles the kernels for the one that is
// there. Both libraries are looked for when they are needed; what is used of them is declared here, so
// that nothing of CUDA's is needed to build.
#include <array>
#include <map>
#include <string>
#include <utility>

#include "infer/gpu/device.h"
#include "infer/gpu/library.h"

namespace pomona::gpu {
namespace {

using Code = int;  // CUresult, nvrtcResult
using DeviceNumber = int;
using Address = unsigned long long;  // of a device's memory
using Handle = void*;                // of a context, module, function, stream, program

constexpr Code kSuccess = 0;
constexpr Code kOutOfMemory = 2;

// Attributes of a device, by CUDA's numbers.
constexpr int kComputeMajor = 75;
constexpr int kComputeMinor = 76;

constexpr unsigned kGroupItems = 128;

// Newer forms of old functions end in _v2.
struct Driver {
  Library library{{"libcuda.so.1"}};
  Function<Code(unsigned)> init{library, "cuInit"};
  Function<Code(int*)> driver_version{library, "cuDriverGetVersion"};
  Function<Code(Code, const char**)> error_name{library, "cuGetErrorName"};
  Function<Code(int*)> device_count{library, "cuDeviceGetCount"};
  Function<Code(DeviceNumber*, int)> device{library, "cuDeviceGet"};
  Function<Code(char*, int, DeviceNumber)> device_name{library, "cuDeviceGetName"};
  Function<Code(size_t*, DeviceNumber)> device_memory{library, "cuDeviceTotalMem_v2"};
  Function<Code(int*, int, DeviceNumber)> device_attribute{library, "cuDeviceGetAttribute"};
  Function<Code(Handle*, DeviceNumber)> retain_context{library, "cuDevicePrimaryCtxRetain"};
  Function<Code(DeviceNumber)> release_context{library, "cuDevicePrimaryCtxRelease_v2"};
  Function<Code(DeviceNumber, unsigned)> set_flags{library, "cuDevicePrimaryCtxSetFlags_v2"};
  Function<Code(Handle)> push_context{library, "cuCtxPushCurrent_v2"};
  Function<Code(Handle*)> pop_context{library, "cuCtxPopCurrent_v2"};
  Function<Code(Handle*, const void*)> load_module{library, "cuModuleLoadData"};
  Function<Code(Handle)> unload_module{library, "cuModuleUnload"};
  Function<Code(Handle*, Handle, const char*)> function{library, "cuModuleGetFunction"};
  Function<Code(Address*, size_t)> allocate{library, "cuMemAlloc_v2"};
  Function<Code(Address)> free{library, "cuMemFree_v2"};
  Function<Code(Handle*, unsigned)> new_stream{library, "cuStreamCreate"};
  Function<Code(Handle)> wait{library, "cuStreamSynchronize"};
  Function<Code(Handle)> end_stream{library, "cuStreamDestroy_v2"};
  Function<Code(Address, const void*, size_t, Handle)> to_device{library, "cuMemcpyHtoDAsync_v2"};
  Function<Code(void*, Address, size_t, Handle)> from_device{library, "cuMemcpyDtoHAsync_v2"};
  Function<Code(Handle, unsigned, unsigned, unsigned, unsigned, unsigned, unsigned, unsigned,
                Handle, void**, void**)>
      launch{library, "cuLaunchKernel"};
  std::string trouble = Begin();  // not empty: nothing of it may be called

 private:
  std::string Begin() const {
    if (std::string missing = library.trouble(); !missing.empty()) return missing;
    const Code code = init(0);
    if (code == kSuccess) return "";
    const char* name = nullptr;
    error_name(code, &name);
    return std::string("libcuda.so.1: cuInit: ") + (name ? name : std::to_string(code));
  }
};

const Driver& Cuda() {
  static const Driver driver;
  return driver;
}

struct Compiler {
  Library library;
  Function<Code(Handle*, const char*, const char*, int, const char**, const char**)> create{
      library, "nvrtcCreateProgram"};
  Function<Code(Handle, int, const char* const*)> compile{library, "nvrtcCompileProgram"};
  Function<Code(Handle, size_t*)> log_size{library, "nvrtcGetProgramLogSize"};
  Function<Code(Handle, char*)> log{library, "nvrtcGetProgramLog"};
  Function<Code(Handle, size_t*)> binary_size{library, "nvrtcGetCUBINSize"};
  Function<Code(Handle, char*)> binary{library, "nvrtcGetCUBIN"};
  Function<Code(Handle*)> end{library, "nvrtcDestroyProgram"};
};

// That of the driver's own version first: what a newer one makes, it need not take.
Library LoadCompiler() {
  int version = 0;
  Cuda().driver_version(&version);
  if (version < 12000) return Library{{"libnvrtc.so.11.2", "libnvrtc.so"}};
  if (version < 13000) return Library{{"libnvrtc.so.12", "libnvrtc.so.11.2", "libnvrtc.so"}};
  return Library{{"libnvrtc.so.13", "libnvrtc.so.12", "libnvrtc.so"}};
}

const Compiler& Nvrtc() {
  static const Compiler compiler{LoadCompiler()};
  return compiler;
}

// Errors: see Stream.
template <class Signature, class... Arguments>
arrow::Status Call(const Function<Signature>& function, Arguments... arguments) {
  const Code code = function(arguments...);
  if (code == kSuccess) return arrow::Status::OK();
  const char* name = nullptr;
  Cuda().error_name(code, &name);
  const std::string text =
      std::string(function.name()) + ": " + (name ? name : "error " + std::to_string(code));
  if (code == kOutOfMemory) return arrow::Status::OutOfMemory(text);
  return arrow::Status::IOError(text);
}

// A context is a thread's, so each call brings it, and leaves the thread with the one that it had.
template <class Signature, class... Arguments>
arrow::Status CallOn(Handle context, const Function<Signature>& function, Arguments... arguments) {
  ARROW_RETURN_NOT_OK(Call(Cuda().push_context, context));
  const arrow::Status status = Call(function, arguments...);
  Handle ours = nullptr;
  Cuda().pop_context(&ours);
  return status;
}

// What cannot be given back is lost with the device.
template <class Signature, class... Arguments>
void Release(Handle context, const Function<Signature>& function, Arguments... arguments) {
  static_cast<void>(CallOn(context, function, arguments...));
}

class CudaBuffer final : public Buffer {
 public:
  CudaBuffer(Handle context, Address address) : context_(context), address_(address) {}
  ~CudaBuffer() override { Release(context_, Cuda().free, address_); }
  Address address() const { return address_; }

 private:
  const Handle context_;
  const Address address_;
};

Address AddressOf(const Buffer& buffer) { return static_cast<const CudaBuffer&>(buffer).address(); }

class CudaStream final : public Stream {
 public:
  CudaStream(Handle context, Handle module, Handle stream)
      : context_(context), module_(module), stream_(stream) {}
  ~CudaStream() override {
    Release(context_, Cuda().wait, stream_);
    Release(context_, Cuda().end_stream, stream_);
  }

  arrow::Status Write(const Buffer& to, const void* from, size_t bytes) override {
    ARROW_RETURN_NOT_OK(CallOn(context_, Cuda().to_device, AddressOf(to), from, bytes, stream_));
    // Whether it has copied by now CUDA does not promise.
    return CallOn(context_, Cuda().wait, stream_);
  }

  arrow::Status Run(const char* kernel, std::initializer_list<Argument> arguments,
                    int64_t items) override {
    Handle& function = functions_[kernel];
    if (!function) {
      ARROW_RETURN_NOT_OK(CallOn(context_, Cuda().function, &function, module_, kernel));
    }
    std::array<Address, 16> values;  // a number takes the first bytes of its place
    std::array<void*, 16> places;
    size_t count = 0;
    for (const Argument& argument : arguments) {
      if (const auto* number = std::get_if<int32_t>(&argument)) {
        values[count] = static_cast<uint32_t>(*number);
      } else {
        values[count] = AddressOf(*std::get<const Buffer*>(argument));
      }
      places[count] = &values[count];
      ++count;
    }
    const auto groups = static_cast<unsigned>((items + kGroupItems - 1) / kGroupItems);
    return CallOn(context_, Cuda().launch, function, groups, 1u, 1u, kGroupItems, 1u, 1u, 0u,
                  stream_, places.data(), nullptr);
  }

  arrow::Status Read(const Buffer& from, void* to, size_t bytes) override {
    ARROW_RETURN_NOT_OK(CallOn(context_, Cuda().from_device, to, AddressOf(from), bytes, stream_));
    return CallOn(context_, Cuda().wait, stream_);
  }

 private:
  const Handle context_, module_, stream_;
  std::map<std::string, Handle, std::less<>> functions_;
};

class CudaDevice final : public Device {
 public:
  CudaDevice(DeviceNumber device, DeviceInfo info) : device_(device), info_(std::move(info)) {}
  ~CudaDevice() override {
    if (module_) Release(context_, Cuda().unload_module, module_);
    if (context_) Cuda().release_context(device_);
  }

  arrow::Status Build() {
    // Who waits sleeps, and leaves its core to decoding. Where others have the context already, it
    // stays as it is.
    const unsigned blocking = 4;  // CU_CTX_SCHED_BLOCKING_SYNC
    Cuda().set_flags(device_, blocking);
    ARROW_RETURN_NOT_OK(Call(Cuda().retain_context, &context_, device_));
    ARROW_ASSIGN_OR_RAISE(const std::string binary, Compile());
    const arrow::Status loaded =
        CallOn(context_, Cuda().load_module, &module_, static_cast<const void*>(binary.data()));
    if (loaded.ok()) return loaded;
    return loaded.WithMessage(loaded.message(), "; is NVRTC newer than the driver (", info_.driver,
                              ")?");
  }

  const DeviceInfo& info() const override { return info_; }

  arrow::Result<std::unique_ptr<Buffer>> NewBuffer(size_t bytes) override {
    Address address = 0;
    ARROW_RETURN_NOT_OK(CallOn(context_, Cuda().allocate, &address, bytes));
    return std::make_unique<CudaBuffer>(context_, address);
  }

  arrow::Result<std::unique_ptr<Stream>> NewStream() override {
    Handle stream = nullptr;
    const unsigned apart = 1;  // CU_STREAM_NON_BLOCKING
    ARROW_RETURN_NOT_OK(CallOn(context_, Cuda().new_stream, &stream, apart));
    return std::make_unique<CudaStream>(context_, module_, stream);
  }

 private:
  // For this very device, not for a virtual one: a driver older than the compiler may not know the
  // newest PTX.
  arrow::Result<std::string> Compile() const {
    const Compiler& nvrtc = Nvrtc();
    if (const std::string trouble = nvrtc.library.trouble(); !trouble.empty()) {
      return arrow::Status::IOError(
          trouble,
          ": NVRTC, which compiles the kernels, comes with CUDA's toolkit "
          "and with PyPI's nvidia-cuda-nvrtc");
    }
    int major = 0, minor = 0;
    ARROW_RETURN_NOT_OK(Call(Cuda().device_attribute, &major, kComputeMajor, device_));
    ARROW_RETURN_NOT_OK(Call(Cuda().device_attribute, &minor, kComputeMinor, device_));
    const std::string target =
        "--gpu-architecture=sm_" + std::to_string(major) + std::to_string(minor);
    const char* options[] = {target.c_str(), "--fmad=false"};
    const std::string text = std::string(kCudaWords) + kKernels;
    Handle program = nullptr;
    if (nvrtc.create(&program, text.c_str(), "kernels.cl", 0, nullptr, nullptr) != kSuccess) {
      return arrow::Status::OutOfMemory("NVRTC has no memory for the kernels");
    }
    const auto compiled = [&]() -> arrow::Result<std::string> {
      if (nvrtc.compile(program, 2, options) != kSuccess) {
        const std::string log = TextOf(program, nvrtc.log_size, nvrtc.log);
        return arrow::Status::IOError("NVRTC does not take the kernels for ", target, ": ",
                                      FirstError(log.c_str()));
      }
      return TextOf(program, nvrtc.binary_size, nvrtc.binary);
    }();
    nvrtc.end(&program);
    return compiled;
  }

  static std::string TextOf(Handle program, const Function<Code(Handle, size_t*)>& size,
                            const Function<Code(Handle, char*)>& get) {
    size_t bytes = 0;
    size(program, &bytes);
    std::string text(bytes, '\0');
    get(program, text.data());
    return text;
  }

  const DeviceNumber device_;
  const DeviceInfo info_;
  Handle context_ = nullptr;
  Handle module_ = nullptr;
};

arrow::Result<DeviceInfo> InfoOf(DeviceNumber device, int number) {
  char name[256] = "";
  size_t memory = 0;
  int version = 0;
  ARROW_RETURN_NOT_OK(Call(Cuda().device_name, name, int{sizeof name}, device));
  ARROW_RETURN_NOT_OK(Call(Cuda().device_memory, &memory, device));
  ARROW_RETURN_NOT_OK(Call(Cuda().driver_version, &version));
  return DeviceInfo{.id = "cuda:" + std::to_string(number),
                    .name = name,
                    .driver = "CUDA " + std::to_string(version / 1000) + "." +
                              std::to_string(version % 1000 / 10),
                    .memory = static_cast<int64_t>(memory)};
}

}  // namespace

Listing ListCudaDevices() {
  Listing listing{{}, Cuda().trouble};
  if (!listing.trouble.empty()) return listing;
  int count = 0;
  arrow::Status status = Call(Cuda().device_count, &count);
  for (int number = 0; status.ok() && number < count; ++number) {
    DeviceNumber device = 0;
    status = Call(Cuda().device, &device, number);
    if (!status.ok()) break;
    auto info = InfoOf(device, number);
    status = info.status();
    if (info.ok()) listing.devices.push_back(*std::move(info));
  }
  if (!status.ok()) listing.trouble = status.message();
  return listing;
}

arrow::Result<std::unique_ptr<Device>> OpenCudaDevice(size_t number) {
  DeviceNumber device = 0;
  ARROW_RETURN_NOT_OK(Call(Cuda().device, &device, static_cast<int>(number)));
  ARROW_ASSIGN_OR_RAISE(DeviceInfo info, InfoOf(device, static_cast<int>(number)));
  auto opened = std::make_unique<CudaDevice>(device, std::move(info));
  ARROW_RETURN_NOT_OK(opened->Build());
  return opened;
}

}  // namespace pomona::gpu
