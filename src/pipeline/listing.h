// The items of a run, listed while the first of them are worked on.
#pragma once

#include <arrow/result.h>

#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "plan.h"
#include "pomona/options.h"
#include "pomona/source.h"
#include "store/fragment.h"
#include "store/item_spool.h"

namespace pomona {

// The fragments that are to be made, as they become known.
//
// Threads: any number at once.
class FragmentQueue {
 public:
  virtual ~FragmentQueue() = default;

  // Waits until the fragment, in the order of the queue, is known; null: there are not so many. It
  // stays where it is. Errors: what keeps it from being known; Cancelled once this is stopped.
  virtual arrow::Result<const ListedFragment*> Fragment(size_t index) = 0;

  virtual arrow::Result<std::vector<Item>> Items(const ListedFragment& fragment) const = 0;

  virtual bool complete() const = 0;  // whether all are known
  virtual int64_t count() const = 0;  // items so far

  virtual void Stop() {}
};

// Every `step`th fragment of a plan, from `first` on.
class PlannedFragments : public FragmentQueue {
 public:
  // Both outlive this.
  PlannedFragments(const Plan& plan, const ItemSpool& spool, size_t first, size_t step)
      : plan_(plan), spool_(spool), first_(first), step_(step) {}
  arrow::Result<const ListedFragment*> Fragment(size_t index) override;
  arrow::Result<std::vector<Item>> Items(const ListedFragment& fragment) const override {
    return plan_.ItemsOf(fragment, spool_);
  }
  bool complete() const override { return true; }
  int64_t count() const override;

 private:
  const Plan& plan_;
  const ItemSpool& spool_;
  const size_t first_, step_;
};

// Lists on a thread of its own what the options select of a source, cuts it into fragments and
// writes their items to a spool.
//
// Threads: any number at once.
class Listing : public FragmentQueue {
 public:
  // Leaves out what is below `output`. `recipe`: see RangeOf(). Source and spool outlive this.
  Listing(Source& source, std::string output, const RunOptions& options, std::string recipe,
          ItemSpool& spool);
  ~Listing() override { Stop(); }

  // It stays where it is until TakeFragments(). Errors: the source's.
  arrow::Result<const ListedFragment*> Fragment(size_t index) override;

  arrow::Result<std::vector<Item>> Items(const ListedFragment& fragment) const override {
    return spool_.Read(fragment.items);
  }

  // Waits until everything is listed. Errors: as for Fragment().
  arrow::Status WaitForAll();

  bool complete() const override;
  int64_t count() const override;
  int64_t unlabelled() const;  // of these
  double seconds() const;      // that it took

  // What was asked for while listing. REQUIRES: complete.
  const PathFilter& filter() const { return filter_; }

  // Whether the listing went on to the end of the tree, as no limit was reached. REQUIRES:
  // complete.
  bool saw_everything() const { return !reached_limit_; }

  void Stop() override;

  // REQUIRES: complete.
  std::vector<ListedFragment> TakeFragments();

 private:
  arrow::Status ListTree(Source& source);
  void List(Source& source);
  arrow::Result<bool> Add(std::vector<Item> items);
  arrow::Status Close();

  const std::string output_;
  const RunOptions options_;
  const std::string recipe_;
  ItemSpool& spool_;

  // Of the listing thread, until complete_.
  PathFilter filter_;
  std::vector<Item> open_;  // items of the fragment being filled
  size_t closed_ = 0;       // items in fragments
  bool reached_limit_ = false;

  mutable std::mutex mutex_;  // for what is below
  std::condition_variable changed_;
  std::deque<ListedFragment> fragments_;
  int64_t count_ = 0;
  int64_t unlabelled_ = 0;
  double seconds_ = 0;
  bool ended_ = false;
  bool complete_ = false;
  bool stopped_ = false;
  arrow::Status status_;

  std::jthread thread_;
};

}  // namespace pomona
