// What S3 answers in XML.
#pragma once

#include <arrow/result.h>

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace pomona {

// Goes through the elements of a document as S3 writes them. Errors: Invalid where it is no XML, or
// uses more of it than S3 does.

class XmlReader {
 public:
  explicit XmlReader(std::string_view xml) : rest_(xml) {}

  // Goes on to the end of the next element. False: there is no more. Errors: Invalid.
  arrow::Result<bool> Next();

  // Of the element: "/ListBucketResult/Contents/Key", and what it holds, if no other elements.
  const std::string& path() const { return path_; }
  std::string_view raw_text() const { return text_; }
  arrow::Result<std::string> text() const;

 private:
  std::string_view rest_;
  std::string path_;       // of the element that ends, then of the one around it
  bool ended_ = false;     // path_ has to lose its last name
  std::string_view text_;  // since the last tag
};

struct ListedObject {
  std::string key;
  int64_t size = 0;
  int64_t modified_ns = 0;  // since 1970
  std::string etag;         // without its quotes
};

struct ListingPage {
  std::vector<ListedObject> objects;
  std::vector<std::string> folders;  // prefixes that end with the delimiter
  std::string next;                  // of the page that follows; empty: this is the last one
};
arrow::Result<ListingPage> ParseListing(std::string_view xml);

struct ListedUpload {
  std::string key, id;
};
struct UploadsPage {
  std::vector<ListedUpload> uploads;
  std::string next_key, next_id;  // both empty: this is the last one
};
arrow::Result<UploadsPage> ParseUploads(std::string_view xml);

// The text of the first element of this name; empty where there is none, or no XML.
std::string XmlText(std::string_view xml, std::string_view name);

// 2026-11-28T16:00:00.000Z as nanoseconds since 1970. Errors: Invalid.
arrow::Result<int64_t> ParseIsoTime(std::string_view text);

// When what an answer gave is worth nothing any more; never, where it does not say. Errors: Invalid.
arrow::Result<std::chrono::system_clock::time_point> ParseExpiry(std::string text);

}  // namespace pomona
