// A PNG as it is, and with its chunks' checksums made right: DecodePng() says what libpng says.
#include <zlib.h>

#include <algorithm>
#include <vector>

#include "decode/codecs.h"
#include "decode/png.h"
#include "expect.h"

using namespace pomona;

namespace {

// Small, so that whatever passes them shows in time and memory.
constexpr DecodeLimits kLimits = {
    .max_pixels = 1 << 20, .max_text_bytes = 1 << 16, .max_texts_bytes = 1 << 20};

void Compare(std::span<const uint8_t> file) {
  Workspace memory(nullptr), other_memory(nullptr);
  static Buffer pixels, other_pixels;
  WholePicture picture(&pixels), other_picture(&other_pixels);
  const DecodeResult result = DecodePng(file, kLimits, &memory, &picture);
  const DecodeResult other = DecodePngByLibpng(file, kLimits, &other_memory, &other_picture);
  EXPECT(result.index() == other.index());
  if (const auto* reject = std::get_if<Reject>(&result)) {
    const auto& expected = std::get<Reject>(other);
    EXPECT(reject->reason == expected.reason && reject->message == expected.message);
    return;
  }
  const auto& info = std::get<PictureInfo>(result);
  const auto& expected = std::get<PictureInfo>(other);
  EXPECT(info.width == expected.width && info.height == expected.height);
  EXPECT(info.mode == expected.mode);
  const auto rgb = picture.rgb();
  const auto expected_rgb = other_picture.rgb();
  EXPECT(std::equal(rgb.begin(), rgb.end(), expected_rgb.begin(), expected_rgb.end()));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  constexpr size_t kSignature = 8;
  if (size < kSignature) return 0;
  std::vector<uint8_t> file(data, data + size);
  Compare(file);
  for (size_t at = kSignature; file.size() - at >= 12;) {
    const size_t length =
        static_cast<size_t>(file[at]) << 24 | file[at + 1] << 16 | file[at + 2] << 8 | file[at + 3];
    if (length > file.size() - at - 12) break;
    const uLong checksum = crc32(0, &file[at + 4], static_cast<uInt>(length + 4));
    at += 8 + length;
    for (int shift = 24; shift >= 0; shift -= 8)
      file[at++] = static_cast<uint8_t>(checksum >> shift);
  }
  Compare(file);
  return 0;
}
