#include "image_worker.h"

#include <utility>
#include <variant>

#include "stopwatch.h"

namespace pomona {

arrow::Result<std::unique_ptr<ImageWorker>> ImageWorker::Make(Engine& engine, Cpu cpu) {
  ARROW_ASSIGN_OR_RAISE(auto worker, engine.NewWorker());
  return std::unique_ptr<ImageWorker>(new ImageWorker(std::move(worker), cpu));
}

arrow::Result<std::optional<Reject>> ImageWorker::Extract(std::span<const uint8_t> file,
                                                          std::string_view path,
                                                          std::span<float> features) {
  Stopwatch watch;
  std::variant<Picture, Reject> decoded = decoder_.Decode(file, path);
  watch.Lap(&seconds_.decode);
  if (auto* reject = std::get_if<Reject>(&decoded)) return std::move(*reject);
  const Picture& picture = std::get<Picture>(decoded);
  ARROW_RETURN_NOT_OK(ExtractPixels(picture.width, picture.height, picture.rgb, features));
  return std::nullopt;
}

arrow::Status ImageWorker::ExtractPixels(int width, int height, std::span<const uint8_t> rgb,
                                         std::span<float> features) {
  Stopwatch watch;
  resizer_.Resize(width, height, rgb, input_);
  watch.Lap(&seconds_.resize);
  ARROW_RETURN_NOT_OK(engine_->Infer(input_, features));
  watch.Lap(&seconds_.infer);
  return arrow::Status::OK();
}

}  // namespace pomona
