// Decoder on any file: a picture of the size it says, or a reject; nothing left of files before.
#include <algorithm>
#include <vector>

#include "expect.h"
#include "infer/resize.h"
#include "pomona/decode.h"
#include "pomona/engine.h"

using namespace pomona;

namespace {

// Small, so that whatever passes them shows in time and memory.
constexpr DecodeLimits kLimits = {.max_pixels = 1 << 20,
                                  .max_scan_pixels = 10 << 20,
                                  .max_arithmetic_samples = 4 << 20,
                                  .max_text_bytes = 1 << 16,
                                  .max_texts_bytes = 1 << 20,
                                  .max_frames = 100,
                                  .max_codec_bytes = 16 << 20};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static Decoder used_decoder(kLimits);
  static Resizer resizer(kKerasPreprocessing);
  static std::vector<uint8_t> input(kPictureBytes);
  static std::vector<uint8_t> input_of_whole(kPictureBytes);
  const auto decoded = used_decoder.Decode({data, size});
  Decoder new_decoder(kLimits);
  const auto again = new_decoder.Decode({data, size}, &resizer);
  EXPECT(decoded.index() == again.index());
  if (const auto* reject = std::get_if<Reject>(&decoded)) {
    const auto& other = std::get<Reject>(again);
    EXPECT(reject->stage == Stage::kDecode && reject->reason == other.reason);
    EXPECT(!reject->message.empty() && reject->message == other.message);
    return 0;
  }
  const auto& picture = std::get<Picture>(decoded);
  const auto& other = std::get<PictureInfo>(again);
  EXPECT(picture.width > 0 && picture.height > 0);
  EXPECT(int64_t{picture.width} * picture.height <= kLimits.max_pixels);
  EXPECT(picture.rgb.size() == size_t{3} * picture.width * picture.height);
  EXPECT(picture.width == other.width && picture.height == other.height);
  EXPECT(picture.format == other.format && picture.mode == other.mode);
  std::ranges::copy(resizer.picture(), input.begin());
  resizer.Resize(picture.width, picture.height, picture.rgb, input_of_whole);
  EXPECT(input == input_of_whole);
  return 0;
}
