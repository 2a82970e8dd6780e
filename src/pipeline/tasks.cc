#include "tasks.h"

#include <algorithm>
#include <mutex>
#include <semaphore>
#include <thread>

namespace pomona {

arrow::Status RunTasks(const std::vector<Task>& tasks, int threads, const RunHooks& hooks,
                       const std::function<void()>& poll) {
  std::atomic<size_t> next = 0;
  std::atomic<bool> stop = false;
  std::counting_semaphore<> done{0};
  std::mutex mutex;  // for status
  arrow::Status status;

  const auto work = [&] {
    for (size_t task; !stop && (task = next++) < tasks.size();) {
      const arrow::Status result = tasks[task]();
      if (!result.ok()) {
        const std::lock_guard lock(mutex);
        if (status.ok()) status = result;
        stop = true;
      }
    }
    done.release();
  };

  threads = std::min(threads, static_cast<int>(tasks.size()));
  std::vector<std::jthread> workers;
  for (int i = 0; i < threads; ++i) workers.emplace_back(work);
  bool cancelled = false;
  for (int running = threads; running > 0;) {
    if (done.try_acquire_for(kPollInterval)) {
      --running;
      continue;
    }
    poll();
    if (hooks.cancel && *hooks.cancel) cancelled = stop = true;
  }
  workers.clear();
  poll();
  return status.ok() && cancelled ? arrow::Status::Cancelled("interrupted") : status;
}

}  // namespace pomona
