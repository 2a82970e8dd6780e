#include "tasks.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <mutex>
#include <semaphore>
#include <thread>
#include <vector>

#include "guarded.h"

namespace pomona {
namespace {

// How often the calling thread polls.
constexpr std::chrono::milliseconds kPollInterval{100};

}  // namespace

arrow::Status ParallelFor(size_t count, int threads, CancelToken cancel,
                          const std::function<arrow::Status(size_t, int)>& body,
                          const std::function<void()>& poll) {
  std::atomic<size_t> next = 0;
  std::atomic<bool> stop = false;
  std::counting_semaphore<> done{0};
  std::mutex start;  // held until all threads are there
  std::mutex mutex;  // for status
  arrow::Status status;

  const auto fail = [&](const arrow::Status& failure) {
    const std::lock_guard lock(mutex);
    if (status.ok()) status = failure;
    stop = true;
  };
  const auto work = [&](int thread) {
    {
      const std::lock_guard started(start);
    }
    for (size_t i; !stop && !cancel.requested() && (i = next++) < count;) {
      const arrow::Status result = Guarded([&] { return body(i, thread); });
      if (!result.ok()) fail(result);
    }
    done.release();
  };
  const auto look = [&] {
    const arrow::Status result = Guarded([&] {
      poll();
      return arrow::Status::OK();
    });
    if (!result.ok()) fail(result);
  };

  threads = static_cast<int>(std::min<size_t>(threads, count));
  std::vector<std::jthread> workers;
  const arrow::Status started = Guarded([&] {
    const std::lock_guard lock(start);
    // Where one cannot be started, none begins.
    stop = true;
    for (int i = 0; i < threads; ++i) workers.emplace_back(work, i);
    stop = false;
    return arrow::Status::OK();
  });
  if (!started.ok()) return started;

  for (int running = threads; running > 0;) {
    if (done.try_acquire_for(kPollInterval)) {
      --running;
      continue;
    }
    look();
  }
  workers.clear();
  look();
  return status.ok() && next < count ? cancel.Check() : status;
}

}  // namespace pomona
