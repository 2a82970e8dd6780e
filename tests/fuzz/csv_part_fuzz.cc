// A part of CSV with vectors of three numbers, and one without, read back from any bytes.
#include "expect.h"
#include "store/part_reader.h"
#include "temp_folder.h"

using namespace pomona;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const TempFolder folder;  // run.py puts it into memory
  static const PublishedFiles files(folder.path());
  folder.Write("file", std::string(reinterpret_cast<const char*>(data), size));
  (void)CountCsvRows(files, "file");
  for (const int dimensions : {0, 3}) {
    const auto part = OpenCsvPart(files, "file", dimensions);
    if (!part.ok()) continue;
    RowBlock block;
    while ((*part)->Read(&block).ok() && block.rows() > 0) {
      EXPECT(block.labels.size() == block.rows());
      EXPECT(block.floats.size() == dimensions * block.rows());
    }
  }
  return 0;
}
