// The native engine's arithmetic on a device, behind the Engine seam.
#include <algorithm>
#include <atomic>
#include <mutex>
#include <optional>
#include <semaphore>
#include <utility>

#include "infer/count_pictures.h"
#include "infer/gpu/batcher.h"
#include "infer/gpu/device.h"
#include "infer/gpu/network.h"
#include "infer/gpu/self_test.h"
#include "pomona/device.h"
#include "pomona/engine.h"
#include "tasks.h"

namespace pomona {
namespace {

using gpu::Batcher;

// One copies pictures while the other computes.
constexpr int kLanes = 2;

// Pictures of a lane: a GPU is busy with as many, and more only take memory.
constexpr int kMostPictures = 64;

// Of a device's memory that lanes may take: others use it, too.
constexpr int64_t kMemoryShare = 2;

// Workers wait for the device most of the time, each with a picture of its own; so many of them keep
// a core decoding and the batches large.
constexpr int kWorkersPerThread = 8;

std::string NameOf(const DeviceInfo& info) { return info.id + ", " + info.name; }

// A device with all that runs on it. Members end in the reverse order.
struct Running {
  std::unique_ptr<gpu::Device> device;
  std::unique_ptr<const gpu::Network> network;
  std::unique_ptr<Batcher> batcher;
};

// Two lanes, as large as the workers can fill and the device can hold. Both have computed what they
// can hold: drivers may take memory only then.
arrow::Result<std::vector<std::unique_ptr<gpu::Lane>>> MakeLanes(const gpu::Network& network,
                                                                 int64_t memory, int workers,
                                                                 const gpu::Noise& noise) {
  const int64_t fitting =
      memory / kMemoryShare / kLanes / static_cast<int64_t>(network.lane_bytes());
  const int useful = std::min((workers + kLanes - 1) / kLanes, kMostPictures);
  for (int pictures = static_cast<int>(std::clamp<int64_t>(fitting, 1, useful));; pictures /= 2) {
    std::vector<std::unique_ptr<gpu::Lane>> lanes;
    const auto make = [&]() -> arrow::Status {
      while (lanes.size() < kLanes) {
        ARROW_ASSIGN_OR_RAISE(auto lane, network.NewLane(pictures));
        ARROW_RETURN_NOT_OK(gpu::TestNetwork(lane.get(), noise));
        lanes.push_back(std::move(lane));
      }
      return arrow::Status::OK();
    };
    const arrow::Status status = make();
    if (status.ok()) return lanes;
    if (!status.IsOutOfMemory() || pictures == 1) return status;
  }
}

arrow::Result<Running> Start(const std::string& id, const Weights& weights, const gpu::Noise& noise,
                             int workers) {
  Running running;
  ARROW_ASSIGN_OR_RAISE(running.device, gpu::OpenDevice(id));
  ARROW_RETURN_NOT_OK(gpu::TestArithmetic(running.device.get()));
  ARROW_ASSIGN_OR_RAISE(running.network, gpu::Network::Make(running.device.get(), weights.Fold(),
                                                            kInputSize, weights.preprocessing()));
  ARROW_ASSIGN_OR_RAISE(auto lanes,
                        MakeLanes(*running.network, running.device->info().memory, workers, noise));
  running.batcher = Batcher::Make(*running.network, std::move(lanes));
  return running;
}

class GpuEngine final : public Engine {
 public:
  // No device: the CPU computes, as `trouble` says.
  GpuEngine(std::unique_ptr<Engine> cpu, std::optional<Running> running, bool may_use_cpu,
            int threads, std::string trouble)
      : cpu_(std::move(cpu)),
        cores_(threads),
        running_(std::move(running)),
        may_use_cpu_(may_use_cpu),
        on_cpu_(!running_),
        trouble_(std::move(trouble)) {}

  // The arithmetic is the native engine's.
  std::string_view name() const override { return cpu_->name(); }
  int features() const override { return cpu_->features(); }
  const Preprocessing& preprocessing() const override { return cpu_->preprocessing(); }
  int workers_per_thread() const override { return running_ ? kWorkersPerThread : 1; }
  bool outlives_fork() const override { return !running_ && cpu_->outlives_fork(); }

  std::optional<DeviceUse> device_use() const override {
    DeviceUse use;
    if (running_) {
      use = running_->batcher->use();
      use.device = NameOf(running_->device->info());
    }
    const std::lock_guard lock(mutex_);
    use.cpu_pictures = cpu_pictures_;
    use.trouble = trouble_;
    return use;
  }

  arrow::Result<std::unique_ptr<EngineWorker>> NewWorker() override;

  // worker: the CPU's of who calls, made when it is first needed.
  arrow::Status Infer(std::span<const uint8_t> picture, std::span<float> features,
                      std::unique_ptr<EngineWorker>* worker) {
    if (!on_cpu_) {
      const arrow::Status status = running_->batcher->Infer(picture, features);
      if (status.ok()) return status;
      const std::string trouble = NameOf(running_->device->info()) + ": " + status.message();
      if (!may_use_cpu_) {
        return arrow::Status::IOError(trouble, "; --device auto would go on by the CPU");
      }
      const std::lock_guard lock(mutex_);
      if (!on_cpu_.exchange(true)) trouble_ = trouble;
    }
    if (!*worker) {
      ARROW_ASSIGN_OR_RAISE(*worker, cpu_->NewWorker());
    }
    ++cpu_pictures_;
    // There are no more workers than cores, and nothing is shared that a fork could interrupt.
    if (!running_) return (*worker)->Infer(picture, features);
    Acquire(&cores_);
    const arrow::Status status = (*worker)->Infer(picture, features);
    cores_.release();
    return status;
  }

 private:
  const std::unique_ptr<Engine> cpu_;
  std::counting_semaphore<> cores_;  // for more workers, which a device would keep waiting
  const std::optional<Running> running_;
  const bool may_use_cpu_;
  std::atomic<bool> on_cpu_;
  std::atomic<int64_t> cpu_pictures_ = 0;
  mutable std::mutex mutex_;  // for trouble_
  std::string trouble_;
};

class GpuWorker final : public EngineWorker {
 public:
  explicit GpuWorker(GpuEngine* engine) : engine_(*engine) {}

  arrow::Status Infer(std::span<const uint8_t> pictures, std::span<float> features) override {
    const size_t width = static_cast<size_t>(engine_.features());
    ARROW_ASSIGN_OR_RAISE(const size_t n, CountPictures(pictures, features, width));
    for (size_t i = 0; i < n; ++i) {
      ARROW_RETURN_NOT_OK(engine_.Infer(pictures.subspan(i * kPictureBytes, kPictureBytes),
                                        features.subspan(i * width, width), &cpu_));
    }
    return arrow::Status::OK();
  }

 private:
  GpuEngine& engine_;
  std::unique_ptr<EngineWorker> cpu_;
};

arrow::Result<std::unique_ptr<EngineWorker>> GpuEngine::NewWorker() {
  return std::make_unique<GpuWorker>(this);
}

// The ids that `device` may mean, the best first. Errors: NotImplemented says what there is.
arrow::Result<std::vector<std::string>> Candidates(const std::string& device) {
  const DeviceList list = ListDevices();
  const bool named = device != "any" && device != "auto";
  std::vector<std::string> ids;
  std::string others;
  for (const DeviceInfo& each : list.devices) {
    if (named ? device == each.id : each.is_gpu) {
      ids.push_back(each.id);
    } else {
      others += (others.empty() ? ", but " : "; ") + NameOf(each);
    }
  }
  if (!ids.empty()) return ids;
  for (const std::string& missing : list.missing) others += "; not by " + missing;
  return arrow::Status::NotImplemented("device ", device, ": there is ",
                                       named ? "none of this name" : "no GPU", others);
}

// The first device that computes as it must, of those that `device` may mean.
arrow::Result<Running> StartFirst(const std::string& device, const Weights& weights, Engine& cpu,
                                  int workers) {
  ARROW_ASSIGN_OR_RAISE(const std::vector<std::string> ids, Candidates(device));
  ARROW_ASSIGN_OR_RAISE(const gpu::Noise noise, gpu::MakeNoise(cpu));
  arrow::Status refused;
  for (const std::string& id : ids) {
    auto running = Start(id, weights, noise, workers);
    if (running.ok()) return running;
    const arrow::Status& why = running.status();
    // A device's memory is not this machine's.
    const auto code = why.IsOutOfMemory() ? arrow::StatusCode::IOError : why.code();
    const std::string before = refused.ok() ? "" : refused.message() + "; ";
    refused = arrow::Status(code, before + id + ": " + why.message());
  }
  return refused;
}

}  // namespace

arrow::Result<std::unique_ptr<Engine>> MakeGpuEngine(const Weights& weights, Cpu cpu,
                                                     const std::string& device, int threads) {
  ARROW_ASSIGN_OR_RAISE(auto native, MakeNativeEngine(weights, cpu));
  auto running = StartFirst(device, weights, *native, threads * kWorkersPerThread);
  const bool may_use_cpu = device == "auto";
  if (running.ok()) {
    return std::make_unique<GpuEngine>(std::move(native), *std::move(running), may_use_cpu, threads,
                                       "");
  }
  if (!may_use_cpu) return running.status();
  return std::make_unique<GpuEngine>(std::move(native), std::nullopt, may_use_cpu, threads,
                                     running.status().message());
}

}  // namespace pomona
