#include "image_worker.h"

#include <utility>

#include "sha256.h"
#include "stopwatch.h"

namespace pomona {

arrow::Result<std::unique_ptr<ImageWorker>> ImageWorker::Make(Engine& engine,
                                                              const RunOptions& options,
                                                              ImageMemory* memory) {
  ARROW_ASSIGN_OR_RAISE(auto worker, engine.NewWorker());
  return std::unique_ptr<ImageWorker>(
      new ImageWorker(std::move(worker), engine.preprocessing(), options, memory));
}

arrow::Result<Outcome> ImageWorker::Extract(std::string_view path, int64_t size,
                                            const ImageReader::ReadBytes& read,
                                            std::span<float> features, ImageProperties* image) {
  Stopwatch watch;
  const auto use = [&](const PictureInfo& picture) {
    if (image) Describe(picture, image);
    return Infer(features);
  };
  RowSink* const rows = image && statistics_ ? static_cast<RowSink*>(&*statistics_) : &resizer_;
  auto outcome = reader_.Process(path, size, read, rows, use);
  if (outcome.ok() && outcome->verdict == Verdict::kRow) watch.Lap(&images_);
  return outcome;
}

arrow::Result<Outcome> ImageWorker::Extract(std::string_view path, std::span<const uint8_t> file,
                                            std::span<float> features) {
  return reader_.Process(path, file, &resizer_,
                         [&](const PictureInfo&) { return Infer(features); });
}

arrow::Status ImageWorker::ExtractPixels(int width, int height, std::span<const uint8_t> rgb,
                                         std::span<float> features) {
  Stopwatch watch;
  resizer_.Begin(width, height);
  resizer_.Add(rgb.data(), height);
  watch.Lap(&resize_);
  return Infer(features);
}

void ImageWorker::Describe(const PictureInfo& picture, ImageProperties* image) {
  Stopwatch watch;
  *image = {NameOf(FormatName(picture.format)),
            NameOf(picture.mode),
            picture.width,
            picture.height,
            Sha256().Add(reader_.bytes()).Digest(),
            {}};
  watch.Lap(&digest_seconds_);
  if (statistics_) image->statistics = statistics_->Finish(picture.mode);
}

arrow::Status ImageWorker::Infer(std::span<float> features) {
  Stopwatch watch;
  const arrow::Status inferred = engine_->Infer(resizer_.picture(), features);
  watch.Lap(&infer_);
  return inferred;
}

WorkerSeconds ImageWorker::seconds() const {
  WorkerSeconds seconds;
  seconds.read = reader_.read_durations();
  seconds.read.Lengthen(digest_seconds_);
  seconds.decode = reader_.decode_durations();
  seconds.resize = reader_.rows_durations();
  seconds.resize += resize_;
  seconds.infer = infer_;
  seconds.images = images_;
  seconds.read_bytes = reader_.read_bytes();
  return seconds;
}

}  // namespace pomona
