// A device that runs the kernels of kernels.cl: what OpenCL and CUDA have in common.
#pragma once

#include <arrow/result.h>

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <memory>
#include <string>
#include <variant>
#include <vector>

#include "pomona/device.h"

namespace pomona::gpu {

// Memory of a device, given back at its end. It must not outlive its device.
class Buffer {
 public:
  virtual ~Buffer() = default;
};

using Argument = std::variant<const Buffer*, int32_t>;

// Work that a device does in the order in which it was asked for; several streams run beside each
// other.
//
// Threads: one caller at a time.
// Errors: OutOfMemory where the device has too little; IOError names the call that failed, after
// which the device may be gone.
class Stream {
 public:
  // Begins what was asked for so far and waits for it.
  virtual ~Stream() = default;

  // `from` is copied before it returns.
  virtual arrow::Status Write(const Buffer& to, const void* from, size_t bytes) = 0;

  // At least `items` items of the kernel.
  virtual arrow::Status Run(const char* kernel, std::initializer_list<Argument> arguments,
                            int64_t items) = 0;

  // Waits for all that was asked for, and copies.
  virtual arrow::Status Read(const Buffer& from, void* to, size_t bytes) = 0;
};

// Threads: safe to share.
class Device {
 public:
  virtual ~Device() = default;

  virtual const DeviceInfo& info() const = 0;
  virtual arrow::Result<std::unique_ptr<Buffer>> NewBuffer(size_t bytes) = 0;
  virtual arrow::Result<std::unique_ptr<Stream>> NewStream() = 0;
};

// Channels that an item of a kernel computes, and all numbers of channels are multiples of: WIDTH of
// kernels.cl.
inline constexpr int kVectorWidth = 8;

// The kernels, and the words they are written in.
extern const char kKernels[], kOpenClWords[], kCudaWords[];

// The devices of one interface: none, and why, where its library is not here.
struct Listing {
  std::vector<DeviceInfo> devices;
  std::string trouble;
};

// The line of a compiler's log that says why.
std::string FirstError(const std::string& log);

Listing ListCudaDevices();
Listing ListOpenClDevices();

// number: its place in the list. Compiles the kernels.
// Errors: IOError names the call that failed, or what the compiler says.
arrow::Result<std::unique_ptr<Device>> OpenCudaDevice(size_t number);
arrow::Result<std::unique_ptr<Device>> OpenOpenClDevice(size_t number);

// The same by its id.
arrow::Result<std::unique_ptr<Device>> OpenDevice(const std::string& id);

}  // namespace pomona::gpu
