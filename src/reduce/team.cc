#include "reduce/team.h"

#include <exception>

namespace pomona::reduce {
namespace {

constexpr uint64_t kRound = uint64_t{1} << 32;
constexpr uint64_t kPieces = kRound - 1;

// Returns when `value` is no longer `old`. To wake a sleeper takes longer than most waits last; a
// longer one should not keep a core from others.
template <typename T>
void AwaitChange(const std::atomic<T>& value, T old) {
  constexpr int kLooks = 200;
  for (int look = 0; look < kLooks; ++look) {
    if (value != old) return;
    std::this_thread::yield();
  }
  value.wait(old);
}

}  // namespace

Team::Team(int threads) {
  try {
    while (static_cast<int>(helpers_.size()) + 1 < threads) {
      helpers_.emplace_back([this] { Help(); });
    }
  } catch (const std::exception&) {
    // Those that there are do the work, with the same result.
  }
}

Team::~Team() {
  over_ = true;
  open_ += kRound;
  open_.notify_all();
}

void Team::For(size_t count, const std::function<void(size_t)>& body) {
  body_ = &body;
  done_ = 0;
  open_ = (open_ & ~kPieces) + kRound + count;
  open_.notify_all();
  while (WorkOnOne()) {
  }
  for (size_t done; (done = done_) < count;) AwaitChange(done_, done);
}

void Team::Help() {
  for (;;) {
    const uint64_t open = open_;
    if (over_) return;
    if (!WorkOnOne()) AwaitChange(open_, open);
  }
}

bool Team::WorkOnOne() {
  uint64_t open = open_;
  do {
    if ((open & kPieces) == 0) return false;
  } while (!open_.compare_exchange_weak(open, open - 1));
  (*body_)((open & kPieces) - 1);
  ++done_;
  done_.notify_one();
  return true;
}

}  // namespace pomona::reduce
