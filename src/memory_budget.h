// Memory that threads share, so that what they take at once is bounded.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <optional>
#include <utility>

namespace pomona {

// What a thread takes of each kind without a claim, and so keeps for its next picture.
inline constexpr int64_t kUncountedBytes = int64_t{16} << 20;

// So many bytes, of which each thread claims at most once at a time: whoever needs more than is left
// waits for the others, in the order in which they came.
//
// Threads: any number. Outlives its claims.
class MemoryBudget {
 public:
  // Bytes that are taken until the claim goes.
  class Claim {
   public:
    Claim() = default;
    Claim(Claim&& other) noexcept
        : budget_(std::exchange(other.budget_, nullptr)), bytes_(other.bytes_) {}
    Claim& operator=(Claim&& other) noexcept {
      std::swap(budget_, other.budget_);
      std::swap(bytes_, other.bytes_);
      return *this;
    }
    ~Claim() {
      if (budget_) budget_->Return(bytes_);
    }
    explicit operator bool() const { return budget_ != nullptr; }

   private:
    friend MemoryBudget;
    Claim(MemoryBudget* budget, int64_t bytes) : budget_(budget), bytes_(bytes) {}

    MemoryBudget* budget_ = nullptr;
    int64_t bytes_ = 0;
  };

  enum class Excess {
    kRefused,
    kAlone,  // given when nobody else holds any
  };
  MemoryBudget(int64_t bytes, Excess excess) : bytes_(bytes), excess_(excess), left_(bytes) {}

  // Nothing where the bytes are more than there are at all and that is refused.
  std::optional<Claim> Take(int64_t bytes);

  int64_t bytes() const { return bytes_; }

 private:
  void Return(int64_t bytes);

  const int64_t bytes_;
  const Excess excess_;
  std::mutex mutex_;  // for what follows
  std::condition_variable changed_;
  int64_t left_;
  int64_t next_ticket_ = 0;
  int64_t served_ = 0;  // the ticket whose turn it is
};

}  // namespace pomona
