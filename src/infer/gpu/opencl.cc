// Devices by OpenCL 1.2, whose library is looked for when it is needed.
#define CL_TARGET_OPENCL_VERSION 120
#include <CL/cl.h>

#include <algorithm>
#include <map>
#include <utility>

#include "infer/gpu/device.h"
#include "infer/gpu/library.h"

namespace pomona::gpu {
namespace {

constexpr char kLibrary[] = "libOpenCL.so.1";

// Launches have a multiple of so many items, which drivers can cut into groups as they like.
constexpr size_t kItemsMultiple = 64;

struct Functions {
  Library library{{kLibrary}};
  Function<decltype(::clGetPlatformIDs)> clGetPlatformIDs{library, "clGetPlatformIDs"};
  Function<decltype(::clGetDeviceIDs)> clGetDeviceIDs{library, "clGetDeviceIDs"};
  Function<decltype(::clGetDeviceInfo)> clGetDeviceInfo{library, "clGetDeviceInfo"};
  Function<decltype(::clCreateContext)> clCreateContext{library, "clCreateContext"};
  Function<decltype(::clReleaseContext)> clReleaseContext{library, "clReleaseContext"};
  Function<decltype(::clCreateProgramWithSource)> clCreateProgramWithSource{
      library, "clCreateProgramWithSource"};
  Function<decltype(::clBuildProgram)> clBuildProgram{library, "clBuildProgram"};
  Function<decltype(::clGetProgramBuildInfo)> clGetProgramBuildInfo{library,
                                                                    "clGetProgramBuildInfo"};
  Function<decltype(::clReleaseProgram)> clReleaseProgram{library, "clReleaseProgram"};
  Function<decltype(::clCreateKernel)> clCreateKernel{library, "clCreateKernel"};
  Function<decltype(::clSetKernelArg)> clSetKernelArg{library, "clSetKernelArg"};
  Function<decltype(::clReleaseKernel)> clReleaseKernel{library, "clReleaseKernel"};
  Function<decltype(::clCreateCommandQueue)> clCreateCommandQueue{library, "clCreateCommandQueue"};
  Function<decltype(::clReleaseEvent)> clReleaseEvent{library, "clReleaseEvent"};
  Function<decltype(::clFinish)> clFinish{library, "clFinish"};
  Function<decltype(::clReleaseCommandQueue)> clReleaseCommandQueue{library,
                                                                    "clReleaseCommandQueue"};
  Function<decltype(::clCreateBuffer)> clCreateBuffer{library, "clCreateBuffer"};
  Function<decltype(::clReleaseMemObject)> clReleaseMemObject{library, "clReleaseMemObject"};
  Function<decltype(::clEnqueueWriteBuffer)> clEnqueueWriteBuffer{library, "clEnqueueWriteBuffer"};
  Function<decltype(::clEnqueueReadBuffer)> clEnqueueReadBuffer{library, "clEnqueueReadBuffer"};
  Function<decltype(::clEnqueueNDRangeKernel)> clEnqueueNDRangeKernel{library,
                                                                      "clEnqueueNDRangeKernel"};
};

const Functions& OpenCl() {
  static const Functions functions;
  return functions;
}

arrow::Status Check(cl_int code, const char* call) {
  switch (code) {
    case CL_SUCCESS: return arrow::Status::OK();
    // NVIDIA's driver tells of other failures by CL_OUT_OF_RESOURCES, too; fewer pictures at once
    // are worth a try.
    case CL_MEM_OBJECT_ALLOCATION_FAILURE:
    case CL_OUT_OF_RESOURCES:
    case CL_INVALID_BUFFER_SIZE:
      return arrow::Status::OutOfMemory(
          call, ": the device's memory does not suffice (OpenCL error ", code, ")");
    default: return arrow::Status::IOError(call, ": OpenCL error ", code);
  }
}

std::string Text(cl_device_id device, cl_device_info what) {
  size_t bytes = 0;
  if (OpenCl().clGetDeviceInfo(device, what, 0, nullptr, &bytes) != CL_SUCCESS) return "";
  std::string text(bytes, '\0');
  if (OpenCl().clGetDeviceInfo(device, what, bytes, text.data(), nullptr) != CL_SUCCESS) return "";
  return text.substr(0, text.find('\0'));
}

template <class T>
T Value(cl_device_id device, cl_device_info what) {
  T value = {};
  OpenCl().clGetDeviceInfo(device, what, sizeof value, &value, nullptr);
  return value;
}

// GPUs first; otherwise in the order of the platforms.
std::vector<cl_device_id> Devices() {
  cl_platform_id platforms[32];
  cl_uint platform_count = 0;
  if (OpenCl().clGetPlatformIDs(std::size(platforms), platforms, &platform_count) != CL_SUCCESS) {
    return {};
  }
  std::vector<cl_device_id> devices;
  for (cl_uint i = 0; i < std::min<cl_uint>(platform_count, std::size(platforms)); ++i) {
    cl_device_id found[64];
    cl_uint count = 0;
    if (OpenCl().clGetDeviceIDs(platforms[i], CL_DEVICE_TYPE_ALL, std::size(found), found,
                                &count) == CL_SUCCESS) {
      devices.insert(devices.end(), found, found + std::min<cl_uint>(count, std::size(found)));
    }
  }
  std::ranges::stable_partition(devices, [](cl_device_id device) {
    return Value<cl_device_type>(device, CL_DEVICE_TYPE) & CL_DEVICE_TYPE_GPU;
  });
  return devices;
}

DeviceInfo InfoOf(cl_device_id device, size_t number) {
  return {.id = "opencl:" + std::to_string(number),
          .name = Text(device, CL_DEVICE_NAME),
          .driver = Text(device, CL_DEVICE_VERSION),
          .memory = static_cast<int64_t>(Value<cl_ulong>(device, CL_DEVICE_GLOBAL_MEM_SIZE)),
          .is_gpu = (Value<cl_device_type>(device, CL_DEVICE_TYPE) & CL_DEVICE_TYPE_GPU) != 0};
}

class ClBuffer final : public Buffer {
 public:
  explicit ClBuffer(cl_mem memory) : memory_(memory) {}
  ~ClBuffer() override { OpenCl().clReleaseMemObject(memory_); }
  cl_mem memory() const { return memory_; }

 private:
  const cl_mem memory_;
};

cl_mem MemoryOf(const Buffer& buffer) { return static_cast<const ClBuffer&>(buffer).memory(); }

class ClStream final : public Stream {
 public:
  ClStream(cl_command_queue queue, cl_program program) : queue_(queue), program_(program) {}
  ~ClStream() override {
    OpenCl().clFinish(queue_);
    if (last_) OpenCl().clReleaseEvent(last_);
    for (const auto& [name, kernel] : kernels_) OpenCl().clReleaseKernel(kernel);
    OpenCl().clReleaseCommandQueue(queue_);
  }

  arrow::Status Write(const Buffer& to, const void* from, size_t bytes) override {
    return Next("clEnqueueWriteBuffer", [&](cl_uint waits, const cl_event* after, cl_event* event) {
      return OpenCl().clEnqueueWriteBuffer(queue_, MemoryOf(to), CL_TRUE, 0, bytes, from, waits,
                                           after, event);
    });
  }

  arrow::Status Run(const char* kernel, std::initializer_list<Argument> arguments,
                    int64_t items) override {
    // A kernel object holds its arguments, so each stream has its own.
    cl_kernel& object = kernels_[kernel];
    if (!object) {
      cl_int code = CL_SUCCESS;
      object = OpenCl().clCreateKernel(program_, kernel, &code);
      ARROW_RETURN_NOT_OK(Check(code, "clCreateKernel"));
    }
    cl_uint position = 0;
    for (const Argument& argument : arguments) {
      cl_int code;
      if (const auto* number = std::get_if<int32_t>(&argument)) {
        code = OpenCl().clSetKernelArg(object, position++, sizeof *number, number);
      } else {
        const cl_mem memory = MemoryOf(*std::get<const Buffer*>(argument));
        code = OpenCl().clSetKernelArg(object, position++, sizeof memory, &memory);
      }
      ARROW_RETURN_NOT_OK(Check(code, "clSetKernelArg"));
    }
    const size_t all = static_cast<size_t>(items);
    const size_t global = (all + kItemsMultiple - 1) / kItemsMultiple * kItemsMultiple;
    return Next("clEnqueueNDRangeKernel",
                [&](cl_uint waits, const cl_event* after, cl_event* event) {
                  return OpenCl().clEnqueueNDRangeKernel(queue_, object, 1, nullptr, &global,
                                                         nullptr, waits, after, event);
                });
  }

  arrow::Status Read(const Buffer& from, void* to, size_t bytes) override {
    return Next("clEnqueueReadBuffer", [&](cl_uint waits, const cl_event* after, cl_event* event) {
      return OpenCl().clEnqueueReadBuffer(queue_, MemoryOf(from), CL_TRUE, 0, bytes, to, waits,
                                          after, event);
    });
  }

 private:
  // Asks for a command that waits for the last one by its event: only so is it certain to fail where
  // that one failed.
  template <class Enqueue>
  arrow::Status Next(const char* call, const Enqueue& enqueue) {
    cl_event event = nullptr;
    const cl_int code = enqueue(last_ ? 1 : 0, last_ ? &last_ : nullptr, &event);
    if (code == CL_SUCCESS) {
      if (last_) OpenCl().clReleaseEvent(last_);
      last_ = event;
    }
    return Check(code, call);
  }

  const cl_command_queue queue_;
  const cl_program program_;
  cl_event last_ = nullptr;  // of the last command
  std::map<std::string, cl_kernel, std::less<>> kernels_;
};

class ClDevice final : public Device {
 public:
  ClDevice(cl_device_id device, DeviceInfo info) : device_(device), info_(std::move(info)) {}
  ~ClDevice() override {
    if (program_) OpenCl().clReleaseProgram(program_);
    if (context_) OpenCl().clReleaseContext(context_);
  }

  arrow::Status Build() {
    cl_int code = CL_SUCCESS;
    context_ = OpenCl().clCreateContext(nullptr, 1, &device_, nullptr, nullptr, &code);
    ARROW_RETURN_NOT_OK(Check(code, "clCreateContext"));
    const char* texts[] = {kOpenClWords, kKernels};
    program_ = OpenCl().clCreateProgramWithSource(context_, 2, texts, nullptr, &code);
    ARROW_RETURN_NOT_OK(Check(code, "clCreateProgramWithSource"));
    // No option that would let the compiler take liberties with numbers.
    code = OpenCl().clBuildProgram(program_, 1, &device_, "-cl-std=CL1.2", nullptr, nullptr);
    if (code == CL_BUILD_PROGRAM_FAILURE) {
      return arrow::Status::IOError("its compiler does not take the kernels: ",
                                    FirstError(BuildLog()));
    }
    return Check(code, "clBuildProgram");
  }

  const DeviceInfo& info() const override { return info_; }

  arrow::Result<std::unique_ptr<Buffer>> NewBuffer(size_t bytes) override {
    cl_int code = CL_SUCCESS;
    const cl_mem memory =
        OpenCl().clCreateBuffer(context_, CL_MEM_READ_WRITE, bytes, nullptr, &code);
    ARROW_RETURN_NOT_OK(Check(code, "clCreateBuffer"));
    return std::make_unique<ClBuffer>(memory);
  }

  arrow::Result<std::unique_ptr<Stream>> NewStream() override {
    cl_int code = CL_SUCCESS;
    const cl_command_queue queue = OpenCl().clCreateCommandQueue(context_, device_, 0, &code);
    ARROW_RETURN_NOT_OK(Check(code, "clCreateCommandQueue"));
    return std::make_unique<ClStream>(queue, program_);
  }

 private:
  std::string BuildLog() const {
    size_t bytes = 0;
    OpenCl().clGetProgramBuildInfo(program_, device_, CL_PROGRAM_BUILD_LOG, 0, nullptr, &bytes);
    std::string log(bytes, '\0');
    OpenCl().clGetProgramBuildInfo(program_, device_, CL_PROGRAM_BUILD_LOG, bytes, log.data(),
                                   nullptr);
    return log.substr(0, log.find('\0'));
  }

  const cl_device_id device_;
  const DeviceInfo info_;
  cl_context context_ = nullptr;
  cl_program program_ = nullptr;
};

}  // namespace

Listing ListOpenClDevices() {
  Listing listing{{}, OpenCl().library.trouble()};
  if (!listing.trouble.empty()) return listing;
  for (const cl_device_id device : Devices()) {
    listing.devices.push_back(InfoOf(device, listing.devices.size()));
  }
  if (listing.devices.empty()) {
    listing.trouble = std::string(kLibrary) + " knows no device: is a driver for OpenCL installed?";
  }
  return listing;
}

arrow::Result<std::unique_ptr<Device>> OpenOpenClDevice(size_t number) {
  const std::vector<cl_device_id> devices = Devices();
  if (number >= devices.size()) return arrow::Status::IOError("the device is gone");
  auto device = std::make_unique<ClDevice>(devices[number], InfoOf(devices[number], number));
  ARROW_RETURN_NOT_OK(device->Build());
  return device;
}

}  // namespace pomona::gpu
