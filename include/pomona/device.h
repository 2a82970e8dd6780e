// Devices beside the CPU on which --engine gpu can run the network.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace pomona {

struct DeviceInfo {
  std::string id;      // "opencl:0", what --device takes
  std::string name;    // as its driver calls it
  std::string driver;  // and which one that is
  int64_t memory = 0;  // bytes
  bool is_gpu = true;  // or a CPU, by a driver that runs OpenCL there
};

struct DeviceList {
  std::vector<DeviceInfo> devices;   // GPUs first
  std::vector<std::string> missing;  // interfaces that are not here, and why
};

// Asks the drivers, which may take a second. Says nothing about whether a device computes as the
// engine needs it; the engine's self-test does.
DeviceList ListDevices();

// What a device did for an engine so far.
struct DeviceUse {
  std::string device;          // "opencl:0, NAME"; empty: there is none, and the CPU computes
  int64_t pictures = 0;        // that it computed
  int64_t batches = 0;         // in so many
  double busy_seconds = 0;     // at least one batch was on its way
  double waiting_seconds = 0;  // none was: it waited for pictures
  int64_t cpu_pictures = 0;    // that the CPU computed in its place
  std::string trouble;         // why; empty: it did not
};

}  // namespace pomona
