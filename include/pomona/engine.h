// Pictures -> features: the seam behind which an inference engine stands.
#pragma once

#include <arrow/result.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "pomona/cpu.h"
#include "pomona/device.h"
#include "pomona/options.h"
#include "pomona/preprocessing.h"
#include "pomona/weights.h"

namespace pomona {

// What one worker needs to run the network: its own activations, nothing shared but the weights.
//
// Threads: one caller at a time.
class EngineWorker {
 public:
  virtual ~EngineWorker() = default;

  // pictures: n x 224 x 224 x 3 RGB, not scaled. features: n x Engine::features().
  // A picture's features do not depend on n, on its neighbours or on the worker.
  virtual arrow::Status Infer(std::span<const uint8_t> pictures, std::span<float> features) = 0;
};

// A network loaded and ready. Computes in float32.
//
// Threads: safe to share; each worker thread takes an EngineWorker of its own.
class Engine {
 public:
  virtual ~Engine() = default;

  // Of the arithmetic: engines of one name give the same bits.
  virtual std::string_view name() const = 0;
  virtual int features() const = 0;

  // How the pixels of its pictures are made; the scaling is the engine's own.
  virtual const Preprocessing& preprocessing() const { return kKerasPreprocessing; }

  virtual arrow::Result<std::unique_ptr<EngineWorker>> NewWorker() = 0;

  // How many workers keep a core busy: more than one where they wait for something else.
  virtual int workers_per_thread() const { return 1; }

  // Whether it can be used in a child of this process that was forked and did not call exec().
  virtual bool outlives_fork() const { return false; }

  // None where nobody asked for a device.
  virtual std::optional<DeviceUse> device_use() const { return std::nullopt; }
};

// Our own engine: the same bits on every CPU, for every batch and worker (docs/engine.md).
// Errors: NotImplemented where this machine or build lacks the instructions asked for.
arrow::Result<std::unique_ptr<Engine>> MakeNativeEngine(const Weights& weights,
                                                        Cpu cpu = Cpu::kBest);

// The native engine's arithmetic, and so its bits, on a device. device: a DeviceInfo's id; "any", the
// first GPU; or "auto", the same, and the CPU where there is none or where it fails in the middle, by
// the kernels of `cpu`. threads: whose workers feed it.
// Errors: NotImplemented where there is no such device or it does not compute as it must; IOError
// where it fails; see DeviceUse for "auto".
arrow::Result<std::unique_ptr<Engine>> MakeGpuEngine(const Weights& weights, Cpu cpu,
                                                     const std::string& device, int threads);

// OpenVINO on the CPU. `threads`: how many workers will run at once.
// Errors: NotImplemented where this build has no OpenVINO.
arrow::Result<std::unique_ptr<Engine>> MakeOpenVinoEngine(const Weights& weights, int threads);

}  // namespace pomona
