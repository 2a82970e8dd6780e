// Weights::FromFile on any header: the input is the header, the data are zeros. Whatever is taken
// folds.
#include <cstring>

#include "expect.h"
#include "pomona/weights.h"
#include "weights/keras_tensors.h"

using namespace pomona;

namespace {

// Of alpha 0.35, which has the fewest.
size_t DataBytes() {
  size_t values = 0;
  for (const KerasTensor& tensor : KerasTensors(0.35)) {
    size_t count = 1;
    for (const int64_t extent : tensor.shape) count *= extent;
    values += count;
  }
  return values * sizeof(float);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const size_t data_bytes = DataBytes();
  std::vector<std::byte> bytes(8 + size + data_bytes);
  const uint64_t header_bytes = size;
  std::memcpy(bytes.data(), &header_bytes, 8);
  if (size > 0) std::memcpy(bytes.data() + 8, data, size);
  const auto file = SafetensorsFile::Copy("name", bytes);
  if (!file.ok()) return 0;
  const auto weights = Weights::FromFile(*file);
  if (!weights.ok()) {
    EXPECT(weights.status().message().starts_with("name: "));
    return 0;
  }
  EXPECT((*weights)->Fold().size() == MobileNetV2Layers((*weights)->alpha()).size());
  return 0;
}
