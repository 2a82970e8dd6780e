#include "listing.h"

#include <algorithm>
#include <chrono>
#include <iterator>
#include <utility>

#include "guarded.h"

namespace pomona {

arrow::Result<const ListedFragment*> PlannedFragments::Fragment(size_t index) {
  const size_t number = first_ + index * step_;
  return number < plan_.fragments.size() ? &plan_.fragments[number] : nullptr;
}

int64_t PlannedFragments::count() const {
  int64_t items = 0;
  for (size_t f = first_; f < plan_.fragments.size(); f += step_) {
    items += plan_.fragments[f].items.items;
  }
  return items;
}

Listing::Listing(Source& source, std::string output, const RunOptions& options, std::string recipe,
                 ItemSpool& spool)
    : output_(std::move(output)),
      options_(options),
      recipe_(std::move(recipe)),
      spool_(spool),
      thread_([this, &source] { List(source); }) {}

arrow::Status Listing::ListTree(Source& source) {
  ARROW_ASSIGN_OR_RAISE(filter_, PathFilter::Make(options_));
  filter_.output = output_;
  const auto limit = static_cast<int64_t>(std::min(ItemLimit(options_), size_t{INT64_MAX}));
  arrow::Status added;
  ARROW_RETURN_NOT_OK(ListSelected(source, options_, &filter_, [&](std::vector<Item> items) {
    const auto more = Add(std::move(items));
    added = more.status();
    return added.ok() && *more;
  }));
  ARROW_RETURN_NOT_OK(added);
  reached_limit_ = count_ >= limit;
  return open_.empty() ? arrow::Status::OK() : Close();
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
arrow::Result<bool> Listing::Add(std::vector<Item> items) {
  const auto unlabelled =
      std::ranges::count_if(items, [](const Item& item) { return item.label().empty(); });
  {
    const std::lock_guard lock(mutex_);
    count_ += std::ssize(items);
    unlabelled_ += unlabelled;
  }
  for (Item& item : items) {
    open_.push_back(std::move(item));
    if (open_.size() == static_cast<size_t>(options_.fragment_items)) ARROW_RETURN_NOT_OK(Close());
  }
  const std::lock_guard lock(mutex_);
  return !stopped_;
}

arrow::Status Listing::Close() {
  ListedFragment fragment;
  fragment.range = RangeOf(open_, closed_, recipe_);
  ARROW_ASSIGN_OR_RAISE(fragment.items, spool_.Append(open_));
  closed_ += open_.size();
  open_.clear();
  const std::lock_guard lock(mutex_);
  fragment.number = fragments_.size();
  fragments_.push_back(std::move(fragment));
  changed_.notify_all();
  return arrow::Status::OK();
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

arrow::Status Listing::WaitForAll() { return Fragment(SIZE_MAX).status(); }

bool Listing::complete() const {
  const std::lock_guard lock(mutex_);
  return complete_;
}

int64_t Listing::count() const {
  const std::lock_guard lock(mutex_);
  return count_;
}

int64_t Listing::unlabelled() const {
  const std::lock_guard lock(mutex_);
  return unlabelled_;
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

std::vector<ListedFragment> Listing::TakeFragments() {
  const std::lock_guard lock(mutex_);
  return {std::move_iterator(fragments_.begin()), std::move_iterator(fragments_.end())};
}

}  // namespace pomona
