#include "infer/gpu/batcher.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include "guarded.h"

namespace pomona::gpu {
namespace {

// wait() without an end is of a newer libstdc++ than wheels may ask for.
constexpr std::chrono::hours kLookAgain{1};

}  // namespace

std::unique_ptr<Batcher> Batcher::Make(const Network& network,
                                       std::vector<std::unique_ptr<Lane>> lanes) {
  std::unique_ptr<Batcher> batcher(new Batcher(network));
  for (std::unique_ptr<Lane>& lane : lanes) {
    const size_t capacity = static_cast<size_t>(lane->capacity());
    Desk& desk = batcher->desks_.emplace_back(std::move(lane));
    desk.batch.reserve(capacity);
    desk.pictures.reserve(capacity * network.picture_bytes());
    desk.features.reserve(capacity * static_cast<size_t>(network.features()));
  }
  for (Desk& desk : batcher->desks_) {
    batcher->threads_.emplace_back([&, served = batcher.get()] { served->Serve(&desk); });
  }
  return batcher;
}

Batcher::~Batcher() {
  {
    const std::lock_guard lock(mutex_);
    stop_ = true;
  }
  arrived_.notify_all();
  for (std::thread& thread : threads_) thread.join();
}

arrow::Status Batcher::Infer(std::span<const uint8_t> picture, std::span<float> features) {
  Request request{picture, features};
  std::unique_lock lock(mutex_);
  if (!failure_.ok()) return failure_;
  if (!watch_) watch_.emplace();
  waiting_.push_back(&request);
  arrived_.notify_one();
  while (!request.done) request.finished.wait_for(lock, kLookAgain);
  return request.failed ? failure_ : arrow::Status::OK();
}

void Batcher::Serve(Desk* desk) {
  const size_t capacity = static_cast<size_t>(desk->lane->capacity());
  std::unique_lock lock(mutex_);
  while (true) {
    while (!stop_ && waiting_.empty()) arrived_.wait_for(lock, kLookAgain);
    if (waiting_.empty()) return;
    const auto end = waiting_.begin() + static_cast<ptrdiff_t>(std::min(waiting_.size(), capacity));
    desk->batch.assign(waiting_.begin(), end);
    waiting_.erase(waiting_.begin(), end);
    if (running_++ == 0) watch_->Lap(&use_.waiting_seconds);
    lock.unlock();
    arrow::Status status = Guarded([&] { return Compute(desk); });
    lock.lock();
    EndBatch(desk->batch, std::move(status));
  }
}

arrow::Status Batcher::Compute(Desk* desk) const {
  desk->pictures.clear();
  for (const Request* request : desk->batch) {
    desk->pictures.insert(desk->pictures.end(), request->picture.begin(), request->picture.end());
  }
  const size_t width = static_cast<size_t>(network_.features());
  desk->features.resize(desk->batch.size() * width);
  ARROW_RETURN_NOT_OK(desk->lane->Run(desk->pictures, desk->features));
  const float* row = desk->features.data();
  for (const Request* request : desk->batch) {
    std::copy_n(row, width, request->features.begin());
    row += width;
  }
  return arrow::Status::OK();
}

// Allocates nothing: nobody would catch what it throws. REQUIRES: mutex_ is held.
void Batcher::EndBatch(std::span<Request* const> batch, arrow::Status status) {
  if (--running_ == 0) watch_->Lap(&use_.busy_seconds);
  const bool failed = !status.ok();
  const auto finish = [&](Request* request) {
    request->failed = failed;
    request->done = true;
    request->finished.notify_one();  // under the mutex, so that it is still there
  };
  std::ranges::for_each(batch, finish);
  if (!failed) {
    use_.pictures += std::ssize(batch);
    ++use_.batches;
    return;
  }
  std::ranges::for_each(waiting_, finish);
  waiting_.clear();
  if (failure_.ok()) failure_ = std::move(status);
}

DeviceUse Batcher::use() const {
  const std::lock_guard lock(mutex_);
  return use_;
}

}  // namespace pomona::gpu
