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

arrow::Status ReadAhead::StartNext() {
  const Item& item = waiting_.front();
  ARROW_ASSIGN_OR_RAISE(reading_[item.path], executor_->Submit([this, item] {
    return Guarded([&] { return read_(item); });
  }));
  reading_bytes_ += BytesAhead(item);
  waiting_.pop_front();
  return arrow::Status::OK();
}

arrow::Status ReadAhead::FillUp() {
  while (!waiting_.empty() && reading_.size() < bounds_.items &&
         (reading_.empty() || reading_bytes_ + BytesAhead(waiting_.front()) <= bounds_.bytes)) {
    ARROW_RETURN_NOT_OK(StartNext());
  }
  return arrow::Status::OK();
}

}  // namespace pomona
