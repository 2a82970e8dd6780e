// The codecs behind Decoder, one file each.
#pragma once

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
      bytes_ = std::make_unique_for_overwrite<uint8_t[]>(size);
      size_ = size;
    }
    return bytes_.get();
  }

 private:
  std::unique_ptr<uint8_t[]> bytes_;
  size_t size_ = 0;
};

inline Reject Refuse(Reason reason, std::string message) {
  return {Stage::kDecode, reason, std::move(message)};
}

// Nothing where width x height is within the limits.
std::optional<Reject> CheckSize(int64_t width, int64_t height, const DecodeLimits& limits);

// Both leave the pixels in `rgb`, which the picture refers to.
std::variant<Picture, Reject> DecodeJpeg(std::span<const uint8_t> file, const DecodeLimits& limits,
                                         Buffer* rgb, Buffer* line);
std::variant<Picture, Reject> DecodePng(std::span<const uint8_t> file, const DecodeLimits& limits,
                                        Buffer* rgb);

}  // namespace pomona
