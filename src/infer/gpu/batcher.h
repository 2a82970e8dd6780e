// Pictures of many workers, computed a batch at a time.
#pragma once

#include <arrow/result.h>

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <thread>
#include <vector>

#include "infer/gpu/network.h"
#include "pomona/device.h"
#include "stopwatch.h"

namespace pomona::gpu {

// Each lane has a thread that takes what waits, up to the lane's capacity, computes it and takes
// again: so batches are as large as the device is behind, and one lane copies while another
// computes.
//
// Threads: safe to share.
class Batcher {
 public:
  // The network outlives it.
  static std::unique_ptr<Batcher> Make(const Network& network,
                                       std::vector<std::unique_ptr<Lane>> lanes);
  ~Batcher();

  // One picture to its features; waits until they are there.
  // Errors: see Stream; those of the first failure ever after.
  arrow::Status Infer(std::span<const uint8_t> picture, std::span<float> features);

  // What was done so far, by a device without a name.
  DeviceUse use() const;

 private:
  struct Request {
    std::span<const uint8_t> picture;
    std::span<float> features;
    bool done = false;
    bool failed = false;
    std::condition_variable finished = {};
  };

  // What a lane's thread works with.
  struct Desk {
    std::unique_ptr<Lane> lane;
    std::vector<Request*> batch;
    std::vector<uint8_t> pictures;
    std::vector<float> features;
  };

  explicit Batcher(const Network& network) : network_(network) {}
  void Serve(Desk* desk);
  arrow::Status Compute(Desk* desk) const;
  void EndBatch(std::span<Request* const> batch, arrow::Status status);

  const Network& network_;
  std::vector<Desk> desks_;

  mutable std::mutex mutex_;  // for all below
  std::condition_variable arrived_;
  std::deque<Request*> waiting_;
  bool stop_ = false;
  arrow::Status failure_;
  int running_ = 0;                 // batches
  std::optional<Stopwatch> watch_;  // from the first picture on: since work last began or ended
  DeviceUse use_;
  std::vector<std::thread> threads_;
};

}  // namespace pomona::gpu
