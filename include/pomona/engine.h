// Pictures -> features: the seam behind which an inference engine stands.
#pragma once

#include <arrow/result.h>

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "pomona/cpu.h"
#include "pomona/options.h"
#include "pomona/weights.h"

namespace pomona {

// The size of the pictures that the original pipeline feeds to the network.
inline constexpr int kInputSize = 224;
inline constexpr size_t kPictureBytes = size_t{kInputSize} * kInputSize * 3;

// The shortest side that a JPEG keeps where it is decoded at a fraction of its size: the resize still
// has twice as many pixels as it makes.
inline constexpr int kScaledSide = 2 * kInputSize;

// The name under which outputs record what is done to a picture before the network sees it.
constexpr std::string_view PreprocessingName(DecodeMode decode) {
  return decode == DecodeMode::kScaled ? "rgb-jpegscaled448-bicubic224-pillow/scale-127.5-1"
                                       : "rgb-bicubic224-pillow/scale-127.5-1";
}

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

  virtual std::string_view name() const = 0;
  virtual int features() const = 0;
  virtual arrow::Result<std::unique_ptr<EngineWorker>> NewWorker() = 0;
};

// Our own engine: the same bits on every CPU, for every batch and worker (docs/engine.md).
// Errors: NotImplemented where this machine or build lacks the instructions asked for.
arrow::Result<std::unique_ptr<Engine>> MakeNativeEngine(const Weights& weights,
                                                        Cpu cpu = Cpu::kBest);

// OpenVINO on the CPU. `threads`: how many workers will run at once.
// Errors: NotImplemented where this build has no OpenVINO.
arrow::Result<std::unique_ptr<Engine>> MakeOpenVinoEngine(const Weights& weights, int threads);

}  // namespace pomona
