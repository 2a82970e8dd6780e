#include "read_ahead.h"

#include <algorithm>
#include <utility>

#include "guarded.h"
#include "pomona/decode.h"

namespace pomona {
namespace {

// What of the item is held when it was read ahead.
int64_t BytesAhead(const Item& item) { return OnlyStartAhead(item) ? kSniffBytes : item.size; }

}  // namespace

bool OnlyStartAhead(const Item& item) {
  return item.size > kLargeItem && !HasImageExtension(item.path);
}

void ReadAhead::Prefetch(const std::vector<Item>& items) {
  const std::lock_guard lock(mutex_);
  waiting_.insert(waiting_.end(), items.begin(), items.end());
  // A failure to start comes back when somebody takes the item.
  (void)FillUp();
}

arrow::Result<FileContent> ReadAhead::Take(const Item& item) {
  Reading reading;
  {
    const std::lock_guard lock(mutex_);
    // Whoever is ahead of the bounds still gets his item: takers are few.
    if (!reading_.contains(item.path) &&
        std::ranges::find(waiting_, item.path, &Item::path) != waiting_.end()) {
      while (!reading_.contains(item.path)) ARROW_RETURN_NOT_OK(StartNext());
    }
    if (auto node = reading_.extract(item.path); !node.empty()) {
      reading = std::move(node.mapped());
      reading_bytes_ -= BytesAhead(item);
      ARROW_RETURN_NOT_OK(FillUp());
    }
  }
  if (!reading.is_valid()) return read_(item);
  reading.Wait();
  return reading.MoveResult();
}

// How many of those that wait are started by one task.
size_t ReadAhead::CountNext() const {
  const size_t most = std::min(together_ ? bounds_.together : 1, waiting_.size());
  size_t count = 0;
  while (count < most && waiting_[count].size <= kSmallItem) ++count;
  return std::max<size_t>(count, 1);
}

// REQUIRES: one waits.
arrow::Status ReadAhead::StartNext() {
  const size_t count = CountNext();
  if (count == 1) {
    const Item& item = waiting_.front();
    ARROW_ASSIGN_OR_RAISE(reading_[item.path], executor_->Submit([this, item] {
      return Guarded([&] { return read_(item); });
    }));
    reading_bytes_ += BytesAhead(item);
    waiting_.pop_front();
    return arrow::Status::OK();
  }
  const auto end = waiting_.begin() + static_cast<ptrdiff_t>(count);
  std::vector<Item> items(waiting_.begin(), end);
  std::vector<Reading> readings;
  for (size_t i = 0; i < count; ++i) readings.push_back(Reading::Make());
  ARROW_RETURN_NOT_OK(executor_->Spawn([this, items, readings] {
    together_(items, [readings](size_t i, arrow::Result<FileContent> content) {
      Reading(readings[i]).MarkFinished(std::move(content));
    });
  }));
  for (size_t i = 0; i < count; ++i) {
    reading_[items[i].path] = readings[i];
    reading_bytes_ += BytesAhead(items[i]);
  }
  waiting_.erase(waiting_.begin(), end);
  return arrow::Status::OK();
}

// Waits for the room that the next ones take together.
arrow::Status ReadAhead::FillUp() {
  while (!waiting_.empty()) {
    const size_t count = CountNext();
    int64_t bytes = reading_bytes_;
    for (size_t i = 0; i < count; ++i) bytes += BytesAhead(waiting_[i]);
    const bool fits = reading_.size() + count <= bounds_.items && bytes <= bounds_.bytes;
    if (!fits && !reading_.empty()) break;
    ARROW_RETURN_NOT_OK(StartNext());
  }
  return arrow::Status::OK();
}

}  // namespace pomona
