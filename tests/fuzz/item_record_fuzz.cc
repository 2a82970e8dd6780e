// What a run tells of its rows' files, read back from any bytes: refused, or whole columns.
#include "expect.h"
#include "store/item_record.h"

using namespace pomona;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const auto record =
      ItemRecord::Parse("file", std::string_view(reinterpret_cast<const char*>(data), size));
  if (!record.ok()) return 0;
  int64_t sum = 0;
  for (const auto column : {record->sizes, record->times, record->states, record->checksums}) {
    EXPECT(column.size() == record->images.size());
    for (const int64_t value : column) sum ^= value;
  }
  (void)sum;
  for (const ImageProperties& image : record->images) {
    EXPECT(image.width >= 0 && image.height >= 0);
    EXPECT(TextOf(image.format).size() <= 8 && TextOf(image.mode).size() <= 8);
  }
  return 0;
}
