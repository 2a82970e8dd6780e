// Statistics of pictures, gathered from the rows on their way to the network.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <string_view>
#include <vector>

#include "brightness.h"
#include "image_statistics.h"
#include "infer/resize.h"
#include "pomona/cpu.h"
#include "pomona/row_sink.h"
#include "sha256.h"

namespace pomona {

// Takes a picture's rows and hands them on. The statistics do not depend on how many rows come at
// once, nor on the CPU. Memory: up to 36 MiB, mostly 4 bytes a pixel.
//
// Threads: none shared; each worker owns one.
class StatisticsGatherer : public RowSink {
 public:
  // rows: outlives this. REQUIRES: ResolveCpu(cpu) is no error; another kind than kNone.
  StatisticsGatherer(StatsKind kind, Cpu cpu, RowSink* rows)
      : kind_(kind), cpu_(cpu), rows_(rows), brightness_(cpu) {}

  void Begin(int width, int height) override;
  void Add(const uint8_t* rows, int count) noexcept override;

  // Of the picture whose rows were all added, and whose mode in its file is this one, in Pillow's
  // words. REQUIRES: called once a picture.
  ImageStatistics Finish(std::string_view mode);

 private:
  using Counts = std::array<std::array<uint32_t, 256>, 3>;  // of the values of each channel

  void AddUp(ImageStatistics* statistics, std::string_view mode) const;
  void JudgeBlur(ImageStatistics* statistics) const;

  const StatsKind kind_;
  const Cpu cpu_;
  RowSink* const rows_;
  int width_ = 0;
  int height_ = 0;
  std::array<Counts, 4> counts_{};  // of every fourth pixel each: equal neighbours need not wait
  BrightnessOrder brightness_;
  Sha256 pixels_;
  std::unique_ptr<Resizer> small_;
  int small_width_ = 0;
  int small_height_ = 0;
};

}  // namespace pomona
