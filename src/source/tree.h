// What local trees and those on S3 have in common.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "pomona/decode.h"
#include "pomona/item.h"
#include "pomona/source.h"

namespace pomona {

// The subfolder that the original pipeline looks under where it exists.
inline constexpr const char* kTrainingFolder = "Training";

// The limit is one for images: what is none, by its name and its first bytes, may have any size,
// since no more of it is read.
inline std::optional<Reject> CheckFileSize(int64_t size, std::string_view path,
                                           std::span<const uint8_t> first_bytes) {
  if (size <= kMaxFileBytes) return std::nullopt;
  if (!IsImage(path, first_bytes)) return std::nullopt;
  return Reject{Stage::kRead, Reason::kTooLarge,
                std::to_string(size) + " bytes; the limit is " + std::to_string(kMaxFileBytes)};
}

// Whether the first bytes are those of an image that is read here; if not, they say all.
inline bool WantsRest(std::span<const uint8_t> first_bytes) {
  const auto format = SniffFormat(first_bytes);
  return format && *format != ImageFormat::kOther;
}

}  // namespace pomona
