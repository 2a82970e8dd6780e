// SafetensorsFile on any bytes: views that lie in the file, or Invalid with its name; what was read
// can be written and read again.
#include "expect.h"
#include "pomona/safetensors.h"

using namespace pomona;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const auto file = SafetensorsFile::Copy("name", std::as_bytes(std::span(data, size)));
  if (!file.ok()) {
    EXPECT(file.status().IsInvalid() && file.status().message().starts_with("name: "));
    return 0;
  }
  size_t bytes = 0;
  std::vector<NamedTensor> tensors;
  for (const auto& [name, tensor] : (*file)->tensors()) {
    for (const std::byte byte : tensor.bytes) bytes += 1 + 0 * static_cast<size_t>(byte);
    tensors.push_back({name, tensor});
  }
  EXPECT(bytes <= size);
  // By name, wider types may stand after narrower ones, which the writer refuses.
  const auto written = SerializeSafetensors(tensors, (*file)->metadata());
  if (!written.ok()) return 0;
  const auto again = SafetensorsFile::Copy("again", std::as_bytes(std::span(*written)));
  EXPECT(again.ok());
  EXPECT((*again)->metadata() == (*file)->metadata());
  EXPECT((*again)->tensors().size() == tensors.size());
  return 0;
}
