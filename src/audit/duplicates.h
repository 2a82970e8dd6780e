// Images that are there more than once.
#pragma once

#include <arrow/result.h>

#include <array>
#include <compare>
#include <cstdint>
#include <string>
#include <vector>

#include "pomona/audit.h"
#include "published_rows.h"
#include "row_file.h"
#include "tiles.h"

namespace pomona::audit {

// Rows that are duplicates of one another, directly or by way of others of the group.
struct DuplicateGroup {
  struct Member {
    uint32_t row = 0;
    double distance = 0;       // from the first: 1 - cosine of the features
    bool same_bytes = false;   // as another member's
    bool same_pixels = false;  // likewise, where the run has their hashes
  };
  std::vector<Member> members;      // in path order, at least two
  std::vector<std::string> splits;  // of each; empty where none has any
  bool label_conflict = false;      // more than one label, beside none
  bool split_leak = false;          // more than one split
};

// Equal where images are the same: their pixels where the run has the hashes of these, else their files.
struct Picture {
  std::array<uint8_t, 32> sha256;
  int32_t width, height;  // which a hash of pixels does not tell

  auto operator<=>(const Picture&) const = default;
};
Picture PictureOf(const ImageProperties& image);

// Groups with more than one label come first; else in path order of their first rows. Errors: those of
// reading the features; Cancelled.
arrow::Result<std::vector<DuplicateGroup>> FindDuplicates(
    const PublishedRows& rows, const Tiles& tiles, const RowFile& features,
    const AuditOptions& options, int threads, CancelToken cancel, const TilesDone& poll);

}  // namespace pomona::audit
