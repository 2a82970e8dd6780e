// Files read before they are asked for.
#pragma once

#include <arrow/result.h>
#include <arrow/util/thread_pool.h>

#include <cstdint>
#include <deque>
#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "pomona/item.h"
#include "pomona/source.h"

namespace pomona {

struct FileContent {
  FileBytes bytes;
  std::optional<Reject> reject;
  bool rest_wanted = false;  // these are the first bytes of what is too large to be read ahead
};

// Of what is larger, the first bytes are looked at before the rest is read.
inline constexpr int64_t kLargeItem = int64_t{16} << 20;

// What is not larger is small.
inline constexpr int64_t kSmallItem = int64_t{64} << 10;

// Whether the item's first bytes are read alone, and the rest only once somebody takes it and they
// announce an image: it is large, and its name promises none.
bool OnlyStartAhead(const Item& item);

// Starts reading prefetched items in their order, so many at once that their bytes stay within
// bounds; those who ask for them wait only for what is not there yet. Several small ones are read by
// one task, once there is room for all of them: to wake a thread for each would cost more than they.
//
// Threads: any number at once.
class ReadAhead {
 public:
  using ReadFunction = std::function<arrow::Result<FileContent>(const Item&)>;

  // Hands over what was read, each item once, by its place among them.
  using Deliver = std::function<void(size_t, arrow::Result<FileContent>)>;
  // May leave some to other tasks of the executor. Does not throw.
  using ReadTogether = std::function<void(const std::vector<Item>&, const Deliver&)>;

  // Items and bytes that are being read or were read and not taken yet. One item may be larger.
  struct Bounds {
    size_t items = 64;
    int64_t bytes = int64_t{64} << 20;
    size_t together = 1;  // of small ones
  };

  // `read` runs on the executor, and on the threads of those who take what was not prefetched;
  // `together`, which may be null, on the executor alone. The executor outlives this; its tasks may
  // not.
  ReadAhead(arrow::internal::Executor* executor, const Bounds& bounds, ReadFunction read,
            ReadTogether together = {})
      : executor_(executor),
        bounds_(bounds),
        read_(std::move(read)),
        together_(std::move(together)) {}

  // See Source::Prefetch().
  void Prefetch(const std::vector<Item>& items);

  // What `read` gave for the item.
  arrow::Result<FileContent> Take(const Item& item);

 private:
  using Reading = arrow::Future<FileContent>;

  // REQUIRES of all: mutex_ is held.
  size_t CountNext() const;
  arrow::Status StartNext();
  arrow::Status FillUp();

  arrow::internal::Executor* const executor_;
  const Bounds bounds_;
  const ReadFunction read_;
  const ReadTogether together_;

  std::mutex mutex_;  // for what is below
  std::deque<Item> waiting_;
  std::unordered_map<std::string, Reading> reading_;  // by path
  int64_t reading_bytes_ = 0;
};

}  // namespace pomona
