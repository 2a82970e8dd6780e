#include "pomona/item.h"

namespace pomona {

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
  }
  return "";
}

}  // namespace pomona
