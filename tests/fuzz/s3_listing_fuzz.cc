// A server's XML: refused, or read, in time and place that the bytes bound.
#include <string_view>

#include "expect.h"
#include "s3/answers.h"

using namespace pomona;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view xml(reinterpret_cast<const char*>(data), size);
  size_t bytes = 0;
  if (const auto page = ParseListing(xml); page.ok()) {
    for (const ListedObject& object : page->objects) {
      EXPECT(object.size >= 0);
      bytes += object.key.size() + object.etag.size();
    }
    for (const std::string& folder : page->folders) bytes += folder.size();
  }
  EXPECT(bytes <= size);
  if (const auto page = ParseUploads(xml); page.ok()) {
    for (const ListedUpload& upload : page->uploads) EXPECT(upload.key.size() <= size);
  }
  EXPECT(XmlText(xml, "Code").size() <= size);
  (void)ParseIsoTime(xml);
  return 0;
}
