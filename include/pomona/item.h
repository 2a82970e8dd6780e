// The words of the data flow: what is listed, and what becomes of it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace pomona {

// One listed file. Its bytes are read later, by Source::Read().
struct Item {
  std::string path;        // as it stands in the outputs: absolute, escaped; or s3://bucket/key
  uint32_t root_size = 0;  // path.substr(root_size) is the path below the root of the tree
  int64_t size = 0;        // bytes, when listed
  // Time of the last change, nanoseconds since 1970, when listed; 0 where `state` tells more.
  int64_t modified_ns = 0;
  // Differs, as far as the storage tells, between two states of a file, or two files, of the same
  // size and time: a digest of a local file's ctime and inode, or of an object's ETag.
  int64_t state = 0;

  std::string_view relative_path() const { return std::string_view(path).substr(root_size); }

  // The name of the parent folder; empty where there is none, as right in a bucket.
  std::string_view label() const;
};

// The name of a file as it stands in the outputs, which are UTF-8. UTF-8 stays as it is; each byte
// that is no part of it becomes \xHH (upper case), and so does, as \x5C, a backslash before what
// would read as such an escape. UnescapeName(EscapeName(name)) == name for all bytes.
std::string EscapeName(std::string_view name);
std::string UnescapeName(std::string_view text);

// Bytes of the character of UTF-8 that the text starts with; 0 where it starts with none.
// REQUIRES: the text is not empty.
size_t Utf8Length(std::string_view text);

// Takes the first character off such a text: a code point, or 0x110000 and more for a byte that is
// part of none, escaped or not. REQUIRES: it is not empty.
char32_t TakeCharacter(std::string_view* text);

// Where an image was lost.
enum class Stage { kRead, kDecode, kInfer };

// Why an image gives no features. The names (see ReasonName) are stable and documented in
// docs/formats.md; messages are for people and may change.
enum class Reason {
  kUnreadable,         // the file cannot be opened or read
  kEmpty,              // no bytes at all
  kTruncated,          // the file ends before the picture does
  kCorrupt,            // the bytes break the rules of their format
  kUnsupportedFormat,  // an image, but in no format (or variant) that is read here
  kTooLarge,           // more bytes or pixels than the limits allow
  kMissing,            // listed, but no longer there when it was to be read
  kForbidden,          // no permission to read this one
};
inline constexpr size_t kReasons = static_cast<size_t>(Reason::kForbidden) + 1;

// An image that gives no features. Data, not an error: the run goes on.
struct Reject {
  Stage stage;
  Reason reason;
  std::string message;
};

// What became of an item. One that stays open was forgotten: whatever meets it fails.
enum class Verdict : uint8_t { kOpen, kRow, kReject, kSkip };

// The same with the reason of a reject. What is skipped is no image, by its name and its bytes.
struct Outcome {
  Verdict verdict = Verdict::kOpen;
  std::optional<Reject> reject;  // where it is one
};

// The name under which skipped files are counted.
inline constexpr const char* kNotAnImage = "not_an_image";

std::string_view VerdictName(Verdict verdict);  // "ok", "reject", "skip"; "" while it is open
std::string_view StageName(Stage stage);        // "read", "decode", "infer"
std::string_view ReasonName(Reason reason);     // "unreadable", "empty", "truncated", ...

// The stage or reason of a name; nothing where there is none of that name.
std::optional<Stage> StageNamed(std::string_view name);
std::optional<Reason> ReasonNamed(std::string_view name);

}  // namespace pomona
