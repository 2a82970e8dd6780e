#include "open_fragment.h"

#include <arrow/util/io_util.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <functional>
#include <system_error>
#include <utility>

#include "disk.h"
#include "image_reader.h"
#include "pomona/location.h"
#include "stopwatch.h"

namespace pomona {

namespace fs = std::filesystem;

// Of this many bytes most images take longer than dozens of small ones.
constexpr int64_t kBeginEarly = int64_t{8} << 20;

arrow::Result<Found> FindStored(const WorkFolder& work, const std::string& path,
                                const FragmentRange& range, decltype(&StoredFragment::Open) open) {
  Found found;
  ARROW_ASSIGN_OR_RAISE(const bool stored, work.Fetch(path, /*known=*/true));
  if (!stored) return found;
  auto fragment = open(path, range);
  arrow::Status status = fragment.ok() ? fragment->Verify() : fragment.status();
  if (arrow::internal::ErrnoFromStatus(status) == ENOENT) return found;  // another attempt ended
  if (status.ok()) {
    found.fragment = *std::move(fragment);
  } else if (status.IsInvalid() || status.IsKeyError()) {
    found.damage = std::move(status);
  } else {
    return status;
  }
  return found;
}

std::vector<std::string> UnfinishedPaths(const std::string& fragment_path) {
  std::vector<std::string> paths = {PartialPath(fragment_path)};
  for (int s = 0; s < kSlices; ++s) paths.push_back(SlicePath(fragment_path, s));
  return paths;
}

void RemoveUnfinished(const std::string& fragment_path) {
  for (const std::string& path : UnfinishedPaths(fragment_path)) (void)RemoveAll(path);
}

bool MayPass(const Reject& reject) {
  return reject.reason == Reason::kMissing || reject.reason == Reason::kForbidden ||
         reject.reason == Reason::kUnreadable;
}

void OpenFragment::Reset(std::string path, FragmentRange range, std::vector<Item> items,
                         int dimensions) {
  path_ = std::move(path);
  range_ = std::move(range);
  items_ = std::move(items);
  dimensions_ = static_cast<size_t>(dimensions);
  remaining_ = items_.size();
  const size_t values = items_.size() * dimensions_;
  if (buffer_.values().size() < values) buffer_ = PageBuffer(values);
  features_ = buffer_.values().first(values);
  images_.assign(items_.size(), {});
  verdicts_.assign(items_.size(), Verdict::kOpen);
  rejects_.assign(items_.size(), std::nullopt);
  taken_.assign(items_.size(), 0);
}

Verdict OpenFragment::verdict(size_t position) const {
  // atomic_ref takes no const before C++26.
  auto& verdict = const_cast<Verdict&>(verdicts_[position]);
  return std::atomic_ref(verdict).load(std::memory_order_acquire);
}

size_t OpenFragment::Set(size_t position, Outcome outcome) {
  rejects_[position] = std::move(outcome.reject);
  std::atomic_ref(verdicts_[position]).store(outcome.verdict, std::memory_order_release);
  return --remaining_;
}

void OpenFragment::Take(size_t position, Outcome outcome) {
  taken_[position] = 1;
  Set(position, std::move(outcome));
}

OpenFragment::Taken OpenFragment::TakeOver(const StoredFragment& partial, bool only_lasting) {
  Taken taken;
  const FragmentReport& report = partial.report();
  const std::span<const float> features = partial.features();
  if (features.size() != report.rows.size() * dimensions_) return taken;
  for (size_t i = 0; i < report.rows.size(); ++i) {
    const auto position = static_cast<size_t>(report.rows[i]);
    if (verdict(position) != Verdict::kOpen) continue;
    std::ranges::copy(features.subspan(i * dimensions_, dimensions_), row(position).begin());
    images_[position] = report.images[i];
    Take(position, {Verdict::kRow, std::nullopt});
    ++taken.rows;
  }
  for (const FragmentReject& rejected : report.rejects) {
    const auto position = static_cast<size_t>(rejected.item);
    if (verdict(position) != Verdict::kOpen) continue;
    if (only_lasting && MayPass(rejected.reject)) continue;
    Take(position, {Verdict::kReject, rejected.reject});
    taken.rejects.push_back(rejected.reject.reason);
  }
  return taken;
}

void OpenFragment::TakeSlice(const StoredFragment& slice, size_t begin, size_t end) {
  TakeOver(slice, /*only_lasting=*/false);
  std::vector<size_t> rest;
  for (size_t i = begin; i < end; ++i) {
    if (verdict(i) == Verdict::kOpen) rest.push_back(i);
  }
  // What is neither row nor reject was skipped, if the number is right; else it stays open.
  if (slice.report().skip_count() != std::ssize(rest)) return;
  for (const size_t i : rest) Set(i, {Verdict::kSkip, std::nullopt});
}

arrow::Status OpenFragment::Reuse(EarlierRun* earlier, size_t begin, size_t end, int64_t* reused) {
  std::vector<uint8_t> found(end - begin, 0);
  // Rows that are there already are there again in the same bytes.
  const arrow::Status status =
      earlier->Fill(std::span(items_).subspan(begin, end - begin),
                    features_.subspan(begin * dimensions_, (end - begin) * dimensions_),
                    std::span(images_).subspan(begin, end - begin), found);
  for (size_t i = begin; i < end; ++i) {
    if (!found[i - begin] || verdict(i) != Verdict::kOpen) continue;
    Take(i, {Verdict::kRow, std::nullopt});
    ++*reused;
  }
  return status;
}

arrow::Status OpenFragment::CheckReached(size_t begin, size_t end) const {
  if (size() == 0 || IsS3Uri(items_[begin].path)) return arrow::Status::OK();
  std::vector<size_t> looked_for;
  for (size_t i = begin; i < end; ++i) {
    if (taken_[i]) continue;
    if (!rejects_[i] || rejects_[i]->reason != Reason::kMissing) return arrow::Status::OK();
    looked_for.push_back(i);
  }
  // One file may well have gone.
  if (looked_for.size() < 2) return arrow::Status::OK();
  // So may all that are left to do: then those that were done before are still there.
  const auto is_there = [&](const Item& item) {
    std::error_code error;
    return fs::exists(fs::symlink_status(UnescapeName(item.path), error));
  };
  for (size_t i = begin; i < end; ++i) {
    if (taken_[i] && is_there(items_[i])) return arrow::Status::OK();
  }
  return arrow::Status::IOError("none of ", looked_for.size(), " listed files is on this machine, ",
                                items_[looked_for[0]].path,
                                " the first; is what INPUT lies on mounted here?");
}

std::vector<size_t> OpenFragment::OpenPositions(size_t begin, size_t end) const {
  std::vector<size_t> large, others, positions;
  for (size_t i = begin; i < end; ++i) {
    if (verdict(i) == Verdict::kOpen) (items_[i].size > kBeginEarly ? large : others).push_back(i);
  }
  std::ranges::stable_sort(large, std::greater(), [&](size_t i) { return items_[i].size; });
  // All at once would wait for memory, and keep the others waiting for a network.
  size_t next = 0;
  for (size_t i = 0; i < large.size(); ++i) {
    positions.push_back(large[i]);
    for (; next < (i + 1) * others.size() / large.size(); ++next) positions.push_back(others[next]);
  }
  positions.insert(positions.end(), others.begin() + static_cast<ptrdiff_t>(next), others.end());
  return positions;
}

std::vector<Item> OpenFragment::ItemsAt(std::span<const size_t> positions) const {
  std::vector<Item> items;
  for (const size_t i : positions) items.push_back(items_[i]);
  return items;
}

arrow::Result<int64_t> OpenFragment::StorePartial(const std::string& path, size_t begin, size_t end,
                                                  int64_t but) const {
  FragmentReport report;
  for (size_t i = begin; i < end; ++i) {
    switch (verdict(i)) {
      case Verdict::kRow:
        report.rows.push_back(static_cast<int32_t>(i));
        report.images.push_back(images_[i]);
        break;
      case Verdict::kReject:
        report.rejects.push_back({static_cast<int32_t>(i), *rejects_[i]});
        break;
      case Verdict::kSkip: ++report.skips[kNotAnImage]; break;
      case Verdict::kOpen: break;
    }
  }
  // Skips alone are not worth a file: they are soon found again.
  const auto count = static_cast<int64_t>(report.rows.size() + report.rejects.size());
  if (count == but) return count;
  PageBuffer buffer(report.rows.size() * dimensions_);
  const std::span<float> features = buffer.values();
  for (size_t row = 0; row < report.rows.size(); ++row) {
    std::copy_n(features_.begin() + report.rows[row] * dimensions_, dimensions_,
                features.begin() + row * dimensions_);
  }
  ARROW_RETURN_NOT_OK(
      WritePartialFragment(path, range_, report, features, static_cast<int>(dimensions_)));
  return count;
}

arrow::Result<FragmentReport> OpenFragment::Store(Cpu cpu, WorkerSeconds* seconds) {
  Stopwatch watch;
  FragmentReport report;
  for (size_t i = 0; i < verdicts_.size(); ++i) {
    switch (verdict(i)) {
      case Verdict::kOpen: return Forgotten(items_[i].path);
      case Verdict::kRow: {
        // Rows close up over the rejects and skips between them.
        const auto from = features_.begin() + i * dimensions_;
        const auto to = features_.begin() + report.rows.size() * dimensions_;
        if (from != to) std::copy(from, from + dimensions_, to);
        report.rows.push_back(static_cast<int32_t>(i));
        report.images.push_back(images_[i]);
        break;
      }
      case Verdict::kReject:
        report.rejects.push_back({static_cast<int32_t>(i), *std::move(rejects_[i])});
        break;
      case Verdict::kSkip: ++report.skips[kNotAnImage]; break;
    }
  }
  const std::span<const float> features = features_.first(report.rows.size() * dimensions_);
  Moments moments(static_cast<int>(dimensions_));
  moments.Add(features, cpu);
  watch.Lap(&seconds->reduce);
  ARROW_RETURN_NOT_OK(WriteFragment(path_, range_, report, features, moments));
  watch.Lap(&seconds->store);
  return report;
}

}  // namespace pomona
