// Independent pieces of work, shared out to threads.
#pragma once

#include <arrow/status.h>

#include <chrono>
#include <cstddef>
#include <functional>
#include <semaphore>

#include "pomona/cancel.h"

namespace pomona {

// Calls body(i, thread) once for each i < count, in order, on at most `threads` threads, of which
// `thread` is the number from 0; the calling thread calls `poll` several times a second and at the
// end. After a failure or cancellation no further one starts.
// Errors: the first failure, also of what a call throws for want of memory; IOError where not so
// many threads can be had, before any starts; Cancelled where some were not started.
arrow::Status ParallelFor(
    size_t count, int threads, CancelToken cancel,
    const std::function<arrow::Status(size_t i, int thread)>& body,
    const std::function<void()>& poll = [] {});

// semaphore->acquire(), which with GCC 12's library may sleep through the last release.
inline void Acquire(std::counting_semaphore<>* semaphore) {
  while (!semaphore->try_acquire_for(std::chrono::milliseconds(50))) {
  }
}

}  // namespace pomona
