#include "tasks.h"

#include <algorithm>
#include <mutex>
#include <semaphore>
#include <thread>

#include "guarded.h"

namespace pomona {

arrow::Status RunTasks(const std::vector<Task>& tasks, int threads, const RunHooks& hooks,
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
  const auto work = [&] {
    {
      const std::lock_guard started(start);
    }
    for (size_t task; !stop && (task = next++) < tasks.size();) {
      const arrow::Status result = Guarded(tasks[task]);
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

  threads = std::min(threads, static_cast<int>(tasks.size()));
  std::vector<std::jthread> workers;
  const arrow::Status started = Guarded([&] {
    const std::lock_guard lock(start);
    // Where one cannot be started, none begins.
    stop = true;
    for (int i = 0; i < threads; ++i) workers.emplace_back(work);
    stop = false;
    return arrow::Status::OK();
  });
  if (!started.ok()) return started;

  bool cancelled = false;
  for (int running = threads; running > 0;) {
    if (done.try_acquire_for(kPollInterval)) {
      --running;
      continue;
    }
    look();
    if (hooks.cancel && *hooks.cancel) cancelled = stop = true;
  }
  workers.clear();
  look();
  return status.ok() && cancelled ? arrow::Status::Cancelled("interrupted") : status;
}

}  // namespace pomona
