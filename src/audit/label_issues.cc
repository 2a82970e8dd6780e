#include "label_issues.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <span>
#include <utility>

#include "tasks.h"

namespace pomona::audit {
namespace {

// Rows that a thread judges at a time.
constexpr size_t kRowsAtOnce = 512;

// With so many labels at a time; their centroids stay in the cache meanwhile.
constexpr size_t kLabelsAtOnce = 256;

// Of each label the direction of the mean of its short vectors: dimensions x labels, so that a row
// is compared with labels side by side.
std::vector<double> Centroids(const PublishedRows& rows) {
  const size_t dimensions = rows.dimensions, labels = rows.label_names.size();
  std::vector<double> centroids(dimensions * labels);
  for (size_t row = 0; row < rows.size(); ++row) {
    for (size_t d = 0; d < dimensions; ++d) {
      centroids[d * labels + rows.labels[row]] += rows.short_vectors[row * dimensions + d];
    }
  }
  for (size_t label = 0; label < labels; ++label) {
    double squares = 0;
    for (size_t at = label; at < centroids.size(); at += labels) {
      squares += centroids[at] * centroids[at];
    }
    if (squares == 0) continue;
    for (size_t at = label; at < centroids.size(); at += labels) {
      centroids[at] /= std::sqrt(squares);
    }
  }
  return centroids;
}

// The label's own and, of the others, the nearest, of rows from `first` to before `end`.
void CompareWithCentroids(const PublishedRows& rows, std::span<const double> centroids,
                          size_t first, size_t end, std::span<LabelVerdict> verdicts) {
  const size_t labels = rows.label_names.size();
  std::array<double, kLabelsAtOnce> cosines;
  for (size_t from = 0; from < labels; from += kLabelsAtOnce) {
    const size_t count = std::min(kLabelsAtOnce, labels - from);
    for (size_t row = first; row < end; ++row) {
      cosines.fill(0);
      for (size_t d = 0; d < rows.dimensions; ++d) {
        const double value = rows.short_vectors[row * rows.dimensions + d];
        const double* const of_labels = centroids.data() + d * labels + from;
        for (size_t i = 0; i < count; ++i) cosines[i] += of_labels[i] * value;
      }
      LabelVerdict& verdict = verdicts[row];
      for (size_t i = 0; i < count; ++i) {
        const auto label = static_cast<uint32_t>(from + i);
        const double distance = std::max(0.0, 1 - cosines[i]);
        if (label == rows.labels[row]) {
          verdict.label_distance = distance;
        } else if (rows.label_names[label].empty()) {
          continue;  // no label
        } else if (verdict.nearest_label == kNoLabel ||
                   distance < *verdict.nearest_label_distance) {
          verdict.nearest_label = label;
          verdict.nearest_label_distance = distance;
        }
      }
    }
  }
}

// How many of an image's neighbours have its label, and the one suggested in place of it.
struct Votes {
  int own = 0;
  int other = 0;
};

Votes Count(const PublishedRows& rows, uint32_t row, std::span<const NearRow> nearest,
            LabelVerdict* verdict) {
  std::vector<std::pair<uint32_t, int>> votes;  // by label, the nearest's first
  for (const NearRow& neighbour : nearest) {
    const uint32_t label = rows.labels[neighbour.row];
    const auto known = std::ranges::find(votes, label, &std::pair<uint32_t, int>::first);
    if (known != votes.end()) {
      ++known->second;
    } else {
      votes.emplace_back(label, 1);
    }
  }
  int own = 0, most = 0;
  uint32_t best = rows.labels[row];
  for (const auto& [label, count] : votes) {
    if (label == rows.labels[row]) {
      own = count;
    } else if (count > most && !rows.label_names[label].empty()) {
      most = count;
      best = label;
    }
  }
  const double all = std::max<double>(1, static_cast<double>(nearest.size()));
  verdict->agreement = own / all;
  verdict->suggested_label = most > own ? best : rows.labels[row];
  verdict->score = (1 + (own - most) / all) / 2;
  return {own, most};
}

}  // namespace

arrow::Result<std::vector<LabelVerdict>> JudgeLabels(const PublishedRows& rows, const Tiles& tiles,
                                                     int neighbours, int threads, Cpu cpu,
                                                     CancelToken cancel, const TilesDone& poll) {
  std::vector<LabelVerdict> verdicts(rows.size());
  const std::vector<double> centroids = Centroids(rows);
  const auto compare = [&](size_t block, int) {
    const size_t end = std::min(rows.size(), (block + 1) * kRowsAtOnce);
    CompareWithCentroids(rows, centroids, block * kRowsAtOnce, end, verdicts);
    return arrow::Status::OK();
  };
  ARROW_RETURN_NOT_OK(ParallelFor((rows.size() + kRowsAtOnce - 1) / kRowsAtOnce, threads, cancel,
                                  compare, [&] { poll(0); }));

  const std::vector<int64_t> sizes = rows.LabelSizes();
  const auto judged = [&](uint32_t row) {
    return sizes[rows.labels[row]] > 1 && !rows.label(row).empty();
  };
  std::vector<Votes> votes(rows.size());
  const auto count = [&](uint32_t row, std::span<const NearRow> nearest, int) {
    verdicts[row].suggested_label = rows.labels[row];
    if (judged(row)) votes[row] = Count(rows, row, nearest, &verdicts[row]);
    return arrow::Status::OK();
  };
  ARROW_RETURN_NOT_OK(ForEachNearest(tiles, tiles, static_cast<size_t>(neighbours), {}, threads,
                                     cancel, count, poll, cpu));

  // All have as many neighbours, so votes compare as shares do, and exactly.
  std::vector<int64_t> own_votes(rows.label_names.size());
  for (uint32_t row = 0; row < rows.size(); ++row) own_votes[rows.labels[row]] += votes[row].own;
  for (uint32_t row = 0; row < rows.size(); ++row) {
    LabelVerdict& verdict = verdicts[row];
    const uint32_t suggested = verdict.suggested_label;
    // How often the neighbours of a label's only image have it nobody knows.
    verdict.is_issue = judged(row) && suggested != rows.labels[row] && sizes[suggested] > 1 &&
                       votes[row].other * sizes[suggested] >= own_votes[suggested];
  }
  return verdicts;
}

}  // namespace pomona::audit
