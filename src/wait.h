// Waiting for another thread.
#pragma once

#include <chrono>
#include <condition_variable>
#include <mutex>

namespace pomona {

// Waits until `changed` is notified, or wakes for nothing. In place of changed.wait(lock), which
// asks for GCC 12's library where wheels may only ask for GCC 11's.
inline void WaitFor(std::condition_variable& changed, std::unique_lock<std::mutex>& lock) {
  changed.wait_for(lock, std::chrono::hours(1));
}

}  // namespace pomona
