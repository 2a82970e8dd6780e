// One image after another from bytes to features.
#pragma once

#include <arrow/result.h>

#include <memory>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "infer/resize.h"
#include "pomona/decode.h"
#include "pomona/engine.h"
#include "pomona/item.h"

namespace pomona {

// A thread's own decoder, resizer and network, with their buffers.
//
// Threads: none shared; each worker owns one.
class ImageWorker {
 public:
  // Seconds spent so far.
  struct Seconds {
    double decode = 0;
    double resize = 0;
    double infer = 0;
  };

  // `cpu`: of the resizer; the engine has its own.
  static arrow::Result<std::unique_ptr<ImageWorker>> Make(Engine& engine, Cpu cpu);

  // path: see Decoder::Decode(). features: Engine::features() values, left alone where the image is
  // rejected. Errors: the engine's, which concern every image.
  arrow::Result<std::optional<Reject>> Extract(std::span<const uint8_t> file, std::string_view path,
                                               std::span<float> features);

  // The same from pixels: height x width x 3.
  arrow::Status ExtractPixels(int width, int height, std::span<const uint8_t> rgb,
                              std::span<float> features);

  const Seconds& seconds() const { return seconds_; }

 private:
  ImageWorker(std::unique_ptr<EngineWorker> engine, Cpu cpu)
      : engine_(std::move(engine)), resizer_(kInputSize, kInputSize, cpu) {}

  const std::unique_ptr<EngineWorker> engine_;
  Decoder decoder_;
  Resizer resizer_;
  std::vector<uint8_t> input_ = std::vector<uint8_t>(kPictureBytes);
  Seconds seconds_;
};

}  // namespace pomona
