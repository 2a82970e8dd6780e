// The nearest images of each.
#pragma once

#include <arrow/result.h>

#include <cstddef>
#include <cstdint>
#include <vector>

#include "pomona/cancel.h"
#include "pomona/cpu.h"
#include "published_rows.h"
#include "row_file.h"
#include "tiles.h"

namespace pomona::audit {

// By row, the nearest first; of equally near ones the first row comes first.
struct Neighbours {
  size_t count = 0;                    // of each row
  std::vector<uint32_t> rows = {};     // x count
  std::vector<double> distances = {};  // of these: 1 - cosine of the features
};

// The `count` nearest others of each row, by the cosine of the features in float64; all others where
// there are no more. A row of zeros is at a distance of 1 from all.
// Memory: 12 bytes for each neighbour. Errors: those of reading the features; Cancelled.
arrow::Result<Neighbours> FindNeighbours(const PublishedRows& rows, const Tiles& tiles,
                                         const RowFile& features, int count, int threads, Cpu cpu,
                                         CancelToken cancel, const TilesDone& poll);

}  // namespace pomona::audit
