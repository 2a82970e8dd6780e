// Progress on standard error: a bar on a terminal, a line every few seconds elsewhere. Where lines
// are JSON, there is no bar.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>

#include "pomona/run.h"

namespace pomona::cli {

enum class ProgressStyle { kAuto, kBar, kLog, kNone };

arrow::Result<ProgressStyle> ParseProgressStyle(std::string_view text);

class ProgressPrinter {
 public:
  explicit ProgressPrinter(ProgressStyle style);

  void operator()(const Progress& progress);

  // Ends the bar's line, so that what follows starts a line of its own.
  void Finish();

 private:
  using Clock = std::chrono::steady_clock;

  double Rate(const Progress& progress, Clock::time_point now) const;
  std::string Line(const Progress& progress, double rate) const;

  ProgressStyle style_;
  std::string stage_;
  Clock::time_point stage_start_;
  int64_t made_at_start_ = 0;
  Clock::time_point last_;
  bool bar_open_ = false;
};

}  // namespace pomona::cli
