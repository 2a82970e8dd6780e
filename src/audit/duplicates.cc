#include "duplicates.h"

#include <algorithm>
#include <numeric>
#include <set>
#include <utility>

#include "cosines.h"
#include "groups.h"
#include "short_vectors.h"
#include "tasks.h"

namespace pomona::audit {
namespace {

// Joins rows of which `of` says the same, and marks them.
template <typename Of>
std::vector<bool> JoinSame(const PublishedRows& rows, const Of& of, Groups* groups) {
  std::vector<uint32_t> order(rows.size());
  std::iota(order.begin(), order.end(), 0U);
  std::ranges::sort(order, [&](uint32_t a, uint32_t b) {
    const auto compared = of(rows.images[a]) <=> of(rows.images[b]);
    return compared == 0 ? a < b : compared < 0;
  });
  std::vector<bool> same(rows.size());
  for (size_t i = 1; i < order.size(); ++i) {
    const uint32_t a = order[i - 1], b = order[i];
    if (of(rows.images[a]) != of(rows.images[b])) continue;
    same[a] = same[b] = true;
    groups->Join(a, b);
  }
  return same;
}

}  // namespace

Picture PictureOf(const ImageProperties& image) {
  if (!image.statistics.Has(StatsKind::kFull)) return {image.content_sha256, 0, 0};
  return {image.statistics.pixels_sha256, image.width, image.height};
}

arrow::Result<std::vector<DuplicateGroup>> FindDuplicates(
    const PublishedRows& rows, const Tiles& tiles, const RowFile& features,
    const AuditOptions& options, int threads, CancelToken cancel, const TilesDone& poll) {
  Groups groups(rows.size());
  const std::vector<bool> same_bytes =
      JoinSame(rows, [](const ImageProperties& image) { return image.content_sha256; }, &groups);
  const bool pixels_known = std::ranges::any_of(rows.images, [](const ImageProperties& image) {
    return image.statistics.Has(StatsKind::kFull);
  });
  const std::vector<bool> same_pixels =
      pixels_known ? JoinSame(rows, PictureOf, &groups) : same_bytes;
  std::vector<Cosines> cosines = Cosines::OfThreads(threads, rows.norms, features, options.cpu);
  const auto compare = [&](uint32_t a, uint32_t b, int thread) -> arrow::Status {
    // Where the rows are many and alike, this spares nearly all the work.
    if (groups.First(a) == groups.First(b)) return arrow::Status::OK();
    ARROW_ASSIGN_OR_RAISE(const double cosine, cosines[static_cast<size_t>(thread)].Of(a, b));
    if (cosine >= options.near) groups.Join(a, b);
    return arrow::Status::OK();
  };
  const auto least = static_cast<float>(options.near - kMargin);
  ARROW_RETURN_NOT_OK(
      ForEachPair(tiles, tiles, least, threads, cancel, compare, poll, options.cpu));

  std::vector<uint32_t> sizes(rows.size());
  for (uint32_t row = 0; row < rows.size(); ++row) ++sizes[groups.First(row)];
  std::vector<DuplicateGroup> found;
  std::vector<uint32_t> places(rows.size());  // of a first row's group
  for (uint32_t row = 0; row < rows.size(); ++row) {
    const uint32_t first = groups.First(row);
    if (sizes[first] < 2) continue;
    if (row == first) {
      places[row] = static_cast<uint32_t>(found.size());
      found.emplace_back();
    }
    DuplicateGroup& group = found[places[first]];
    group.members.push_back({row, 0, same_bytes[row], same_pixels[row]});
    group.splits.push_back(SplitOf(rows.relative_path(row), options.splits));
  }
  const auto complete = [&](size_t i, int thread) -> arrow::Status {
    DuplicateGroup& group = found[i];
    const uint32_t first = group.members.front().row;
    for (DuplicateGroup::Member& member : group.members) {
      if (PictureOf(rows.images[member.row]) == PictureOf(rows.images[first])) continue;
      ARROW_ASSIGN_OR_RAISE(const double cosine,
                            cosines[static_cast<size_t>(thread)].Of(first, member.row));
      member.distance = Distance(cosine);
    }
    std::set<std::string> splits(group.splits.begin(), group.splits.end()), labels;
    for (const DuplicateGroup::Member& member : group.members) {
      labels.insert(rows.label(member.row));
    }
    for (std::set<std::string>* names : {&splits, &labels}) names->erase("");
    group.split_leak = splits.size() > 1;
    group.label_conflict = labels.size() > 1;
    return arrow::Status::OK();
  };
  ARROW_RETURN_NOT_OK(ParallelFor(found.size(), threads, cancel, complete));
  // No std::ranges::stable_partition: clang 14 of Debian 12 cannot compile it with GCC's library.
  std::stable_partition(found.begin(), found.end(),
                        [](const DuplicateGroup& group) { return group.label_conflict; });
  return found;
}

}  // namespace pomona::audit
