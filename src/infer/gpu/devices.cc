// All devices, whichever interface they come by.
#include <algorithm>
#include <charconv>
#include <iterator>
#include <string_view>
#include <utility>

#include "infer/gpu/device.h"
#include "pomona/device.h"

namespace pomona {
namespace {

struct Interface {
  std::string_view prefix;  // of its devices' ids
  gpu::Listing (*list)();
  arrow::Result<std::unique_ptr<gpu::Device>> (*open)(size_t number);
};

// A GPU may have both; the driver's own comes first.
constexpr Interface kInterfaces[] = {
    {"cuda:", &gpu::ListCudaDevices, &gpu::OpenCudaDevice},
    {"opencl:", &gpu::ListOpenClDevices, &gpu::OpenOpenClDevice},
};

}  // namespace

DeviceList ListDevices() {
  DeviceList all;
  for (const Interface& each : kInterfaces) {
    gpu::Listing listing = each.list();
    std::ranges::move(listing.devices, std::back_inserter(all.devices));
    if (!listing.trouble.empty()) all.missing.push_back(std::move(listing.trouble));
  }
  std::ranges::stable_partition(all.devices, &DeviceInfo::is_gpu);
  return all;
}

std::string gpu::FirstError(const std::string& log) {
  const size_t at = log.find("error");
  if (at == std::string::npos) return log.substr(0, log.find('\n'));
  const size_t begin = log.rfind('\n', at) + 1;  // npos + 1 is 0
  return log.substr(begin, log.find('\n', at) - begin);
}

arrow::Result<std::unique_ptr<gpu::Device>> gpu::OpenDevice(const std::string& id) {
  for (const Interface& each : kInterfaces) {
    if (!id.starts_with(each.prefix)) continue;
    size_t number = 0;
    std::from_chars(id.data() + each.prefix.size(), id.data() + id.size(), number);
    return each.open(number);
  }
  return arrow::Status::Invalid(id, ": no device has such an id");
}

}  // namespace pomona
