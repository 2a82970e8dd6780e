#include "label_issues.h"

#include <algorithm>
#include <cmath>
#include <span>
#include <utility>

#include "tasks.h"

namespace pomona::audit {
namespace {

// Rows that a thread judges at a time.
constexpr size_t kRowsAtOnce = 512;

// Of each label the direction of the mean of its short vectors.
std::vector<double> Centroids(const PublishedRows& rows) {
  const size_t dimensions = rows.dimensions;
  std::vector<double> centroids(rows.label_names.size() * dimensions);
  for (size_t row = 0; row < rows.size(); ++row) {
    double* const sum = centroids.data() + rows.labels[row] * dimensions;
    for (size_t d = 0; d < dimensions; ++d) sum[d] += rows.short_vectors[row * dimensions + d];
  }
  for (size_t at = 0; at < centroids.size(); at += dimensions) {
    double squares = 0;
    for (size_t d = 0; d < dimensions; ++d) squares += centroids[at + d] * centroids[at + d];
    if (squares == 0) continue;
    for (size_t d = 0; d < dimensions; ++d) centroids[at + d] /= std::sqrt(squares);
  }
  return centroids;
}

// The label's own and, of the others, the nearest.
void CompareWithCentroids(const PublishedRows& rows, std::span<const double> centroids, size_t row,
                          LabelVerdict* verdict) {
  const float* const vector = rows.short_vectors.data() + row * rows.dimensions;
  for (uint32_t label = 0; label < rows.label_names.size(); ++label) {
    double cosine = 0;
    for (size_t d = 0; d < rows.dimensions; ++d) {
      cosine += centroids[label * rows.dimensions + d] * vector[d];
    }
    const double distance = std::max(0.0, 1 - cosine);
    if (label == rows.labels[row]) {
      verdict->label_distance = distance;
    } else if (rows.label_names[label].empty()) {
      continue;  // no label
    } else if (verdict->nearest_label == kNoLabel || distance < *verdict->nearest_label_distance) {
      verdict->nearest_label = label;
      verdict->nearest_label_distance = distance;
    }
  }
}

// `other`: the share of the neighbours that have the label suggested in place of its own.
void Count(const PublishedRows& rows, uint32_t row, std::span<const NearRow> nearest,
           LabelVerdict* verdict, double* other) {
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
  *other = most / all;
}

}  // namespace

arrow::Result<std::vector<LabelVerdict>> JudgeLabels(const PublishedRows& rows, const Tiles& tiles,
                                                     int neighbours, int threads, Cpu cpu,
                                                     CancelToken cancel, const TilesDone& poll) {
  std::vector<LabelVerdict> verdicts(rows.size());
  const std::vector<double> centroids = Centroids(rows);
  const auto compare = [&](size_t block, int) {
    const size_t end = std::min(rows.size(), (block + 1) * kRowsAtOnce);
    for (size_t row = block * kRowsAtOnce; row < end; ++row) {
      CompareWithCentroids(rows, centroids, row, &verdicts[row]);
    }
    return arrow::Status::OK();
  };
  ARROW_RETURN_NOT_OK(ParallelFor((rows.size() + kRowsAtOnce - 1) / kRowsAtOnce, threads, cancel,
                                  compare, [&] { poll(0); }));

  std::vector<int64_t> sizes(rows.label_names.size());
  for (const uint32_t label : rows.labels) ++sizes[label];
  const auto judged = [&](uint32_t row) {
    return sizes[rows.labels[row]] > 1 && !rows.label(row).empty();
  };
  std::vector<double> others(rows.size());
  const auto count = [&](uint32_t row, std::span<const NearRow> nearest, int) {
    verdicts[row].suggested_label = rows.labels[row];
    if (judged(row)) Count(rows, row, nearest, &verdicts[row], &others[row]);
    return arrow::Status::OK();
  };
  ARROW_RETURN_NOT_OK(ForEachNearest(tiles, tiles, static_cast<size_t>(neighbours), {}, threads,
                                     cancel, count, poll, cpu));

  std::vector<double> agreement(rows.label_names.size());
  for (uint32_t row = 0; row < rows.size(); ++row) {
    if (judged(row)) {
      agreement[rows.labels[row]] +=
          *verdicts[row].agreement / static_cast<double>(sizes[rows.labels[row]]);
    }
  }
  for (uint32_t row = 0; row < rows.size(); ++row) {
    LabelVerdict& verdict = verdicts[row];
    const uint32_t suggested = verdict.suggested_label;
    // How often the neighbours of a label's only image have it nobody knows.
    verdict.is_issue = judged(row) && suggested != rows.labels[row] && sizes[suggested] > 1 &&
                       others[row] >= agreement[suggested];
  }
  return verdicts;
}

}  // namespace pomona::audit
