#include "neighbours.h"

#include <algorithm>
#include <span>

#include "cosines.h"

namespace pomona::audit {

arrow::Result<Neighbours> FindNeighbours(const PublishedRows& rows, const Tiles& tiles,
                                         const RowFile& features, int count, int threads, Cpu cpu,
                                         CancelToken cancel, const TilesDone& poll) {
  Neighbours found;
  const size_t others = rows.size() == 0 ? 0 : rows.size() - 1;
  found.count = std::min(static_cast<size_t>(count), others);
  if (found.count == 0) return found;
  found.rows.resize(rows.size() * found.count);
  found.distances.resize(rows.size() * found.count);
  std::vector<Cosines> cosines = Cosines::OfThreads(threads, rows.norms, features, cpu);
  const auto cosine = [&](uint32_t a, uint32_t b, int thread) {
    return cosines[static_cast<size_t>(thread)].Of(a, b);
  };
  const auto use = [&](uint32_t row, std::span<const NearRow> nearest, int) {
    for (size_t i = 0; i < nearest.size(); ++i) {
      found.rows[row * found.count + i] = nearest[i].row;
      found.distances[row * found.count + i] = Distance(nearest[i].product);
    }
    return arrow::Status::OK();
  };
  ARROW_RETURN_NOT_OK(
      ForEachNearest(tiles, tiles, found.count, ByCosine(cosine), threads, cancel, use, poll, cpu));
  return found;
}

}  // namespace pomona::audit
