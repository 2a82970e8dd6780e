#include "s3/answers.h"

#include <algorithm>
#include <charconv>
#include <chrono>
#include <optional>

namespace pomona {
namespace {

constexpr size_t kMostPath = 1024;

arrow::Status NoXml() {
  return arrow::Status::Invalid("the server's answer is not well-formed XML");
}

// Takes what stands before `end`, and `end`, off the text.
std::optional<std::string_view> TakeUpTo(std::string_view end, std::string_view* text) {
  const size_t at = text->find(end);
  if (at == text->npos) return std::nullopt;
  const std::string_view taken = text->substr(0, at);
  text->remove_prefix(at + end.size());
  return taken;
}

// find_first_of() and its like would search this set anew for each character.
bool IsSpace(char c) { return c == ' ' || c == '\t' || c == '\r' || c == '\n'; }

void AppendUtf8(uint32_t code, std::string* text) {
  if (code < 0x80) {
    *text += static_cast<char>(code);
    return;
  }
  const int more = code < 0x800 ? 1 : code < 0x10000 ? 2 : 3;
  static constexpr uint32_t kStart[] = {0, 0xC0, 0xE0, 0xF0};
  *text += static_cast<char>(kStart[more] | code >> (6 * more));
  for (int i = more - 1; i >= 0; --i) *text += static_cast<char>(0x80 | (code >> (6 * i) & 0x3F));
}

std::optional<uint32_t> Entity(std::string_view name) {
  static constexpr std::pair<std::string_view, char> kNamed[] = {
      {"amp", '&'}, {"lt", '<'}, {"gt", '>'}, {"quot", '"'}, {"apos", '\''}};
  for (const auto& [known, c] : kNamed) {
    if (name == known) return c;
  }
  if (!name.starts_with('#')) return std::nullopt;
  const int base = name.substr(1).starts_with('x') ? 16 : 10;
  name.remove_prefix(base == 16 ? 2 : 1);
  uint32_t code = 0;
  const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), code, base);
  if (name.empty() || error != std::errc() || end != name.data() + name.size()) return std::nullopt;
  if (code > 0x10FFFF || (code >= 0xD800 && code < 0xE000)) return std::nullopt;
  return code;
}

int HexDigit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

// As forms encode what they send: %HH, and + for a space.
arrow::Status UrlDecode(std::string* text) {
  const auto is_encoded = [](char c) { return c == '%' || c == '+'; };
  if (std::ranges::none_of(*text, is_encoded)) return arrow::Status::OK();
  std::string decoded;
  for (size_t i = 0; i < text->size(); ++i) {
    const char c = (*text)[i];
    if (c != '%') {
      decoded += c == '+' ? ' ' : c;
      continue;
    }
    const int high = i + 2 < text->size() ? HexDigit((*text)[i + 1]) : -1;
    const int low = high >= 0 ? HexDigit((*text)[i + 2]) : -1;
    if (low < 0) return arrow::Status::Invalid("the server's listing holds a badly encoded key");
    decoded += static_cast<char>(high << 4 | low);
    i += 2;
  }
  *text = std::move(decoded);
  return arrow::Status::OK();
}

template <typename Number>
arrow::Status ParseNumber(std::string_view text, Number* number) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), *number);
  if (error == std::errc() && end == text.data() + text.size() && !text.empty()) return {};
  return arrow::Status::Invalid("the server's answer holds no number where one should be: ", text);
}

}  // namespace

arrow::Result<bool> XmlReader::Next() {
  if (ended_) {
    ended_ = false;
    path_.resize(path_.rfind('/'));
    text_ = {};
  }
  bool opened = false;  // by the last tag, so that the text behind it is the element's
  for (;;) {
    const auto before = TakeUpTo("<", &rest_);
    if (!before) {
      // Nothing may be left open.
      if (path_.empty()) return false;
      return NoXml();
    }
    if (rest_.starts_with('?')) {
      if (!TakeUpTo("?>", &rest_)) return NoXml();
      continue;
    }
    if (rest_.starts_with("!--")) {
      if (!TakeUpTo("-->", &rest_)) return NoXml();
      continue;
    }
    auto tag = TakeUpTo(">", &rest_);
    if (!tag || tag->empty() || tag->front() == '!') return NoXml();
    if (tag->front() == '/') {
      tag->remove_prefix(1);
      const std::string_view open =
          std::string_view(path_).substr(std::min(path_.rfind('/'), path_.size()));
      while (!tag->empty() && IsSpace(tag->back())) tag->remove_suffix(1);
      if (open.empty() || *tag != open.substr(1)) return NoXml();
      text_ = opened ? *before : std::string_view();
      ended_ = true;
      return true;
    }
    const bool closed = tag->back() == '/';
    if (closed) tag->remove_suffix(1);
    const std::string_view name(tag->begin(), std::ranges::find_if(*tag, IsSpace));
    if (name.empty() || name.find('/') != name.npos || path_.size() + name.size() > kMostPath)
      return NoXml();
    path_ += '/';
    path_ += name;
    opened = true;
    if (closed) {
      text_ = {};
      ended_ = true;
      return true;
    }
  }
}

arrow::Result<std::string> XmlReader::text() const {
  std::string text;
  for (std::string_view rest = text_;;) {
    const size_t amp = rest.find('&');
    text += rest.substr(0, amp);
    if (amp == rest.npos) return text;
    rest.remove_prefix(amp + 1);
    const auto name = TakeUpTo(";", &rest);
    const auto code = name ? Entity(*name) : std::nullopt;
    if (!code) return NoXml();
    AppendUtf8(*code, &text);
  }
}

arrow::Result<int64_t> ParseIsoTime(std::string_view text) {
  // Year, month, day, hour, minute, second: digits with one character between them.
  static constexpr size_t kBegins[] = {0, 5, 8, 11, 14, 17};
  const auto wrong = [&] { return arrow::Status::Invalid("no time: ", text); };
  if (text.size() < 20 || text.back() != 'Z') return wrong();
  int numbers[6];
  for (size_t i = 0; i < 6; ++i) {
    ARROW_RETURN_NOT_OK(ParseNumber(text.substr(kBegins[i], i == 0 ? 4 : 2), &numbers[i]));
    if (numbers[i] < 0) return wrong();
  }
  int64_t nanoseconds = 0, unit = 1'000'000'000;
  if (text[19] == '.') {
    for (const char c : text.substr(20, text.size() - 21)) {
      if (c < '0' || c > '9') return wrong();
      unit /= 10;
      nanoseconds += unit * (c - '0');
    }
  }
  const std::chrono::year_month_day day{std::chrono::year(numbers[0]),
                                        std::chrono::month(static_cast<unsigned>(numbers[1])),
                                        std::chrono::day(static_cast<unsigned>(numbers[2]))};
  if (!day.ok() || numbers[0] < 1900 || numbers[0] > 2200 || numbers[3] > 23 || numbers[4] > 59 ||
      numbers[5] > 60) {
    return wrong();
  }
  const int64_t days = std::chrono::sys_days(day).time_since_epoch().count();
  const int64_t seconds = ((days * 24 + numbers[3]) * 60 + numbers[4]) * 60 + numbers[5];
  return seconds * 1'000'000'000 + nanoseconds;
}

// Hands over each element whose path begins with `root`, which is taken off it. Whether there was
// any.
template <typename Take>
static arrow::Result<bool> ForEachBelow(std::string_view xml, std::string_view root,
                                        const Take& take) {
  bool any = false;
  for (XmlReader reader(xml);;) {
    ARROW_ASSIGN_OR_RAISE(const bool more, reader.Next());
    if (!more) return any;
    const std::string_view path = reader.path();
    if (!path.starts_with(root)) continue;
    any = true;
    ARROW_RETURN_NOT_OK(take(path.substr(root.size()), reader));
  }
}

arrow::Result<ListingPage> ParseListing(std::string_view xml) {
  ListingPage page;
  ListedObject object;
  std::string truncated;
  bool encoded = false;
  const auto take = [&](std::string_view path, const XmlReader& reader) -> arrow::Status {
    if (path == "/Contents/Key") {
      ARROW_ASSIGN_OR_RAISE(object.key, reader.text());
    } else if (path == "/Contents/Size") {
      ARROW_RETURN_NOT_OK(ParseNumber(reader.raw_text(), &object.size));
      if (object.size < 0) return arrow::Status::Invalid("the server lists a size below 0");
    } else if (path == "/Contents/LastModified") {
      ARROW_ASSIGN_OR_RAISE(object.modified_ns, ParseIsoTime(reader.raw_text()));
    } else if (path == "/Contents/ETag") {
      ARROW_ASSIGN_OR_RAISE(object.etag, reader.text());
      std::erase(object.etag, '"');
    } else if (path == "/Contents") {
      page.objects.push_back(std::move(object));
      object = {};
    } else if (path == "/CommonPrefixes/Prefix") {
      ARROW_ASSIGN_OR_RAISE(page.folders.emplace_back(), reader.text());
    } else if (path == "/NextContinuationToken") {
      ARROW_ASSIGN_OR_RAISE(page.next, reader.text());
    } else if (path == "/IsTruncated") {
      truncated = reader.raw_text();
    } else if (path == "/EncodingType") {
      encoded = reader.raw_text() == "url";
    }
    return arrow::Status::OK();
  };
  ARROW_ASSIGN_OR_RAISE(const bool is_listing, ForEachBelow(xml, "/ListBucketResult", take));
  if (!is_listing) return arrow::Status::Invalid("the server's answer is no listing");
  if ((truncated == "true") == page.next.empty()) {
    if (page.next.empty())
      return arrow::Status::Invalid("the server does not say how its listing goes on");
    page.next.clear();
  }
  if (encoded) {
    for (ListedObject& each : page.objects) ARROW_RETURN_NOT_OK(UrlDecode(&each.key));
    for (std::string& each : page.folders) ARROW_RETURN_NOT_OK(UrlDecode(&each));
  }
  return page;
}

arrow::Result<UploadsPage> ParseUploads(std::string_view xml) {
  UploadsPage page;
  ListedUpload upload;
  bool truncated = false, encoded = false;
  const auto take = [&](std::string_view path, const XmlReader& reader) -> arrow::Status {
    if (path == "/Upload/Key") {
      ARROW_ASSIGN_OR_RAISE(upload.key, reader.text());
    } else if (path == "/Upload/UploadId") {
      ARROW_ASSIGN_OR_RAISE(upload.id, reader.text());
    } else if (path == "/Upload") {
      page.uploads.push_back(std::exchange(upload, {}));
    } else if (path == "/NextKeyMarker") {
      ARROW_ASSIGN_OR_RAISE(page.next_key, reader.text());
    } else if (path == "/NextUploadIdMarker") {
      ARROW_ASSIGN_OR_RAISE(page.next_id, reader.text());
    } else if (path == "/IsTruncated") {
      truncated = reader.raw_text() == "true";
    } else if (path == "/EncodingType") {
      encoded = reader.raw_text() == "url";
    }
    return arrow::Status::OK();
  };
  ARROW_RETURN_NOT_OK(ForEachBelow(xml, "/ListMultipartUploadsResult", take).status());
  if (!truncated) page.next_key = page.next_id = {};
  if (encoded) {
    for (ListedUpload& each : page.uploads) ARROW_RETURN_NOT_OK(UrlDecode(&each.key));
    ARROW_RETURN_NOT_OK(UrlDecode(&page.next_key));
  }
  return page;
}

std::string XmlText(std::string_view xml, std::string_view name) {
  XmlReader reader(xml);
  for (;;) {
    const auto more = reader.Next();
    if (!more.ok() || !*more) return {};
    const std::string& path = reader.path();
    if (path.ends_with(name) && path[path.size() - name.size() - 1] == '/') {
      return reader.text().ValueOr("");
    }
  }
}

arrow::Result<std::chrono::system_clock::time_point> ParseExpiry(std::string text) {
  using Clock = std::chrono::system_clock;
  if (text.empty()) return Clock::time_point::max();
  if (text.ends_with("+00:00")) text.replace(text.size() - 6, 6, "Z");
  ARROW_ASSIGN_OR_RAISE(const int64_t time, ParseIsoTime(text));
  return Clock::time_point(
      std::chrono::duration_cast<Clock::duration>(std::chrono::nanoseconds(time)));
}

}  // namespace pomona
