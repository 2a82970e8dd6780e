// A fragment being made, in memory.
#pragma once

#include <arrow/result.h>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "page_buffer.h"
#include "pomona/cpu.h"
#include "pomona/item.h"
#include "pomona/reports.h"
#include "store/earlier_run.h"
#include "store/fragment.h"
#include "store/work_folder.h"

namespace pomona {

// What an earlier run may have stored of a fragment.
struct Found {
  std::optional<StoredFragment> fragment;  // verified; none: it was not stored, or is of no use
  arrow::Status damage;                    // what makes it useless
};

// The fragment, whole or (by StoredFragment's other function) partial. Errors: it could not be looked
// at, which says nothing of it.
arrow::Result<Found> FindStored(const WorkFolder& work, const std::string& path,
                                const FragmentRange& range,
                                decltype(&StoredFragment::Open) open = &StoredFragment::Open);

// Where what is done of a fragment may be stored until all of it is.
std::vector<std::string> UnfinishedPaths(const std::string& fragment_path);
void RemoveUnfinished(const std::string& fragment_path);

// Whether another try may end otherwise although the file stays as it is: its access was mended, say.
bool MayPass(const Reject& reject);

// The items of a fragment, what became of each, and a row of features for each in its place, with
// the properties of its image.
//
// Threads: each item's slot is written by the one worker that claimed the item, its verdict last;
// all else by one caller at a time.
class OpenFragment {
 public:
  // Begins anew, with all items open; keeps the buffer.
  void Reset(std::string path, FragmentRange range, std::vector<Item> items, int dimensions);

  const std::string& path() const { return path_; }  // where it will be stored
  const FragmentRange& range() const { return range_; }
  size_t size() const { return items_.size(); }
  const Item& item(size_t position) const { return items_[position]; }
  std::span<float> row(size_t position) {
    return features_.subspan(position * dimensions_, dimensions_);
  }
  ImageProperties* image(size_t position) { return &images_[position]; }
  Verdict verdict(size_t position) const;

  // REQUIRES: the item is open, and its features and image() are in their place where this is a row.
  // Returns how many items are open still.
  size_t Set(size_t position, Outcome outcome);

  struct Taken {
    int64_t rows = 0;
    std::vector<Reason> rejects;

    int64_t items() const { return rows + std::ssize(rejects); }
  };
  // Takes over what a partial fragment of the same range has of the open items; `only_lasting`:
  // without the rejects that may pass.
  Taken TakeOver(const StoredFragment& partial, bool only_lasting);

  // The same of a slice, of which a stored one has every item.
  void TakeSlice(const StoredFragment& slice, size_t begin, size_t end);

  // Takes over the rows that the earlier run has of the open items begin..end; fills in how many.
  // Errors: those of EarlierRun::Fill(); what was found before stays.
  arrow::Status Reuse(EarlierRun* earlier, size_t begin, size_t end, int64_t* reused);

  // Of items that another machine listed: that this one sees any of those of begin..end that it has
  // looked for, which it does not where their file system is not mounted. Errors: IOError names the
  // first.
  arrow::Status CheckReached(size_t begin, size_t end) const;

  // Of the items begin..end, those that are open, in the order in which to work on them: the largest
  // file first, and other large ones by their size among the rest, so that in the end nobody waits for
  // a large one.
  std::vector<size_t> OpenPositions(size_t begin, size_t end) const;

  std::vector<Item> ItemsAt(std::span<const size_t> positions) const;

  // Stores what is done of the items begin..end, unless that is `but` items. Returns how many.
  arrow::Result<int64_t> StorePartial(const std::string& path, size_t begin, size_t end,
                                      int64_t but = 0) const;

  // Closes the gaps that rejects and skips left between the rows, adds up their moments and stores
  // the fragment. Nothing else may be asked after it but path() and size().
  // Errors: UnknownError where an item is open; IOError.
  arrow::Result<FragmentReport> Store(Cpu cpu, WorkerSeconds* seconds);

 private:
  void Take(size_t position, Outcome outcome);

  std::string path_;
  FragmentRange range_;
  std::vector<Item> items_;
  size_t dimensions_ = 0;
  std::atomic<size_t> remaining_ = 0;  // items that are open
  PageBuffer buffer_;                  // for features_
  std::span<float> features_;
  std::vector<ImageProperties> images_;
  std::vector<Verdict> verdicts_;
  std::vector<std::optional<Reject>> rejects_;
  std::vector<uint8_t> taken_;  // whether it was done before, elsewhere
};

}  // namespace pomona
