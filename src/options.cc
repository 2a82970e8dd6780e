#include "pomona/options.h"

#include <sched.h>

#include <algorithm>
#include <charconv>
#include <thread>

namespace pomona {

std::string_view ModeName(Mode mode) {
  switch (mode) {
    case Mode::kMini: return "mini";
    case Mode::kApples: return "apples";
    case Mode::kFull: return "full";
  }
  return "";
}

arrow::Result<Mode> ParseMode(std::string_view text) {
  for (Mode mode : {Mode::kMini, Mode::kApples, Mode::kFull}) {
    if (text == ModeName(mode)) return mode;
  }
  return arrow::Status::Invalid("mode '", text, "': expected mini, apples or full");
}

std::string_view EngineName(EngineKind engine) {
  return engine == EngineKind::kNative ? "native" : "openvino";
}

arrow::Result<EngineKind> ParseEngine(std::string_view text) {
  for (EngineKind engine : {EngineKind::kNative, EngineKind::kOpenVino}) {
    if (text == EngineName(engine)) return engine;
  }
  return arrow::Status::Invalid("engine '", text, "': expected native or openvino");
}

arrow::Result<Formats> ParseFormats(std::string_view text) {
  Formats formats{.parquet = false, .csv = false};
  for (size_t begin = 0; begin <= text.size();) {
    const size_t end = std::min(text.find(',', begin), text.size());
    const std::string_view name = text.substr(begin, end - begin);
    if (name == "parquet") {
      formats.parquet = true;
    } else if (name == "csv") {
      formats.csv = true;
    } else {
      return arrow::Status::Invalid("formats '", text, "': expected parquet, csv or parquet,csv");
    }
    begin = end + 1;
  }
  return formats;
}

arrow::Result<VectorLayout> ParseVectorLayout(std::string_view text) {
  if (text == "list") return VectorLayout::kList;
  if (text == "spark") return VectorLayout::kSpark;
  return arrow::Status::Invalid("vectors '", text, "': expected list or spark");
}

arrow::Result<RejectBound> ParseRejectBound(std::string_view text) {
  RejectBound bound;
  std::string_view number = text;
  bound.percent = number.ends_with('%');
  if (bound.percent) number.remove_suffix(1);
  const char* end = number.data() + number.size();
  const auto [stop, error] = std::from_chars(number.data(), end, bound.value);
  const bool whole = bound.percent || bound.value == static_cast<double>(int64_t(bound.value));
  if (error != std::errc() || stop != end || bound.value < 0 || bound.value > 1e15 || !whole) {
    return arrow::Status::Invalid("max-rejects '", text,
                                  "': expected a number of images (20) or a share (0.5%)");
  }
  return bound;
}

int ThreadCount(int requested) {
  if (requested > 0) return requested;
  cpu_set_t cores;  // taskset and containers narrow it; hardware_concurrency() may not notice
  if (sched_getaffinity(0, sizeof cores, &cores) == 0) return std::max(1, CPU_COUNT(&cores));
  return static_cast<int>(std::max(1u, std::thread::hardware_concurrency()));
}

arrow::Status Validate(const RunOptions& options) {
  if (options.pca_components < 1) {
    return arrow::Status::Invalid("pca-components ", options.pca_components, ": at least 1");
  }
  if (options.threads < 0) {
    return arrow::Status::Invalid("threads ", options.threads, ": at least 1, or 0 for all cores");
  }
  if (options.limit < 0) return arrow::Status::Invalid("limit ", options.limit, ": at least 1");
  if (!options.formats.parquet && !options.formats.csv) {
    return arrow::Status::Invalid("formats: name parquet, csv or both");
  }
  if (options.fragment_items < 1 || options.part_rows < options.fragment_items) {
    return arrow::Status::Invalid("a part needs room for a fragment, and a fragment for an item");
  }
  for (const char c : options.run_id) {
    const bool allowed = (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') ||
                         (c >= 'a' && c <= 'z') || c == '_' || c == '-' || c == '.';
    if (!allowed) {
      return arrow::Status::Invalid("run-id '", options.run_id,
                                    "': letters, digits, '_', '-' and '.' only");
    }
  }
  return arrow::Status::OK();
}

}  // namespace pomona
