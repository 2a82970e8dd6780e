#include "gather.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <span>

namespace pomona {
namespace {

// Blur is judged in a picture whose longer side has no more pixels than this.
constexpr int64_t kSmallSide = 64;

// The C library's log2() has other bits on other CPUs. x: finite, above 0.
double Log2(double x) {
  int exponent = 0;
  double mantissa = std::frexp(x, &exponent);
  if (mantissa < std::sqrt(0.5)) {
    mantissa *= 2;
    --exponent;
  }
  // log(m) = 2 artanh(s)
  const double s = (mantissa - 1) / (mantissa + 1);
  double series = 0;
  for (int power = 23; power > 0; power -= 2) series = series * s * s + 1.0 / power;
  constexpr double kLog2E = 1.4426950408889634;
  return exponent + 2 * s * series * kLog2E;
}

// Whether pictures of this mode are gray, and their three channels one.
bool IsGray(std::string_view mode) {
  return mode == "1" || mode == "L" || mode == "LA" || mode.starts_with('I') || mode == "F";
}

// As Pillow converts RGB to L.
uint8_t GrayOf(const uint8_t* rgb) {
  return static_cast<uint8_t>((rgb[0] * 19595 + rgb[1] * 38470 + rgb[2] * 7471 + 0x8000) >> 16);
}

// What differs from its eight neighbours; the edges of the picture stay as they are.
std::vector<uint8_t> FindEdges(const std::vector<uint8_t>& gray, size_t width, size_t height) {
  std::vector<uint8_t> edges = gray;
  for (size_t y = 1; y + 1 < height; ++y) {
    for (size_t x = 1; x + 1 < width; ++x) {
      const uint8_t* const above = gray.data() + (y - 1) * width + x;
      const uint8_t* const here = above + width;
      const uint8_t* const below = here + width;
      const int around =
          above[-1] + above[0] + above[1] + here[-1] + here[1] + below[-1] + below[0] + below[1];
      edges[y * width + x] = static_cast<uint8_t>(std::clamp(8 * here[0] - around, 0, 255));
    }
  }
  return edges;
}

double DeviationOf(std::span<const uint8_t> values) {
  double sum = 0, squares = 0;
  for (const uint8_t value : values) {
    sum += value;
    squares += value * value;
  }
  const auto count = static_cast<double>(values.size());
  return std::sqrt(std::max(0.0, squares - sum * sum / count) / count);
}

// Of how often each value is there.
double DeviationOfCounts(std::span<const uint8_t> values) {
  std::array<double, 256> counts{};
  for (const uint8_t value : values) ++counts[value];
  const double mean = static_cast<double>(values.size()) / 256;
  double squares = 0;
  for (const double count : counts) squares += (count - mean) * (count - mean);
  return std::sqrt(squares / 256);
}

}  // namespace

void StatisticsGatherer::Begin(int width, int height) {
  rows_->Begin(width, height);
  width_ = width;
  height_ = height;
  counts_ = {};
  brightness_.Begin(static_cast<size_t>(width) * static_cast<size_t>(height));
  if (kind_ != StatsKind::kFull) return;
  pixels_ = Sha256();
  const int64_t longer = std::max(width, height);
  const auto smaller = [&](int64_t side) {
    return static_cast<int>(
        longer <= kSmallSide ? side : std::max<int64_t>(side * kSmallSide / longer, 1));
  };
  if (!small_ || small_width_ != smaller(width) || small_height_ != smaller(height)) {
    small_.reset();
    small_width_ = smaller(width);
    small_height_ = smaller(height);
    small_ = std::make_unique<Resizer>(small_width_, small_height_, cpu_);
  }
  small_->Begin(width, height);
}

void StatisticsGatherer::Add(const uint8_t* rows, int count) noexcept {
  rows_->Add(rows, count);
  const size_t pixels = static_cast<size_t>(width_) * static_cast<size_t>(count);
  const uint8_t* pixel = rows;
  for (size_t i = 0; i < pixels; ++i, pixel += 3) {
    Counts& counts = counts_[i % counts_.size()];
    ++counts[0][pixel[0]];
    ++counts[1][pixel[1]];
    ++counts[2][pixel[2]];
  }
  brightness_.Add(rows, pixels);
  if (kind_ != StatsKind::kFull) return;
  pixels_.Add(std::span(rows, 3 * pixels));
  small_->Add(rows, count);
}

ImageStatistics StatisticsGatherer::Finish(std::string_view mode) {
  ImageStatistics statistics;
  statistics.kind = static_cast<int64_t>(kind_);
  AddUp(&statistics, mode);
  brightness_.Percentiles(kBrightnessPercentiles, statistics.brightness_percentiles);
  if (kind_ != StatsKind::kFull) return statistics;
  statistics.pixels_sha256 = pixels_.Digest();
  JudgeBlur(&statistics);
  return statistics;
}

// Mean brightness and entropy: of the channels' values, all together.
void StatisticsGatherer::AddUp(ImageStatistics* statistics, std::string_view mode) const {
  const double pixels = static_cast<double>(width_) * height_;
  const size_t channels = IsGray(mode) ? 1 : 3;
  std::array<double, 3> means{};
  double logs = 0;
  for (size_t c = 0; c < means.size(); ++c) {
    double sum = 0;
    for (size_t value = 0; value < 256; ++value) {
      double count = 0;
      for (const Counts& counts : counts_) count += counts[c][value];
      sum += count * static_cast<double>(value);
      if (c < channels && count > 0) logs += count * Log2(count);
    }
    means[c] = sum / pixels;
  }
  const double total = pixels * static_cast<double>(channels);
  statistics->entropy = std::max(0.0, Log2(total) - logs / total);
  statistics->brightness = BrightnessOf(241 * means[0] * means[0] + 691 * means[1] * means[1] +
                                        68 * means[2] * means[2]);
}

void StatisticsGatherer::JudgeBlur(ImageStatistics* statistics) const {
  const auto width = static_cast<size_t>(small_width_), height = static_cast<size_t>(small_height_);
  const uint8_t* const rgb = small_->picture().data();
  std::vector<uint8_t> gray(width * height);
  for (size_t i = 0; i < gray.size(); ++i) gray[i] = GrayOf(rgb + 3 * i);
  statistics->blurriness = DeviationOf(FindEdges(gray, width, height));
  statistics->blurriness_grayscale_std = DeviationOfCounts(gray);
}

}  // namespace pomona
