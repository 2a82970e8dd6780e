#include "pomona/item.h"

namespace pomona {

std::string_view Item::label() const {
  const std::string_view relative = relative_path();
  const size_t end = relative.rfind('/');
  if (end == std::string_view::npos) return {};
  const size_t begin = relative.rfind('/', end - 1);
  return begin == std::string_view::npos || end == 0 ? relative.substr(0, end)
                                                     : relative.substr(begin + 1, end - begin - 1);
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

}  // namespace pomona
