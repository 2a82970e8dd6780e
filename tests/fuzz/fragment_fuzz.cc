// A stored fragment of four items, read back from any bytes: refused, or of items that exist.
#include "expect.h"
#include "store/fragment.h"
#include "temp_folder.h"

using namespace pomona;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const TempFolder folder;  // run.py puts it into memory
  static const std::string path = folder / "file";
  folder.Write("file", std::string(reinterpret_cast<const char*>(data), size));
  const FragmentRange range{10, 14, "key"};
  const auto fragment = StoredFragment::Open(path, range);
  if (!fragment.ok()) return 0;
  const FragmentReport& report = fragment->report();
  EXPECT(report.rows.size() + report.rejects.size() + report.skip_count() == range.size());
  for (const int32_t row : report.rows) EXPECT(row >= 0 && row < 4);
  for (const FragmentReject& rejected : report.rejects) {
    EXPECT(rejected.item >= 0 && rejected.item < 4);
    EXPECT(!StageName(rejected.reject.stage).empty());
    EXPECT(!ReasonName(rejected.reject.reason).empty());
  }
  EXPECT(report.images.size() == report.rows.size());
  for (const ImageProperties& image : report.images) EXPECT(image.width >= 0 && image.height >= 0);
  float sum = 0;
  for (const float value : fragment->features()) sum += value;
  (void)sum;
  (void)fragment->ReadMoments();
  (void)fragment->Verify();
  return 0;
}
