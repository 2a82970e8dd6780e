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

#include "pomona/options.h"
#include "pomona/source.h"
#include "store/fragment.h"

namespace pomona {

struct ListedFragment {
  FragmentRange range;
  std::vector<Item> items;
};

// Lists on a thread of its own what the options select of a source, and cuts it into fragments.
//
// Threads: any number at once.
class Listing {
 public:
  // Leaves out what is below `output`. `recipe`: see RangeOf(). The source outlives this.
  Listing(Source& source, std::string output, const RunOptions& options, std::string recipe);
  ~Listing() { Stop(); }

  // Waits until the fragment is listed; null: there are not so many. It stays where it is until
  // TakeAll(). Errors: the source's; Cancelled once this is stopped.
  arrow::Result<const ListedFragment*> Fragment(size_t index);

  bool complete() const;   // whether everything is listed
  int64_t count() const;   // items so far
  double seconds() const;  // that it took

  // What was asked for while listing. REQUIRES: complete.
  const PathFilter& filter() const { return filter_; }

  // Whether the listing went on to the end of the tree, as no limit was reached. REQUIRES:
  // complete.
  bool saw_everything() const;

  void Stop();

  struct All {
    std::vector<Item> items;
    std::vector<FragmentRange> fragments;
  };
  // REQUIRES: complete.
  All TakeAll();

 private:
  arrow::Status ListTree(Source& source);
  void List(Source& source);
  bool Add(std::vector<Item> items);
  void Close();  // REQUIRES: mutex_ is held

  const std::string output_;
  PathFilter filter_;  // of the listing thread, until complete_
  const RunOptions options_;
  const std::string recipe_;

  mutable std::mutex mutex_;  // for what is below
  std::condition_variable changed_;
  std::deque<ListedFragment> fragments_;
  std::vector<Item> open_;  // of the next fragment
  size_t count_ = 0;
  double seconds_ = 0;
  bool ended_ = false;
  bool complete_ = false;
  bool stopped_ = false;
  arrow::Status status_;

  std::jthread thread_;
};

}  // namespace pomona
