#include "image_worker.h"

#include <utility>

#include "stopwatch.h"

namespace pomona {

arrow::Result<std::unique_ptr<ImageWorker>> ImageWorker::Make(Engine& engine, Cpu cpu) {
  ARROW_ASSIGN_OR_RAISE(auto worker, engine.NewWorker());
  return std::unique_ptr<ImageWorker>(new ImageWorker(std::move(worker), cpu));
}

arrow::Result<Outcome> ImageWorker::Extract(std::string_view path,
                                            const ImageReader::ReadBytes& read,
                                            std::span<float> features) {
  Stopwatch watch;
  auto outcome = reader_.Process(path, read, [&](const Picture& picture) {
    return ExtractPixels(picture.width, picture.height, picture.rgb, features);
  });
  double seconds = 0;
  watch.Lap(&seconds);
  if (outcome.ok() && outcome->verdict == Verdict::kRow) times_.Add(seconds);
  return outcome;
}

arrow::Result<Outcome> ImageWorker::Extract(std::string_view path, std::span<const uint8_t> file,
                                            std::span<float> features) {
  return reader_.Process(path, file, [&](const Picture& picture) {
    return ExtractPixels(picture.width, picture.height, picture.rgb, features);
  });
}

arrow::Status ImageWorker::ExtractPixels(int width, int height, std::span<const uint8_t> rgb,
                                         std::span<float> features) {
  Stopwatch watch;
  resizer_.Resize(width, height, rgb, input_);
  watch.Lap(&resize_seconds_);
  ARROW_RETURN_NOT_OK(engine_->Infer(input_, features));
  watch.Lap(&infer_seconds_);
  return arrow::Status::OK();
}

WorkerSeconds ImageWorker::seconds() const {
  return {.read = reader_.read_seconds(),
          .decode = reader_.decode_seconds(),
          .resize = resize_seconds_,
          .infer = infer_seconds_,
          .images = times_};
}

}  // namespace pomona
