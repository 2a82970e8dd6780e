#include "image_issues.h"

#include <algorithm>
#include <cmath>
#include <utility>

namespace pomona::audit {
namespace {

// CleanVision's thresholds: a score below is an issue.
constexpr double kDark = 0.32;
constexpr double kLight = 0.05;
constexpr double kOddAspectRatio = 0.35;
constexpr double kLowInformation = 0.3;
constexpr double kBlurry = 0.29;
// And its factors.
constexpr double kEntropyFactor = 0.1;
constexpr double kBlurFactor = 0.01;
constexpr double kLeastDeviation = 0.18;  // a score of the gray values' that is no more counts as 0
constexpr double kSizeFences = 3;         // distances between the quartiles

// 1 - exp(-x), x >= 0. The C library's exp() has other bits on other CPUs.
double Saturated(double x) {
  if (x > 40) return 1;
  const int halvings = 6;  // exp(-x) = exp(-x / 64)^64
  const double small = x / (1 << halvings);
  double exp = 1;
  for (int term = 20; term > 0; --term) exp = 1 - small / term * exp;
  for (int i = 0; i < halvings; ++i) exp *= exp;
  return 1 - exp;
}

double SizeOf(const ImageProperties& image) {
  return std::sqrt(static_cast<double>(image.width)) * std::sqrt(static_cast<double>(image.height));
}

// As numpy.percentile() interpolates. REQUIRES: not empty.
double QuantileOf(std::vector<double>* values, double share) {
  const double place = static_cast<double>(values->size() - 1) * share;
  const auto below = values->begin() + static_cast<std::ptrdiff_t>(place);
  std::nth_element(values->begin(), below, values->end());
  const double low = *below;
  const double high =
      below + 1 == values->end() ? low : *std::min_element(below + 1, values->end());
  return low + (high - low) * (place - std::floor(place));
}

ImageIssue Below(double score, double threshold) { return {score, score < threshold}; }

// Of an image among so many that are duplicates of one another.
ImageIssue OneOf(uint32_t images) { return {1.0 / images, images > 1}; }

}  // namespace

ImageIssueJudge::ImageIssueJudge(const PublishedRows& rows,
                                 const std::vector<DuplicateGroup>& groups)
    : rows_(&rows), exact_(rows.size(), 1), near_(rows.size(), 1) {
  for (const DuplicateGroup& group : groups) {
    std::vector<std::pair<Picture, uint32_t>> pictures;
    for (const DuplicateGroup::Member& member : group.members) {
      pictures.emplace_back(PictureOf(rows.images[member.row]), member.row);
    }
    std::ranges::sort(pictures);
    for (size_t begin = 0, end = 0; begin < pictures.size(); begin = end) {
      while (end < pictures.size() && pictures[end].first == pictures[begin].first) ++end;
      for (size_t i = begin; i < end; ++i) {
        exact_[pictures[i].second] = static_cast<uint32_t>(end - begin);
        if (end - begin < pictures.size()) {
          near_[pictures[i].second] = static_cast<uint32_t>(pictures.size());
        }
      }
    }
  }
  if (rows.size() == 0) return;
  std::vector<double> sizes;
  for (const ImageProperties& image : rows.images) sizes.push_back(SizeOf(image));
  const double first = QuantileOf(&sizes, 0.25), third = QuantileOf(&sizes, 0.75);
  const double least = first - kSizeFences * (third - first);
  const double most = third + kSizeFences * (third - first);
  middle_ = (least + most) / 2;
  scale_ = most > least ? most - least : std::max(middle_, 1.0);
  least_size_score_ = most > least ? 0.5 : 1;
}

std::array<ImageIssue, kImageIssueNames.size()> ImageIssueJudge::Judge(size_t row) const {
  const ImageProperties& image = rows_->images[row];
  const ImageStatistics& statistics = image.statistics;
  ImageIssue dark, light, low_information, blurry;
  if (statistics.Has(StatsKind::kBasic)) {
    dark = Below(statistics.brightness_percentiles.back(), kDark);    // 99
    light = Below(1 - statistics.brightness_percentiles[1], kLight);  // 5
    low_information = Below(std::min(1.0, kEntropyFactor * statistics.entropy), kLowInformation);
  }
  if (statistics.Has(StatsKind::kFull)) {
    const double deviation = Saturated(kBlurFactor * statistics.blurriness_grayscale_std);
    blurry = Below(std::min(1.0, Saturated(kBlurFactor * statistics.blurriness) +
                                     (deviation > kLeastDeviation ? deviation : 0)),
                   kBlurry);
  }
  // A record may be anybody's.
  const double width = std::max(image.width, 1), height = std::max(image.height, 1);
  const double distance = std::abs(SizeOf(image) - middle_) / scale_;
  return {dark,
          light,
          Below(std::min(width / height, height / width), kOddAspectRatio),
          low_information,
          OneOf(exact_[row]),
          OneOf(near_[row]),
          blurry,
          Below(image.mode == NameOf("L") ? 0 : 1, 0.5),
          Below(1 - std::min(1.0, distance), least_size_score_)};
}

}  // namespace pomona::audit
