#include "progress.h"

#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "output.h"

namespace pomona::cli {
namespace {

constexpr std::chrono::seconds kLogInterval{5};
constexpr std::chrono::milliseconds kBarInterval{100};
constexpr int kBarWidth = 24;

std::string Duration(double seconds) {
  const auto whole = static_cast<int64_t>(seconds + 0.5);
  char text[48];
  if (whole >= 3600) {
    std::snprintf(text, sizeof text, "%ldh%02ldm", whole / 3600, whole / 60 % 60);
  } else if (whole >= 60) {
    std::snprintf(text, sizeof text, "%ldm%02lds", whole / 60, whole % 60);
  } else {
    std::snprintf(text, sizeof text, "%lds", whole);
  }
  return text;
}

// What takes its time: not what was taken over from earlier runs.
int64_t Made(const Progress& progress) {
  if (progress.stage != "extract") return progress.done;
  return progress.done - progress.counts.resumed - progress.counts.reused;
}

// What the line says, for programs; counts by the names of run_info.
nlohmann::ordered_json Numbers(const Progress& progress, double rate) {
  nlohmann::ordered_json total = nullptr;
  if (progress.total > 0) total = progress.total;
  const Counts& counts = progress.counts;
  return {{"stage", progress.stage}, {"done", progress.done},     {"total", total},
          {"per_second", rate},      {"rows", counts.rows},       {"rejects", counts.rejects},
          {"skips", counts.skips},   {"resumed", counts.resumed}, {"reused", counts.reused}};
}

}  // namespace

arrow::Result<ProgressStyle> ParseProgressStyle(std::string_view text) {
  if (text == "auto") return ProgressStyle::kAuto;
  if (text == "bar") return ProgressStyle::kBar;
  if (text == "log") return ProgressStyle::kLog;
  if (text == "none") return ProgressStyle::kNone;
  return arrow::Status::Invalid("progress '", text, "': expected auto, bar, log or none");
}

ProgressPrinter::ProgressPrinter(ProgressStyle style) : style_(style) {
  if (LogsJson() && style_ != ProgressStyle::kNone) style_ = ProgressStyle::kLog;
  if (style_ == ProgressStyle::kAuto) {
    style_ = isatty(STDERR_FILENO) ? ProgressStyle::kBar : ProgressStyle::kLog;
  }
}

void ProgressPrinter::operator()(const Progress& progress) {
  if (style_ == ProgressStyle::kNone) return;
  const Clock::time_point now = Clock::now();
  if (progress.stage != stage_) {
    Finish();
    stage_ = progress.stage;
    stage_start_ = last_ = now;
    made_at_start_ = Made(progress);
    return;
  }
  if (style_ == ProgressStyle::kLog) {
    if (now - last_ < kLogInterval) return;
    const double rate = Rate(progress, now);
    PrintInfo(Line(progress, rate), Numbers(progress, rate));
  } else {
    if (now - last_ < kBarInterval && progress.done < progress.total) return;
    std::string bar;
    if (progress.total > 0) {
      const auto filled = static_cast<size_t>(kBarWidth * progress.done / progress.total);
      bar = '[' + std::string(filled, '#') + std::string(kBarWidth - filled, '.') + "] ";
    }
    std::fprintf(stderr, "\r\033[K%s%s", bar.c_str(), Line(progress, Rate(progress, now)).c_str());
    std::fflush(stderr);
    bar_open_ = true;
  }
  last_ = now;
}

void ProgressPrinter::Finish() {
  if (bar_open_) std::fputc('\n', stderr);
  bar_open_ = false;
}

double ProgressPrinter::Rate(const Progress& progress, Clock::time_point now) const {
  const double elapsed = std::chrono::duration<double>(now - stage_start_).count();
  return elapsed > 0 ? static_cast<double>(Made(progress) - made_at_start_) / elapsed : 0;
}

std::string ProgressPrinter::Line(const Progress& progress, double rate) const {
  std::string line = stage_ + ' ' + std::to_string(progress.done);
  if (progress.total > 0) {
    line += '/' + std::to_string(progress.total) + ' ' +
            std::to_string(100 * progress.done / progress.total) + '%';
  }
  char text[64];
  std::snprintf(text, sizeof text, "  %.0f/s", rate);
  line += text;
  if (rate > 0 && progress.total > progress.done) {
    line += "  " + Duration(static_cast<double>(progress.total - progress.done) / rate) + " left";
  }
  if (progress.counts.rejects > 0) {
    line += "  " + std::to_string(progress.counts.rejects) + " rejected";
  }
  return line;
}

}  // namespace pomona::cli
