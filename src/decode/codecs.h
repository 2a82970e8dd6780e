// The codecs behind Decoder, one file each.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <variant>

#include "pomona/decode.h"

namespace pomona {

// Memory that is kept from picture to picture. Growing it loses what it held.
class Buffer {
 public:
  uint8_t* Reserve(size_t size) {
    if (size > size_) {
      bytes_.reset();  // the old block goes before the new one comes
      size_ = 0;       // in case it does not come
      bytes_ = std::make_unique_for_overwrite<uint8_t[]>(size);
      size_ = size;
    }
    return bytes_.get();
  }

 private:
  std::unique_ptr<uint8_t[]> bytes_;
  size_t size_ = 0;
};

using DecodeResult = std::variant<Picture, Reject>;

inline Reject Refuse(Reason reason, std::string message) {
  return {Stage::kDecode, reason, std::move(message)};
}

// Nothing where the sides are above 0, and they and width x height are within the limits.
std::optional<Reject> CheckSize(int64_t width, int64_t height, const DecodeLimits& limits);

// Scans x pixels that a JPEG may ask for.
inline int64_t MaxScanPixels(const DecodeLimits& limits, bool arithmetic, int64_t components) {
  if (!arithmetic) return limits.max_scan_pixels;
  return std::min(limits.max_scan_pixels, limits.max_arithmetic_samples / components);
}

// Each decodes a whole file of its format and leaves the pixels, which the picture refers to, in
// one of the buffers.
DecodeResult DecodeBmp(std::span<const uint8_t> file, const DecodeLimits& limits, Buffer* rgb,
                       Buffer* scratch);
DecodeResult DecodeDib(std::span<const uint8_t> file, const DecodeLimits& limits, Buffer* rgb,
                       Buffer* scratch);
DecodeResult DecodeGif(std::span<const uint8_t> file, const DecodeLimits& limits, Buffer* rgb,
                       Buffer* scratch);
DecodeResult DecodeIco(std::span<const uint8_t> file, const DecodeLimits& limits, Buffer* rgb,
                       Buffer* scratch);
DecodeResult DecodeJpeg(std::span<const uint8_t> file, const DecodeLimits& limits, Buffer* rgb,
                        Buffer* scratch);
DecodeResult DecodePng(std::span<const uint8_t> file, const DecodeLimits& limits, Buffer* rgb,
                       Buffer* scratch);
DecodeResult DecodePnm(std::span<const uint8_t> file, const DecodeLimits& limits, Buffer* rgb,
                       Buffer* scratch);
DecodeResult DecodeTga(std::span<const uint8_t> file, const DecodeLimits& limits, Buffer* rgb,
                       Buffer* scratch);
DecodeResult DecodeTiff(std::span<const uint8_t> file, const DecodeLimits& limits, Buffer* rgb,
                        Buffer* scratch);
DecodeResult DecodeWebp(std::span<const uint8_t> file, const DecodeLimits& limits, Buffer* rgb,
                        Buffer* scratch);

// The bitmap of an icon, whose header is at `header_at`.
DecodeResult DecodeIconBitmap(std::span<const uint8_t> file, size_t header_at,
                              const DecodeLimits& limits, Buffer* rgb, Buffer* scratch);

// Whether a file's header is that of a TGA, which has no signature.
bool IsTga(std::span<const uint8_t> file);

}  // namespace pomona
