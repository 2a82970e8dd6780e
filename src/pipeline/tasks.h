// Independent pieces of work, shared out to threads.
#pragma once

#include <arrow/status.h>

#include <atomic>
#include <chrono>
#include <functional>
#include <vector>

#include "pomona/pipeline.h"

namespace pomona {

// How often the thread that called Run() looks at progress and cancellation.
inline constexpr std::chrono::milliseconds kPollInterval{100};

using Task = std::function<arrow::Status()>;

// Runs the tasks on `threads` threads, starting them in order, while the calling thread calls
// `poll` several times a second. When a task fails or hooks.cancel is set, no further one starts.
// Errors: the first failure, also of what a task throws for want of memory; IOError where not so
// many threads can be had, before any task starts; Cancelled.
arrow::Status RunTasks(const std::vector<Task>& tasks, int threads, const RunHooks& hooks,
                       const std::function<void()>& poll);

}  // namespace pomona
