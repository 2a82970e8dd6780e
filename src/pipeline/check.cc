#include "pomona/check.h"

#include <algorithm>
#include <atomic>
#include <iterator>
#include <memory>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

#include "guarded.h"
#include "hex.h"
#include "image_reader.h"
#include "infer/resize.h"
#include "messages.h"
#include "pomona/decode.h"
#include "pomona/engine.h"
#include "pomona/row_sink.h"
#include "sha256.h"
#include "statistics/columns.h"
#include "statistics/gather.h"
#include "tasks.h"

namespace pomona {
namespace {

// Outcomes made before they are reported: bounds the memory.
constexpr size_t kBlockItems = 1024;

// Of all rows of a picture, and of what the network would get.
class PictureHashes : public RowSink {
 public:
  explicit PictureHashes(Cpu cpu) : resizer_(kKerasPreprocessing, cpu) {}

  void Begin(int width, int height) override {
    row_bytes_ = size_t{3} * static_cast<size_t>(width);
    rgb_ = Sha256();
    resizer_.Begin(width, height);
  }
  void Add(const uint8_t* rows, int count) noexcept override {
    rgb_.Add(std::span(rows, row_bytes_ * static_cast<size_t>(count)));
    resizer_.Add(rows, count);
  }
  std::string OfRows() { return rgb_.Hex(); }
  std::string OfInput() const { return Sha256().Add(resizer_.picture()).Hex(); }

 private:
  size_t row_bytes_ = 0;
  Sha256 rgb_;
  Resizer resizer_;
};

class NoRows : public RowSink {
 public:
  void Begin(int, int) override {}
  void Add(const uint8_t*, int) noexcept override {}
};

// A thread's own.
class Checker {
 public:
  Checker(Source& source, const CheckOptions& options, ImageMemory* memory)
      : source_(source),
        with_hashes_(options.hashes),
        stats_(options.run.stats),
        reader_(memory),
        hashes_(options.run.cpu) {
    if (with_hashes_) rows_ = &hashes_;
    if (stats_ == StatsKind::kNone) return;
    statistics_.emplace(stats_, options.run.cpu, rows_);
    rows_ = &*statistics_;
  }

  // Errors: the source's.
  arrow::Result<CheckResult> Check(const Item& item) {
    CheckResult result;
    result.item = &item;
    bool read = false;
    const auto read_item = [&](FileBytes* bytes) -> arrow::Result<std::optional<Reject>> {
      ARROW_ASSIGN_OR_RAISE(auto reject, source_.Read(item, bytes));
      read = !reject;
      return reject;
    };
    const auto describe = [&](const PictureInfo& picture) {
      result.format = FormatName(picture.format);
      result.mode = picture.mode;
      result.width = picture.width;
      result.height = picture.height;
      if (with_hashes_) {
        result.rgb_sha256 = hashes_.OfRows();
        result.rgb224_sha256 = hashes_.OfInput();
      }
      if (statistics_) {
        const ImageStatistics statistics = statistics_->Finish(picture.mode);
        result.statistics = StatisticNumbers(statistics, stats_);
        if (stats_ == StatsKind::kFull) result.rgb_sha256 = Hex(statistics.pixels_sha256);
      }
      return arrow::Status::OK();
    };
    ARROW_ASSIGN_OR_RAISE(result.outcome,
                          reader_.Process(item.path, item.size, read_item, rows_, describe));
    if (!read || !result.format.empty()) return result;
    if (const auto format = SniffFormat(reader_.bytes())) {
      result.format = *format == ImageFormat::kOther ? UnreadFormatName(reader_.bytes(), item.path)
                                                     : FormatName(*format);
    }
    return result;
  }

 private:
  Source& source_;
  const bool with_hashes_;
  const StatsKind stats_;
  ImageReader reader_;
  NoRows no_rows_;
  PictureHashes hashes_;
  std::optional<StatisticsGatherer> statistics_;
  RowSink* rows_ = &no_rows_;  // what all of these that are asked for get to see
};

// Items checked by several threads and reported in their order.
class Checkers {
 public:
  Checkers(Source& source, const CheckOptions& options,
           const std::function<void(const CheckResult&)>& report, const RunHooks& hooks)
      : report_(report), hooks_(hooks), memory_(options.run.memory) {
    for (int i = ThreadCount(options.run.threads); i > 0; --i) {
      checkers_.push_back(std::make_unique<Checker>(source, options, &memory_));
    }
  }

  arrow::Status Check(const std::vector<Item>& items) {
    std::vector<CheckResult> results(items.size());
    std::atomic<int64_t> done = summary_.counts.listed;
    const auto check = [&](size_t i, int thread) -> arrow::Status {
      ARROW_ASSIGN_OR_RAISE(results[i], checkers_[thread]->Check(items[i]));
      ++done;
      return arrow::Status::OK();
    };
    const auto poll = [&] {
      if (hooks_.progress) hooks_.progress({"check", done, 0, summary_.counts});
    };
    const int threads = static_cast<int>(checkers_.size());
    ARROW_RETURN_NOT_OK(ParallelFor(items.size(), threads, hooks_.cancel, check, poll));
    for (const CheckResult& result : results) {
      ARROW_RETURN_NOT_OK(Count(result));
      report_(result);
    }
    return arrow::Status::OK();
  }

  const CheckSummary& summary() const { return summary_; }

 private:
  arrow::Status Count(const CheckResult& result) {
    Counts& counts = summary_.counts;
    ++counts.listed;
    if (result.item->label().empty()) ++summary_.unlabelled;
    switch (result.outcome.verdict) {
      case Verdict::kOpen: return Forgotten(result.item->path);
      case Verdict::kRow: ++counts.rows; break;
      case Verdict::kReject:
        ++counts.rejects;
        ++summary_.rejects_by_reason[std::string(ReasonName(result.outcome.reject->reason))];
        break;
      case Verdict::kSkip:
        ++counts.skips;
        ++summary_.skips_by_reason[kNotAnImage];
        break;
    }
    return arrow::Status::OK();
  }

  const std::function<void(const CheckResult&)>& report_;
  const RunHooks& hooks_;
  ImageMemory memory_;
  std::vector<std::unique_ptr<Checker>> checkers_;
  CheckSummary summary_;
};

// See Check().
arrow::Result<CheckSummary> CheckAll(Source& source, const CheckOptions& options,
                                     const std::function<void(const CheckResult&)>& report,
                                     const RunHooks& hooks) {
  ARROW_RETURN_NOT_OK(ResolveCpu(options.run.cpu));
  ARROW_ASSIGN_OR_RAISE(PathFilter filter, PathFilter::Make(options.run));
  Checkers checkers(source, options, report, hooks);
  std::vector<Item> waiting;
  arrow::Status checked;
  ARROW_RETURN_NOT_OK(ListSelected(source, options.run, &filter, [&](std::vector<Item> items) {
    source.Prefetch(items);
    std::ranges::move(items, std::back_inserter(waiting));
    if (waiting.size() >= kBlockItems) checked = checkers.Check(std::exchange(waiting, {}));
    return checked.ok() && !hooks.cancel.requested();
  }));
  ARROW_RETURN_NOT_OK(checked);
  ARROW_RETURN_NOT_OK(hooks.cancel.Check());
  ARROW_RETURN_NOT_OK(checkers.Check(waiting));
  CheckSummary summary = checkers.summary();
  const Counts& counts = summary.counts;
  TellOfFilter(filter, static_cast<size_t>(counts.listed) < ItemLimit(options.run), hooks);
  summary.passed = WithinBound(options.run.max_rejects, counts.rows, counts.rejects);
  return summary;
}

}  // namespace

bool IsCheckOption(const RunOptionSpec& spec) {
  static constexpr std::string_view kNames[] = {
      "mode",   "include",     "exclude",     "hidden",       "limit", "threads",   "stats",
      "memory", "max-rejects", "s3-endpoint", "s3-anonymous", "cache", "cache-size"};
  return std::ranges::find(kNames, spec.name) != std::end(kNames);
}

arrow::Result<CheckSummary> Check(Source& source, const CheckOptions& options,
                                  const std::function<void(const CheckResult&)>& report,
                                  const RunHooks& hooks) {
  return Guarded([&] { return CheckAll(source, options, report, hooks); });
}

}  // namespace pomona
