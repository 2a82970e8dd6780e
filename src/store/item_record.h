// What a published run tells of the files that its rows were made of.
#pragma once

#include <arrow/result.h>

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "image_properties.h"
#include "pomona/item.h"
#include "pomona/safetensors.h"

namespace pomona {

// Of a row's features and its path below the root, which stays where the tree is moved.
int64_t RowChecksum(std::string_view relative_path, std::span<const float> features);

// Beside the features of a run, its run_info has for each of their parts a file that tells of which
// items the rows were made, in the rows' order: their sizes, times and states, what their files hold,
// and a checksum of each row. So whoever reuses a row sees that it is the one published, whatever
// became of the part, and reads the part once. `recipe` names everything else that the features
// depend on.
class ItemRecordBuilder {
 public:
  // REQUIRES: all items have the same root.
  void Add(const Item& item, const ImageProperties& image, std::span<const float> features);
  arrow::Status Write(const std::string& path, const std::string& recipe) const;

 private:
  std::vector<int64_t> sizes_, times_, states_, checksums_;
  std::vector<ImageProperties> images_;
  std::string root_;
  std::string last_path_;  // below the root
};

// What was written, read back. The columns have the same length.
struct ItemRecord {
  std::shared_ptr<const SafetensorsFile> file;
  std::span<const int64_t> sizes, times, states, checksums;
  std::vector<ImageProperties> images;
  std::string recipe;
  // Of the paths in the part, with the slash behind it, and the last of them below it; in hexadecimal.
  std::string root, last_path;

  // Errors: Invalid where this is no such record, as those of earlier versions are not.
  static arrow::Result<ItemRecord> Parse(const std::string& path, std::string_view bytes);
};

// A path as `last_path` holds it: metadata is JSON, which a path need not be.
std::string HexOfPath(std::string_view path);

}  // namespace pomona
