#include "listing.h"

#include <algorithm>
#include <chrono>
#include <iterator>
#include <utility>

#include "guarded.h"

namespace pomona {

Listing::Listing(Source& source, std::string output, const RunOptions& options, std::string recipe)
    : output_(std::move(output)),
      options_(options),
      recipe_(std::move(recipe)),
      thread_([this, &source] { List(source); }) {}

arrow::Status Listing::ListTree(Source& source) {
  ARROW_ASSIGN_OR_RAISE(filter_, PathFilter::Make(options_));
  filter_.output = output_;
  const std::string below_output = EscapeName(output_) + '/';
  // Which labels the mode mini takes depends on all of them.
  std::vector<Item> held;
  const bool hold = options_.mode == Mode::kMini;
  ARROW_RETURN_NOT_OK(source.List(&filter_, [&](std::vector<Item> items) {
    // An output below the input is not part of it.
    std::erase_if(items, [&](const Item& item) { return item.path.starts_with(below_output); });
    if (!hold) return Add(Select(std::move(items), options_));
    std::ranges::move(items, std::back_inserter(held));
    return Add({});
  }));
  if (hold) Add(Select(std::move(held), options_));
  const std::lock_guard lock(mutex_);
  if (!open_.empty()) Close();
  return arrow::Status::OK();
}

void Listing::List(Source& source) {
  const auto start = std::chrono::steady_clock::now();
  const arrow::Status status = Guarded([&] { return ListTree(source); });

  const std::lock_guard lock(mutex_);
  status_ = status;
  seconds_ = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  ended_ = true;
  complete_ = status.ok() && !stopped_;
  changed_.notify_all();
}

// Whether more are wanted.
bool Listing::Add(std::vector<Item> items) {
  const size_t limit = ItemLimit(options_);
  const std::lock_guard lock(mutex_);
  for (Item& item : items) {
    if (count_ == limit) break;
    open_.push_back(std::move(item));
    ++count_;
    if (open_.size() == static_cast<size_t>(options_.fragment_items)) Close();
  }
  return !stopped_ && count_ < limit;
}

void Listing::Close() {
  const size_t begin = count_ - open_.size();
  FragmentRange range = RangeOf(open_, begin, recipe_);
  fragments_.push_back({std::move(range), std::exchange(open_, {})});
  changed_.notify_all();
}

arrow::Result<const ListedFragment*> Listing::Fragment(size_t index) {
  std::unique_lock lock(mutex_);
  // Not wait(), which asks for GCC 12's library, where wheels may only ask for GCC 11's.
  while (index >= fragments_.size() && !ended_ && !stopped_) {
    changed_.wait_for(lock, std::chrono::hours(1));
  }
  if (stopped_) return arrow::Status::Cancelled("interrupted");
  ARROW_RETURN_NOT_OK(status_);
  return index < fragments_.size() ? &fragments_[index] : nullptr;
}

bool Listing::complete() const {
  const std::lock_guard lock(mutex_);
  return complete_;
}

int64_t Listing::count() const {
  const std::lock_guard lock(mutex_);
  return static_cast<int64_t>(count_);
}

bool Listing::saw_everything() const {
  return options_.mode == Mode::kMini || static_cast<size_t>(count()) < ItemLimit(options_);
}

double Listing::seconds() const {
  const std::lock_guard lock(mutex_);
  return seconds_;
}

void Listing::Stop() {
  const std::lock_guard lock(mutex_);
  stopped_ = true;
  changed_.notify_all();
}

Listing::All Listing::TakeAll() {
  const std::lock_guard lock(mutex_);
  All all;
  all.items.reserve(count_);
  for (ListedFragment& fragment : fragments_) {
    std::ranges::move(std::exchange(fragment.items, {}), std::back_inserter(all.items));
    all.fragments.push_back(std::move(fragment.range));
  }
  fragments_.clear();
  return all;
}

}  // namespace pomona
