// One image after another from bytes to features.
#pragma once

#include <arrow/result.h>

#include <memory>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "image_reader.h"
#include "infer/resize.h"
#include "pomona/engine.h"
#include "pomona/item.h"
#include "pomona/reports.h"
#include "statistics/gather.h"
#include "store/image_properties.h"

namespace pomona {

// A thread's own decoder, resizer and network, with their buffers.
//
// Threads: none shared; each worker owns one.
class ImageWorker {
 public:
  // `memory`: shared, outlives this.
  static arrow::Result<std::unique_ptr<ImageWorker>> Make(Engine& engine, const RunOptions& options,
                                                          ImageMemory* memory);

  // From a file, read by `read` or in memory, to Engine::features() values, which are left alone
  // where there is no row, as is `image`: what the file holds, null where nobody asks.
  // `path`, errors: see ImageReader::Process().
  arrow::Result<Outcome> Extract(std::string_view path, int64_t size,
                                 const ImageReader::ReadBytes& read, std::span<float> features,
                                 ImageProperties* image = nullptr);
  arrow::Result<Outcome> Extract(std::string_view path, std::span<const uint8_t> file,
                                 std::span<float> features);

  // The same from pixels: height x width x 3.
  arrow::Status ExtractPixels(int width, int height, std::span<const uint8_t> rgb,
                              std::span<float> features);

  // Spent so far.
  WorkerSeconds seconds() const;

 private:
  arrow::Status Infer(std::span<float> features);
  void Describe(const PictureInfo& picture, ImageProperties* image);

  ImageWorker(std::unique_ptr<EngineWorker> engine, const Preprocessing& preprocessing,
              const RunOptions& options, ImageMemory* memory)
      : engine_(std::move(engine)),
        reader_(memory, options.decode == DecodeMode::kScaled ? preprocessing.scaled_side() : 0),
        resizer_(preprocessing, options.cpu) {
    if (options.stats == StatsKind::kNone) return;
    statistics_.emplace(options.stats, options.cpu, &resizer_);
  }

  const std::unique_ptr<EngineWorker> engine_;
  ImageReader reader_;
  Resizer resizer_;
  std::optional<StatisticsGatherer> statistics_;
  double digest_seconds_ = 0;
  Durations resize_;  // of pixels that were not decoded here
  Durations infer_;
  Durations images_;
};

}  // namespace pomona
