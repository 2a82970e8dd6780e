#include "codecs.h"
#include "pomona/decode.h"

namespace pomona {

std::optional<Reject> CheckSize(int64_t width, int64_t height, const DecodeLimits& limits) {
  // Sides have at most 32 bits, so their product cannot overflow 64 by much: divide instead.
  if (height == 0 || width <= limits.max_pixels / height) return std::nullopt;
  return Refuse(Reason::kTooLarge, std::to_string(width) + " x " + std::to_string(height) +
                                       " pixels, more than the limit of " +
                                       std::to_string(limits.max_pixels));
}

class Decoder::Impl {
 public:
  explicit Impl(const DecodeLimits& limits) : limits_(limits) {}

  std::variant<Picture, Reject> Decode(std::span<const uint8_t> file) {
    if (file.empty()) return Refuse(Reason::kEmpty, "the file has no bytes");
    const std::optional<ImageFormat> format = SniffFormat(file);
    if (!format) {
      return Refuse(Reason::kCorrupt, "the first bytes are those of no known image format");
    }
    switch (*format) {
      case ImageFormat::kJpeg: return DecodeJpeg(file, limits_, &rgb_, &line_);
      case ImageFormat::kPng: return DecodePng(file, limits_, &rgb_);
      case ImageFormat::kOther: return Refuse(Reason::kUnsupportedFormat, "neither JPEG nor PNG");
      default:
        return Refuse(Reason::kUnsupportedFormat,
                      std::string(FormatName(*format)) + ", neither JPEG nor PNG");
    }
  }

 private:
  const DecodeLimits limits_;
  Buffer rgb_;
  Buffer line_;
};

Decoder::Decoder(const DecodeLimits& limits) : impl_(std::make_unique<Impl>(limits)) {}
Decoder::~Decoder() = default;

std::variant<Picture, Reject> Decoder::Decode(std::span<const uint8_t> file) {
  return impl_->Decode(file);
}

}  // namespace pomona
