#include "points.h"

#include <algorithm>
#include <cmath>
#include <optional>
#include <unordered_set>
#include <utility>

namespace pomona {
namespace {

constexpr const char* kOtherLabels = "(other labels)";

// Keeps, of each label, the points with the lowest hashes: evenly many of each, and no more than
// `most` in all but for one of each label.
class EvenPick {
 public:
  explicit EvenPick(size_t most) : most_(most) {}

  void Offer(uint16_t label, uint64_t hash, size_t point, const std::string& path) {
    if (label >= heaps_.size()) heaps_.resize(label + size_t{1});
    std::vector<PicturedPoint>& heap = heaps_[label];
    const size_t each = Each();
    while (heap.size() > each) Pop(&heap);
    if (heap.size() == each) {
      if (hash >= heap.front().hash) return;
      Pop(&heap);
    }
    heap.push_back({hash, static_cast<uint32_t>(point), path});
    std::ranges::push_heap(heap, {}, &PicturedPoint::hash);
  }

  // By their numbers.
  std::vector<PicturedPoint> Take() {
    std::vector<PicturedPoint> all;
    const size_t each = Each();
    for (std::vector<PicturedPoint>& heap : heaps_) {
      while (heap.size() > each) Pop(&heap);
      std::ranges::move(heap, std::back_inserter(all));
    }
    std::ranges::sort(all, {}, &PicturedPoint::hash);
    if (all.size() > most_) all.resize(most_);
    std::ranges::sort(all, {}, &PicturedPoint::point);
    return all;
  }

 private:
  size_t Each() const { return std::max<size_t>(1, most_ / std::max<size_t>(1, heaps_.size())); }
  static void Pop(std::vector<PicturedPoint>* heap) {
    std::ranges::pop_heap(*heap, {}, &PicturedPoint::hash);
    heap->pop_back();
  }

  const size_t most_;
  std::vector<std::vector<PicturedPoint>> heaps_;  // by label
};

// Gives each label a number.
class LabelNumbers {
 public:
  LabelNumbers(size_t most, Points* points) : most_(most), points_(*points) {}

  uint16_t Count(const std::string& label) {
    // Rows are sorted by their paths, so most have the label of the row before.
    if (points_.label_names.empty() || label != last_) {
      last_ = label;
      last_number_ = NumberOf(label);
    }
    ++points_.label_counts[last_number_];
    return last_number_;
  }

 private:
  uint16_t NumberOf(const std::string& label) {
    const auto found = numbers_.find(label);
    if (found != numbers_.end()) return found->second;
    if (numbers_.size() == most_) {
      if (others_.empty()) Add(kOtherLabels);
      if (others_.insert(HashOf(label)).second) ++points_.distinct_labels;
      return static_cast<uint16_t>(most_);
    }
    ++points_.distinct_labels;
    const auto number = static_cast<uint16_t>(numbers_.size());
    numbers_[label] = number;
    Add(label);
    return number;
  }
  void Add(const std::string& name) {
    points_.label_names.push_back(name);
    points_.label_counts.push_back(0);
  }

  const size_t most_;
  Points& points_;
  std::map<std::string, uint16_t, std::less<>> numbers_;
  std::unordered_set<uint64_t> others_;  // by hash, which suffices to count them
  std::string last_;
  uint16_t last_number_ = 0;
};

}  // namespace

uint64_t HashOf(std::string_view path) {
  // FNV-1a, then the finalizer of splitmix64, as the first leaves its high bits poor.
  uint64_t hash = 14695981039346656037u;
  for (const char c : path) hash = (hash ^ static_cast<uint8_t>(c)) * 1099511628211u;
  hash = (hash ^ hash >> 30) * 0xBF58476D1CE4E5B9u;
  hash = (hash ^ hash >> 27) * 0x94D049BB133111EBu;
  return hash ^ hash >> 31;
}

arrow::Result<Points> ReadPoints(const RunTables& tables, int64_t rows, int components,
                                 bool with_paths, const ReportLimits& limits, CancelToken cancel) {
  // So far below the limit that chance does not pass it: six standard deviations.
  std::optional<uint64_t> highest;
  if (rows > limits.points) {
    const auto most = static_cast<double>(limits.points);
    const double share = std::max(0.0, most - 6 * std::sqrt(most)) / static_cast<double>(rows);
    highest = static_cast<uint64_t>(share * 0x1p64);
  }
  Points points;
  points.scores.resize(static_cast<size_t>(std::min(components, limits.components)));
  LabelNumbers labels(limits.labels, &points);
  EvenPick pick(limits.pictures);
  Deflater paths(Deflater::Content::kText);
  bool more_paths = with_paths;

  const auto add = [&](const RowBlock& block) -> arrow::Status {
    ARROW_RETURN_NOT_OK(cancel.Check());
    const auto width = static_cast<size_t>(components);
    for (size_t row = 0; row < block.rows(); ++row) {
      const std::string& path = block.paths[row];
      ++points.rows;
      const uint16_t label = labels.Count(block.labels[row]);
      const uint64_t hash = HashOf(path);
      if ((highest && hash > *highest) || std::ssize(points.labels) >= limits.points) continue;
      for (size_t c = 0; c < points.scores.size(); ++c) {
        const size_t at = row * width + c;
        points.scores[c].push_back(block.doubles.empty() ? block.floats[at]
                                                         : static_cast<float>(block.doubles[at]));
      }
      if (with_paths) pick.Offer(label, hash, points.labels.size(), path);
      more_paths = more_paths && paths.size() < limits.path_bytes;
      if (more_paths) {
        paths.Add(std::string_view(path.c_str(), path.size() + 1));
        ++points.path_count;
      }
      points.labels.push_back(label);
    }
    return arrow::Status::OK();
  };
  ARROW_RETURN_NOT_OK(tables.ForEachRow(components, add));
  points.count = points.labels.size();
  points.paths = paths.Finish();
  points.pictured = pick.Take();
  return points;
}

}  // namespace pomona
