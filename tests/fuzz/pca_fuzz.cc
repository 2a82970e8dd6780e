// Moments and Pca from any bytes: Invalid, or something to compute with.
#include "expect.h"
#include "pomona/pca.h"

using namespace pomona;

namespace {

std::span<const std::byte> Bytes(const std::string& text) {
  return std::as_bytes(std::span<const char>(text));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const auto bytes = std::as_bytes(std::span(data, size));
  if (auto moments = Moments::Deserialize(bytes); moments.ok()) {
    const size_t dimensions = moments->dimensions();
    EXPECT(moments->mean().size() == dimensions);
    EXPECT(moments->comoment().size() == dimensions * (dimensions + 1) / 2);
    EXPECT(Moments::Deserialize(Bytes(moments->Serialize())).ok());
    if (dimensions > 0 && dimensions <= 16) {
      moments->Add(std::vector<float>(dimensions, 1.0f));
      moments->Merge(*moments);
      (void)Pca::Fit(*moments, {.components = 1, .standardize = true});
    }
  }
  if (const auto pca = Pca::Deserialize(bytes); pca.ok()) {
    EXPECT(pca->components() >= 1 && pca->components() <= pca->dimensions());
    const std::vector<float> row(pca->dimensions(), 1.0f);
    std::vector<double> projected(pca->components());
    pca->Project(row, projected);
    EXPECT(Pca::Deserialize(Bytes(pca->Serialize())).ok());
  }
  return 0;
}
