// The import of a file that Keras saved, HDF5 or a zip archive with one in it. HDF5 itself crashes
// on some files: run.py tells its crashes from ours, and tries that the import of such a file ends
// in an error.
#include "expect.h"
#include "temp_folder.h"
#include "weights/keras_tensors.h"

using namespace pomona;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const TempFolder folder;  // run.py puts it into memory
  static const std::string path = folder / "file";
  folder.Write("file", std::string(reinterpret_cast<const char*>(data), size));
  const auto weights = ReadKerasFile(path);
  if (!weights.ok()) {
    EXPECT(weights.status().message().starts_with(path + ": "));
    return 0;
  }
  const std::vector<KerasTensor> tensors = KerasTensors(weights->alpha);
  EXPECT(weights->values.size() == tensors.size());
  for (size_t i = 0; i < tensors.size(); ++i) {
    size_t count = 1;
    for (const int64_t extent : tensors[i].shape) count *= extent;
    EXPECT(weights->values[i].size() == count);
  }
  return 0;
}
