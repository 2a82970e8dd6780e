#include "memory_budget.h"

#include <algorithm>
#include <chrono>

namespace pomona {

std::optional<MemoryBudget::Claim> MemoryBudget::Take(int64_t bytes) {
  if (bytes > bytes_ && excess_ == Excess::kRefused) return std::nullopt;
  bytes = std::min(bytes, bytes_);
  std::unique_lock lock(mutex_);
  const int64_t ticket = next_ticket_++;
  // Not wait(), whose symbol older systems lack.
  while (ticket != served_ || bytes > left_) changed_.wait_for(lock, std::chrono::seconds(1));
  left_ -= bytes;
  ++served_;
  changed_.notify_all();
  return Claim(this, bytes);
}

void MemoryBudget::Return(int64_t bytes) {
  const std::lock_guard lock(mutex_);
  left_ += bytes;
  changed_.notify_all();
}

}  // namespace pomona
