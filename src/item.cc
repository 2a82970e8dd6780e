#include "pomona/item.h"

#include <algorithm>

namespace pomona {

size_t Utf8Length(std::string_view text) {
  const auto byte = [&](size_t i) { return static_cast<uint8_t>(text[i]); };
  const uint8_t first = byte(0);
  if (first < 0x80) return 1;
  const size_t length = first < 0xC2   ? 0
                        : first < 0xE0 ? 2
                        : first < 0xF0 ? 3
                        : first < 0xF5 ? 4
                                       : 0;
  if (length == 0 || text.size() < length) return 0;
  for (size_t i = 1; i < length; ++i) {
    if (byte(i) >> 6 != 0b10) return 0;
  }
  // No longer form than needed, no surrogates, nothing above U+10FFFF.
  if (first == 0xE0 && byte(1) < 0xA0) return 0;
  if (first == 0xED && byte(1) > 0x9F) return 0;
  if (first == 0xF0 && byte(1) < 0x90) return 0;
  if (first == 0xF4 && byte(1) > 0x8F) return 0;
  return length;
}

namespace {

// What the escape that the text starts with stands for, -1 where it starts with none: \x5C for the
// backslash, \x80 to \xFF.
int EscapedByte(std::string_view text) {
  constexpr std::string_view kDigits = "0123456789ABCDEF";
  if (text.size() < 4 || text[0] != '\\' || text[1] != 'x') return -1;
  const size_t high = kDigits.find(text[2]), low = kDigits.find(text[3]);
  if (high == kDigits.npos || low == kDigits.npos) return -1;
  const int byte = static_cast<int>(high << 4 | low);
  return byte >= 0x80 || byte == '\\' ? byte : -1;
}

}  // namespace

std::string EscapeName(std::string_view name) {
  std::string text;
  while (!name.empty()) {
    size_t length = Utf8Length(name);
    if (length == 0 || EscapedByte(name) >= 0) {
      constexpr char kDigits[] = "0123456789ABCDEF";
      const auto byte = static_cast<uint8_t>(name[0]);
      text.append({'\\', 'x', kDigits[byte >> 4], kDigits[byte & 15]});
      length = 1;
    } else {
      text.append(name.substr(0, length));
    }
    name.remove_prefix(length);
  }
  return text;
}

std::string UnescapeName(std::string_view text) {
  std::string name;
  while (!text.empty()) {
    const int byte = EscapedByte(text);
    name.push_back(byte < 0 ? text[0] : static_cast<char>(byte));
    text.remove_prefix(byte < 0 ? 1 : 4);
  }
  return name;
}

char32_t TakeCharacter(std::string_view* text) {
  constexpr char32_t kBytes = 0x110000;
  const auto byte = [&](size_t i) { return static_cast<uint8_t>((*text)[i]); };
  size_t length = Utf8Length(*text);
  char32_t character = length == 0 ? kBytes + byte(0) : byte(0);
  if (const int escaped = EscapedByte(*text); escaped >= 0) {
    character = escaped == '\\' ? '\\' : kBytes + static_cast<char32_t>(escaped);
    length = 4;
  } else if (length > 1) {
    character &= 0xFFu >> (length + 1);
    for (size_t i = 1; i < length; ++i) character = character << 6 | (byte(i) & 0x3F);
  }
  text->remove_prefix(std::max<size_t>(length, 1));
  return character;
}

std::string_view Item::label() const {
  std::string_view folder = path;
  // A bucket, as any authority of a URI, is no folder.
  const size_t slash = folder.find('/');
  if (slash != 0 && slash != folder.npos && folder.substr(slash - 1).starts_with("://")) {
    const size_t authority_end = folder.find('/', slash + 2);
    if (authority_end == folder.npos) return {};
    folder.remove_prefix(authority_end);
  }
  folder = folder.substr(0, std::min(folder.rfind('/'), folder.size()));
  if (folder.size() == path.size()) return {};  // a name alone
  return folder.substr(folder.rfind('/') + 1);
}

std::string_view VerdictName(Verdict verdict) {
  switch (verdict) {
    case Verdict::kOpen: return "";
    case Verdict::kRow: return "ok";
    case Verdict::kReject: return "reject";
    case Verdict::kSkip: return "skip";
  }
  return "";
}

std::string_view StageName(Stage stage) {
  switch (stage) {
    case Stage::kRead: return "read";
    case Stage::kDecode: return "decode";
    case Stage::kInfer: return "infer";
  }
  return "";
}

std::string_view ReasonName(Reason reason) {
  switch (reason) {
    case Reason::kUnreadable: return "unreadable";
    case Reason::kEmpty: return "empty";
    case Reason::kTruncated: return "truncated";
    case Reason::kCorrupt: return "corrupt";
    case Reason::kUnsupportedFormat: return "unsupported_format";
    case Reason::kTooLarge: return "too_large";
    case Reason::kMissing: return "missing";
    case Reason::kForbidden: return "forbidden";
  }
  return "";
}

namespace {

// Names are empty behind the last.
template <typename Enum>
std::optional<Enum> Named(std::string_view name, std::string_view (*name_of)(Enum)) {
  for (int i = 0; !name_of(static_cast<Enum>(i)).empty(); ++i) {
    if (name_of(static_cast<Enum>(i)) == name) return static_cast<Enum>(i);
  }
  return std::nullopt;
}

}  // namespace

std::optional<Stage> StageNamed(std::string_view name) { return Named(name, &StageName); }
std::optional<Reason> ReasonNamed(std::string_view name) { return Named(name, &ReasonName); }

}  // namespace pomona
