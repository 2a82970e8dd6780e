#include <algorithm>

#include "extract.h"
#include "guarded.h"
#include "infer/resize.h"
#include "pomona/check.h"
#include "pomona/decode.h"
#include "sha256.h"
#include "tasks.h"

namespace pomona {
namespace {

// Verdicts made before they are reported: bounds the memory.
constexpr size_t kBlockItems = 1024;

class Checker {
 public:
  Checker(Source& source, const CheckOptions& options)
      : source_(source),
        hashes_(options.hashes),
        resizer_(kInputSize, kInputSize, options.run.cpu) {}

  // Errors: the source's.
  arrow::Result<CheckResult> Check(const Item& item) {
    CheckResult result;
    result.item = &item;
    result.verdict = CheckResult::Verdict::kReject;
    ARROW_ASSIGN_OR_RAISE(result.reject, source_.Read(item, &bytes_));
    if (result.reject) return result;
    if (const auto format = SniffFormat(bytes_)) {
      result.format = *format == ImageFormat::kOther ? UnreadFormatName(bytes_, item.path)
                                                     : FormatName(*format);
    }

    std::variant<Picture, Reject> decoded = decoder_.Decode(bytes_, item.path);
    if (auto* reject = std::get_if<Reject>(&decoded)) {
      if (IsSkip(item.path, bytes_)) {
        result.verdict = CheckResult::Verdict::kSkip;
        result.skip_reason = kNotAnImage;
      } else {
        result.reject = std::move(*reject);
      }
      return result;
    }
    const Picture& picture = std::get<Picture>(decoded);
    result.verdict = CheckResult::Verdict::kOk;
    result.format = FormatName(picture.format);
    result.mode = picture.mode;
    result.width = picture.width;
    result.height = picture.height;
    if (hashes_) {
      resizer_.Resize(picture.width, picture.height, picture.rgb, input_);
      result.rgb_sha256 = Sha256().Add(picture.rgb).Hex();
      result.rgb224_sha256 = Sha256().Add(std::span<const uint8_t>(input_)).Hex();
    }
    return result;
  }

 private:
  Source& source_;
  const bool hashes_;
  FileBytes bytes_;
  Decoder decoder_;
  Resizer resizer_;
  std::vector<uint8_t> input_ = std::vector<uint8_t>(kPictureBytes);
};

// See Check().
arrow::Result<Counts> CheckAll(Source& source, const CheckOptions& options,
                               const std::function<void(const CheckResult&)>& report,
                               CancelToken cancel) {
  ARROW_RETURN_NOT_OK(ResolveCpu(options.run.cpu));
  ARROW_ASSIGN_OR_RAISE(PathFilter filter, PathFilter::Make(options.run));
  ARROW_ASSIGN_OR_RAISE(std::vector<Item> listed, ListAll(source, std::move(filter)));
  const std::vector<Item> items = Select(std::move(listed), options.run);
  const int threads = ThreadCount(options.run.threads);
  std::vector<std::unique_ptr<Checker>> checkers;
  for (int i = 0; i < threads; ++i) {
    checkers.push_back(std::make_unique<Checker>(source, options));
  }

  std::vector<const Item*> order;
  for (const Item& item : items) order.push_back(&item);
  source.Announce(order);

  Counts counts;
  counts.listed = static_cast<int64_t>(items.size());
  for (size_t begin = 0; begin < items.size(); begin += kBlockItems) {
    std::vector<CheckResult> results(std::min(kBlockItems, items.size() - begin));
    const auto check = [&](size_t i, int thread) -> arrow::Status {
      const Item& item = items[begin + i];
      auto result = Guarded([&] { return checkers[thread]->Check(item); });
      if (!result.ok()) return AtItem(item, result.status());
      results[i] = *std::move(result);
      return arrow::Status::OK();
    };
    ARROW_RETURN_NOT_OK(ParallelFor(results.size(), threads, cancel, check));
    for (const CheckResult& result : results) {
      report(result);
      switch (result.verdict) {
        case CheckResult::Verdict::kOk: ++counts.rows; break;
        case CheckResult::Verdict::kReject: ++counts.rejects; break;
        case CheckResult::Verdict::kSkip: ++counts.skips; break;
      }
    }
  }
  return counts;
}

}  // namespace

arrow::Result<Counts> Check(Source& source, const CheckOptions& options,
                            const std::function<void(const CheckResult&)>& report,
                            CancelToken cancel) {
  return Guarded([&] { return CheckAll(source, options, report, cancel); });
}

}  // namespace pomona
