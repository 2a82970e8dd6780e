#include <algorithm>

#include "codecs.h"
#include "pomona/decode.h"

namespace pomona {

std::optional<Reject> CheckSize(int64_t width, int64_t height, const DecodeLimits& limits) {
  if (width <= 0 || height <= 0) return Refuse(Reason::kCorrupt, "zero-sized image");
  const bool too_many = width > limits.max_pixels / height;  // a product might overflow
  if (!too_many && std::max(width, height) <= limits.max_side) return std::nullopt;
  return Refuse(Reason::kTooLarge,
                std::to_string(width) + " x " + std::to_string(height) +
                    " pixels, more than the limit of " +
                    (too_many ? std::to_string(limits.max_pixels)
                              : std::to_string(limits.max_side) + " in a row or column"));
}

class Decoder::Impl {
 public:
  explicit Impl(const DecodeLimits& limits) : limits_(limits) {}

  DecodeResult Decode(std::span<const uint8_t> file, std::string_view path) {
    if (file.empty()) return Refuse(Reason::kEmpty, "the file has no bytes");
    switch (SniffFormat(file).value_or(ImageFormat::kOther)) {
      case ImageFormat::kJpeg:
      case ImageFormat::kMpo: return DecodeJpeg(file, limits_, &rgb_, &scratch_);
      case ImageFormat::kPng: return DecodePng(file, limits_, &rgb_, &scratch_);
      case ImageFormat::kWebp: return DecodeWebp(file, limits_, &rgb_, &scratch_);
      case ImageFormat::kGif: return DecodeGif(file, limits_, &rgb_, &scratch_);
      case ImageFormat::kDib: return DecodeDib(file, limits_, &rgb_, &scratch_);
      case ImageFormat::kIco: return DecodeIco(file, limits_, &rgb_, &scratch_);
      case ImageFormat::kTga: return DecodeTga(file, limits_, &rgb_, &scratch_);
      case ImageFormat::kBmp: return DecodeBmp(file, limits_, &rgb_, &scratch_);
      case ImageFormat::kTiff: return DecodeTiff(file, limits_, &rgb_, &scratch_);
      case ImageFormat::kPnm: return DecodePnm(file, limits_, &rgb_, &scratch_);
      case ImageFormat::kOther: break;
    }
    if (IsAppleDouble(file)) {
      return Refuse(Reason::kCorrupt, "an AppleDouble file, which holds metadata of another file");
    }
    if (const std::string_view name = UnreadFormatName(file, path); !name.empty()) {
      return Refuse(Reason::kUnsupportedFormat, std::string(name) + " images are not read");
    }
    return Refuse(Reason::kCorrupt, "unrecognized image signature");
  }

 private:
  const DecodeLimits limits_;
  Buffer rgb_;
  Buffer scratch_;
};

Decoder::Decoder(const DecodeLimits& limits) : impl_(std::make_unique<Impl>(limits)) {}
Decoder::~Decoder() = default;

DecodeResult Decoder::Decode(std::span<const uint8_t> file, std::string_view path) {
  return impl_->Decode(file, path);
}

}  // namespace pomona
