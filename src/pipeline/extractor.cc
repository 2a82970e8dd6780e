#include "pomona/extractor.h"

#include <arrow/array.h>
#include <arrow/builder.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <mutex>
#include <optional>
#include <thread>
#include <utility>
#include <vector>

#include "guarded.h"
#include "image_worker.h"
#include "model.h"
#include "pomona/source.h"
#include "tasks.h"

namespace pomona {
namespace {

// The features are in their place where there is a row.
arrow::Result<Outcome> ExtractOne(const Image& image, ImageWorker* worker,
                                  std::span<float> features) {
  if (const auto* pixels = std::get_if<Pixels>(&image.content)) {
    const arrow::Status extracted = Guarded([&] {
      return worker->ExtractPixels(pixels->width, pixels->height, pixels->rgb, features);
    });
    if (!extracted.ok()) return AtImage(image.path, extracted);
    return Outcome{Verdict::kRow, std::nullopt};
  }
  if (const auto* file = std::get_if<std::span<const uint8_t>>(&image.content)) {
    return worker->Extract(image.path, *file, features);
  }
  const std::string path(image.path);
  struct stat info;
  const int64_t size = stat(path.c_str(), &info) == 0 ? info.st_size : 0;
  const auto read = [&](FileBytes* bytes) { return ReadLocalFile(path, bytes); };
  return worker->Extract(image.path, size, read, features);
}

// Columns of the result, one image after another.
class Table {
 public:
  arrow::Status Append(const Image& image, const Outcome& outcome) {
    if (image.path.empty()) {
      ARROW_RETURN_NOT_OK(path_.AppendNull());
      ARROW_RETURN_NOT_OK(label_.AppendNull());
    } else {
      const Item item{EscapeName(image.path)};
      ARROW_RETURN_NOT_OK(path_.Append(item.path));
      ARROW_RETURN_NOT_OK(label_.Append(item.label()));
    }
    if (outcome.verdict == Verdict::kOpen) return Forgotten(image.path);
    const bool ok = outcome.verdict == Verdict::kRow;
    const bool skip = outcome.verdict == Verdict::kSkip;
    ARROW_RETURN_NOT_OK(verdict_.Append(VerdictName(outcome.verdict)));
    ARROW_RETURN_NOT_OK(ok_.Append(ok));
    if (ok) {
      ARROW_RETURN_NOT_OK(stage_.AppendNull());
      ARROW_RETURN_NOT_OK(reason_.AppendNull());
      return message_.AppendNull();
    }
    if (skip) {
      ARROW_RETURN_NOT_OK(stage_.AppendNull());
      ARROW_RETURN_NOT_OK(reason_.Append(kNotAnImage));
      return message_.AppendNull();
    }
    ARROW_RETURN_NOT_OK(stage_.Append(StageName(outcome.reject->stage)));
    ARROW_RETURN_NOT_OK(reason_.Append(ReasonName(outcome.reject->reason)));
    return message_.Append(outcome.reject->message);
  }

  // features: the rows of the images that are ok, without gaps.
  arrow::Result<std::shared_ptr<arrow::RecordBatch>> Finish(std::shared_ptr<arrow::Buffer> features,
                                                            int dimensions) {
    const std::shared_ptr<arrow::Schema> schema = ExtractorSchema();
    const int64_t length = ok_.length();
    arrow::TypedBufferBuilder<int32_t> offsets;
    ARROW_RETURN_NOT_OK(offsets.Append(0));
    int64_t nulls = 0;
    std::shared_ptr<arrow::BooleanArray> ok;
    ARROW_RETURN_NOT_OK(ok_.Finish(&ok));
    for (int64_t i = 0; i < length; ++i) {
      nulls += !ok->Value(i);
      ARROW_RETURN_NOT_OK(offsets.Append(static_cast<int32_t>((i + 1 - nulls) * dimensions)));
    }
    ARROW_ASSIGN_OR_RAISE(auto offset_buffer, offsets.Finish());
    auto values =
        std::make_shared<arrow::FloatArray>((length - nulls) * dimensions, std::move(features));
    auto vectors = std::make_shared<arrow::ListArray>(schema->GetFieldByName("features")->type(),
                                                      length, std::move(offset_buffer),
                                                      std::move(values), ok->values(), nulls);

    std::shared_ptr<arrow::Array> path, label, verdict, stage, reason, message;
    ARROW_RETURN_NOT_OK(path_.Finish(&path));
    ARROW_RETURN_NOT_OK(label_.Finish(&label));
    ARROW_RETURN_NOT_OK(verdict_.Finish(&verdict));
    ARROW_RETURN_NOT_OK(stage_.Finish(&stage));
    ARROW_RETURN_NOT_OK(reason_.Finish(&reason));
    ARROW_RETURN_NOT_OK(message_.Finish(&message));
    return arrow::RecordBatch::Make(schema, length,
                                    {path, label, verdict, vectors, stage, reason, message});
  }

 private:
  arrow::StringBuilder path_, label_, verdict_, stage_, reason_, message_;
  arrow::BooleanBuilder ok_;
};

class ThreadedExtractor : public Extractor {
 public:
  ThreadedExtractor(std::unique_ptr<Engine> engine, ModelIdentity model)
      : engine_(std::move(engine)), model_(std::move(model)) {}

  // A crew that came by a fork is left alone: it may have been in the middle of an image. So is an
  // engine with threads, which the child lacks.
  ~ThreadedExtractor() override {
    Crew* const crew = crew_;
    if (crew && crew->process == getpid()) delete crew;
    if (IsForeign()) static_cast<void>(engine_.release());
  }

  arrow::Status MakeCrew(const RunOptions& options) {
    workers_ = WorkerCount(ThreadCount(options.threads), engine_->workers_per_thread());
    options_ = options;
    return CrewOfThisProcess().status();
  }

  int features() const override { return engine_->features(); }
  const ModelIdentity& model() const override { return model_; }
  std::string_view engine() const override { return engine_->name(); }
  std::optional<DeviceUse> device_use() const override {
    return IsForeign() ? std::nullopt : engine_->device_use();
  }
  std::string preprocessing() const override {
    return model_.preprocessing->RecordedName(options_.decode);
  }

  arrow::Result<std::shared_ptr<arrow::RecordBatch>> Extract(std::span<const Image> images,
                                                             const RunHooks& hooks) override {
    return Guarded([&] { return ExtractAll(images, hooks); });
  }

 private:
  arrow::Result<std::shared_ptr<arrow::RecordBatch>> ExtractAll(std::span<const Image> images,
                                                                const RunHooks& hooks) {
    ARROW_ASSIGN_OR_RAISE(Crew* const crew, CrewOfThisProcess());
    if (crew->caller == std::this_thread::get_id()) {
      return arrow::Status::UnknownError(
          "this Extractor is extracting already: its progress callback cannot call it");
    }
    const std::lock_guard lock(crew->mutex);
    crew->caller = std::this_thread::get_id();
    const auto leave = std::unique_ptr<Crew, void (*)(Crew*)>(
        crew, [](Crew* left) { left->caller = std::thread::id(); });
    const size_t dimensions = features();
    if (images.size() * dimensions > INT32_MAX) {
      return arrow::Status::Invalid(images.size(), " images at once: at most ",
                                    INT32_MAX / dimensions, " fit into one list array");
    }
    ARROW_ASSIGN_OR_RAISE(auto buffer, arrow::AllocateResizableBuffer(static_cast<int64_t>(
                                           images.size() * dimensions * sizeof(float))));
    float* const values = reinterpret_cast<float*>(buffer->mutable_data());
    const auto row = [&](size_t i) { return std::span(values + i * dimensions, dimensions); };

    std::vector<Outcome> outcomes(images.size());
    std::atomic<size_t> done = 0;
    const auto extract = [&](size_t i, int thread) -> arrow::Status {
      ImageWorker* const worker = crew->workers[thread].get();
      ARROW_ASSIGN_OR_RAISE(outcomes[i], ExtractOne(images[i], worker, row(i)));
      ++done;
      return arrow::Status::OK();
    };
    const auto poll = [&] {
      if (hooks.progress) {
        hooks.progress({"extract", static_cast<int64_t>(done), std::ssize(images), {}});
      }
    };
    const int threads = static_cast<int>(crew->workers.size());
    ARROW_RETURN_NOT_OK(ParallelFor(images.size(), threads, hooks.cancel, extract, poll));

    Table table;
    size_t rows = 0;
    for (size_t i = 0; i < images.size(); ++i) {
      ARROW_RETURN_NOT_OK(table.Append(images[i], outcomes[i]));
      if (outcomes[i].verdict != Verdict::kRow) continue;
      if (rows != i) std::copy_n(row(i).begin(), dimensions, row(rows).begin());
      ++rows;
    }
    ARROW_RETURN_NOT_OK(buffer->Resize(static_cast<int64_t>(rows * dimensions * sizeof(float))));
    return table.Finish(std::move(buffer), static_cast<int>(dimensions));
  }

  // Who does the work in one process.
  struct Crew {
    explicit Crew(int64_t bytes) : memory(bytes) {}

    const pid_t process = getpid();
    std::mutex mutex;                     // for workers
    std::atomic<std::thread::id> caller;  // who holds the mutex
    ImageMemory memory;
    std::vector<std::unique_ptr<ImageWorker>> workers;
  };

  // A forked child gets workers of its own. Those it inherited may be in the middle of an image,
  // behind a mutex held by a thread that it lacks; they are left alone.
  arrow::Result<Crew*> CrewOfThisProcess() {
    Crew* current = crew_;
    if (current && current->process == getpid()) return current;
    if (IsForeign()) {
      return arrow::Status::UnknownError(
          "the engine ", EngineName(options_.engine),
          " does not outlive a fork: start the process by \"spawn\"");
    }
    auto made = std::make_unique<Crew>(options_.memory);
    for (int i = 0; i < workers_; ++i) {
      ARROW_ASSIGN_OR_RAISE(made->workers.emplace_back(),
                            ImageWorker::Make(*engine_, options_, &made->memory));
    }
    // Of threads that come here at once, one wins.
    return crew_.compare_exchange_strong(current, made.get()) ? made.release() : current;
  }

  // Whether this came by a fork that the engine does not outlive.
  bool IsForeign() const { return process_ != getpid() && !engine_->outlives_fork(); }

  const pid_t process_ = getpid();
  std::unique_ptr<Engine> engine_;
  const ModelIdentity model_;
  int workers_ = 0;
  RunOptions options_;
  std::atomic<Crew*> crew_ = nullptr;
};

}  // namespace

arrow::Result<std::unique_ptr<Extractor>> Extractor::Make(const Weights& weights,
                                                          const RunOptions& options) {
  return Guarded([&]() -> arrow::Result<std::unique_ptr<Extractor>> {
    ARROW_RETURN_NOT_OK(Validate(options));
    ARROW_RETURN_NOT_OK(ResolveCpu(options.cpu));
    ARROW_ASSIGN_OR_RAISE(auto engine, MakeEngine(weights, options));
    auto extractor = std::make_unique<ThreadedExtractor>(std::move(engine), IdentityOf(weights));
    ARROW_RETURN_NOT_OK(extractor->MakeCrew(options));
    return extractor;
  });
}

arrow::Result<std::unique_ptr<Extractor>> Extractor::MakeFor(const FeatureOrigin& origin,
                                                             const Weights& weights,
                                                             const RunOptions& options) {
  RunOptions like = options;
  for (const DecodeMode decode : {DecodeMode::kExact, DecodeMode::kScaled}) {
    like.decode = decode;
    if (OriginOf(IdentityOf(weights), decode) == origin) return Make(weights, like);
  }
  const FeatureOrigin here = OriginOf(IdentityOf(weights), options.decode);
  return arrow::Status::Invalid(
      weights.path(), ": holds the weights ", here.weights_digest, ", for the preprocessing ",
      here.preprocessing, ", but the features were made with the weights ", origin.weights_digest,
      " and the preprocessing ", origin.preprocessing, "; name their file by --weights");
}

std::shared_ptr<arrow::Schema> ExtractorSchema() {
  const auto text = arrow::utf8();
  return arrow::schema({
      arrow::field("path", text),
      arrow::field("label", text),
      arrow::field("verdict", text, /*nullable=*/false),
      arrow::field("features", arrow::list(arrow::field("element", arrow::float32()))),
      arrow::field("stage", text),
      arrow::field("reason", text),
      arrow::field("message", text),
  });
}

}  // namespace pomona
