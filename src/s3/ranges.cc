#include "s3/ranges.h"

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <utility>

#include "guarded.h"

namespace pomona {
namespace {

// The ranges of one object, which threads take as they come to it.
class Ranges {
 public:
  Ranges(S3Connection& connection, std::string key, const S3Object& object, uint8_t* bytes)
      : connection_(connection),
        key_(std::move(key)),
        object_(object),
        count_((object.size + kRangeBytes - 1) / kRangeBytes),
        bytes_(bytes) {}

  int64_t count() const { return count_; }

  // Fetches ranges until none is left that nobody fetches. Whoever comes late finds none, and
  // touches nothing.
  void Work() {
    for (int64_t range; (range = Take()) < count_;) {
      const arrow::Status fetched = Guarded([&] { return Fetch(range); });
      const std::lock_guard lock(mutex_);
      if (status_.ok()) status_ = fetched;
      ++done_;
      changed_.notify_all();
    }
  }

  // Until those that were taken are done.
  arrow::Status Wait() {
    std::unique_lock lock(mutex_);
    // Not wait(), which asks for GCC 12's library, where wheels may only ask for GCC 11's.
    while (done_ != next_) changed_.wait_for(lock, std::chrono::seconds(1));
    return status_;
  }

 private:
  int64_t Take() {
    const std::lock_guard lock(mutex_);
    return status_.ok() && next_ + 1 < count_ ? ++next_ : count_;
  }

  arrow::Status Fetch(int64_t range) {
    const int64_t first = range * kRangeBytes;
    const int64_t size = std::min(kRangeBytes, object_.size - first);
    std::vector<uint8_t> part;
    ARROW_RETURN_NOT_OK(connection_.Get(key_, first, size, &part, object_.etag).status());
    if (static_cast<int64_t>(part.size()) != size) {
      return arrow::Status::SerializationError("a part of it is shorter than what was asked for");
    }
    std::ranges::copy(part, bytes_ + first);
    return arrow::Status::OK();
  }

  S3Connection& connection_;
  const std::string key_;
  const S3Object object_;
  const int64_t count_;
  uint8_t* const bytes_;
  std::mutex mutex_;  // for what is below
  std::condition_variable changed_;
  int64_t next_ = 0;  // the last one taken; the first one is there before this is made
  int64_t done_ = 0;
  arrow::Status status_;
};

}  // namespace

arrow::Result<S3Object> GetInRanges(S3Connection& connection, const std::string& key,
                                    std::vector<uint8_t>* bytes) {
  ARROW_ASSIGN_OR_RAISE(const S3Object object, connection.Get(key, 0, kRangeBytes, bytes));
  if (object.size > kMostObjectBytes) {
    return arrow::Status::IOError("it has grown to ", object.size, " bytes since it was listed");
  }
  if (static_cast<int64_t>(bytes->size()) != std::min(kRangeBytes, object.size)) {
    return arrow::Status::SerializationError("a part of it is shorter than what was asked for");
  }
  if (object.size <= kRangeBytes) return object;
  bytes->resize(static_cast<size_t>(object.size));
  const auto ranges = std::make_shared<Ranges>(connection, key, object, bytes->data());
  // Those that find no thread in time find no range either.
  for (int64_t i = 1; i < std::min<int64_t>(kRangesAtOnce, ranges->count() - 1); ++i) {
    if (!connection.executor()->Spawn([ranges] { ranges->Work(); }).ok()) break;
  }
  ranges->Work();
  ARROW_RETURN_NOT_OK(ranges->Wait());
  return object;
}

}  // namespace pomona
