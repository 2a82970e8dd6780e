// Bytes as text: RFC 4648.
#pragma once

#include <cstdint>
#include <span>
#include <string>

namespace pomona {

// Appends the bytes in base64, padded. Of consecutive calls all but the last have to bring a
// multiple of three bytes to make one text.
inline void AppendBase64(std::span<const uint8_t> bytes, std::string* text) {
  static constexpr char kDigits[] =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  text->reserve(text->size() + (bytes.size() + 2) / 3 * 4);
  for (size_t i = 0; i < bytes.size(); i += 3) {
    const size_t left = bytes.size() - i;
    const uint32_t three = static_cast<uint32_t>(bytes[i] << 16) |
                           static_cast<uint32_t>(left > 1 ? bytes[i + 1] << 8 : 0) |
                           static_cast<uint32_t>(left > 2 ? bytes[i + 2] : 0);
    text->push_back(kDigits[three >> 18]);
    text->push_back(kDigits[three >> 12 & 63]);
    text->push_back(left > 1 ? kDigits[three >> 6 & 63] : '=');
    text->push_back(left > 2 ? kDigits[three & 63] : '=');
  }
}

inline std::string Base64(std::span<const uint8_t> bytes) {
  std::string text;
  AppendBase64(bytes, &text);
  return text;
}

}  // namespace pomona
