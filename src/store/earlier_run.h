// Features that need not be computed again: those of images that did not change since they were
// published.
#pragma once

#include <arrow/result.h>

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "checksums.h"
#include "image_properties.h"
#include "item_record.h"
#include "part_reader.h"
#include "pomona/item.h"
#include "pomona/options.h"
#include "published_files.h"

namespace pomona {

// The rows of an earlier run, walked through in the order of their paths.
//
// Threads: one caller at a time.
class EarlierRun {
 public:
  // The run published last with this recipe; null where there is none. One that took only a small
  // part of the tree (less than half of another's rows) is passed over.
  // Runs without such statistics are passed over, too.
  // Errors: IOError where nobody can say which runs there are.
  static arrow::Result<std::unique_ptr<EarlierRun>> Find(const PublishedFiles& files,
                                                         const std::string& recipe, int dimensions,
                                                         StatsKind stats);

  // The run of this id, which Find() found somewhere. Its failures come with the first Fill().
  static std::unique_ptr<EarlierRun> Open(const PublishedFiles& files, const std::string& run_id,
                                          const std::string& recipe, int dimensions,
                                          StatsKind stats);

  const std::string& run_id() const { return run_id_; }

  // Copies the features and the properties, with the statistics that are wanted, of those items that
  // have not changed, and have these, into their rows of `features` and `images`, and sets found[i]
  // for them. An item is known by its path where one root lies in the other, as of a tree of which
  // more is taken than before; else by its path below the root, wherever that was then.
  // REQUIRES: the items are in path order and come after those of the calls before.
  // Errors: what makes the earlier run unreadable, or another than was published. Rows found so far
  // are good, and later calls find none.
  arrow::Status Fill(std::span<const Item> items, std::span<float> features,
                     std::span<ImageProperties> images, std::span<uint8_t> found);

 private:
  EarlierRun(PublishedFiles files, std::string run_id, std::string recipe, int dimensions,
             StatsKind stats);
  arrow::Status OpenPart(const Item& wanted);
  arrow::Status ReadBlock();
  arrow::Status Fill(std::span<const Item> items, float* features, ImageProperties* images,
                     uint8_t* found);
  // The path of the block's row, below the root.
  std::string_view RelativePathOf(size_t row) const;
  // What an item is known by, and the block's row.
  std::string_view NameOf(const Item& item) const {
    return by_whole_path_ ? item.path : item.relative_path();
  }
  std::string_view NameOf(size_t row) const {
    return by_whole_path_ ? block_.paths[row] : RelativePathOf(row);
  }

  const PublishedFiles files_;
  const std::string run_id_;
  const std::string recipe_;
  const int dimensions_;
  const StatsKind stats_;
  size_t part_ = 0;  // the next one
  bool at_end_ = false;
  bool by_whole_path_ = false;          // see Fill(); known when a part is open
  Checksums checksums_;                 // of the run's files; empty before the first part
  ItemRecord record_;                   // of the open part
  std::string features_;                // the open part's path
  std::unique_ptr<PartReader> reader_;  // null: no part is open
  size_t part_row_ = 0;                 // of the block's first row
  RowBlock block_;
  size_t row_ = 0;  // of the block
};

}  // namespace pomona
