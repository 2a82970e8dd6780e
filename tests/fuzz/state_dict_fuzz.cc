// Files that torch.save() wrote, of today or before version 1.6; the input may be the pickle alone, too,
// which archives with checksums hardly let through. Whatever is read has as many values as it says.
#include "weights/state_dict.h"

#include "expect.h"
#include "weights/pickle.h"

using namespace pomona;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string bytes(reinterpret_cast<const char*>(data), size);
  std::string_view rest = bytes;
  const auto pickle = Pickle::Read(&rest);
  EXPECT(!pickle.ok() || rest.size() < size);
  const auto state = StateDict::OfTorch(arrow::Buffer::FromString(bytes));
  if (!state.ok()) return 0;
  int left = 20;
  for (const auto& [name, tensor] : state->tensors()) {
    const auto values = state->Values(tensor);
    int64_t count = 1;
    for (const int64_t extent : tensor.shape) count = values.ok() ? count * extent : 0;
    EXPECT(!values.ok() || std::ssize(*values) == count);
    if (--left == 0) break;
  }
  return 0;
}
