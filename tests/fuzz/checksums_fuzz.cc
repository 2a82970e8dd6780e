// A list of checksums: refused, or the same when written and read again.
#include "expect.h"
#include "store/checksums.h"
#include "temp_folder.h"

using namespace pomona;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const TempFolder folder;  // run.py puts it into memory
  static const PublishedFiles files(folder.path());
  folder.Write(ChecksumsPath("id"), std::string(reinterpret_cast<const char*>(data), size));
  const auto checksums = ReadChecksums(files, "id");
  if (!checksums.ok()) return 0;
  folder.Write(ChecksumsPath("id"), ChecksumsText(*checksums));
  const auto again = ReadChecksums(files, "id");
  EXPECT(again.ok() && *again == *checksums);
  return 0;
}
