#include "reduce/kernels.h"

#include <algorithm>

// The vectors of SVE and RVV cannot stand in arrays; SSSE3 and SSE4 bring nothing that SSE2 lacks.
#define HWY_DISABLED_TARGETS \
  (HWY_SVE | HWY_SVE2 | HWY_SVE_256 | HWY_SVE2_128 | HWY_RVV | HWY_SSSE3 | HWY_SSE4)
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "reduce/kernels.cc"
#include <hwy/foreach_target.h>  // must come before highway.h

#include <hwy/highway.h>

#include "reduce/aligned.h"
#include "reduce/tile-inl.h"

HWY_BEFORE_NAMESPACE();
namespace pomona::reduce {
namespace HWY_NAMESPACE {

// Adds the products of a chunk's centred rows, which are packed in panels of kTileColumns columns.
void AddChunk(const double* HWY_RESTRICT packed, size_t depth, size_t dimensions,
              double* HWY_RESTRICT triangle) {
  // As many panels as stay in a core's own cache while all panels to their right pass by.
  constexpr size_t kGroupPanels = hwy::RoundUpTo(256, kTileColumns) / kTileColumns;
  const size_t panels = hwy::DivCeil(dimensions, kTileColumns);
  HWY_ALIGN double tile[kTileRows * kTileColumns];
  for (size_t group = 0; group < panels; group += kGroupPanels) {
    for (size_t right = group; right < panels; ++right) {
      const double* b = packed + right * depth * kTileColumns;
      const size_t first_column = right * kTileColumns;
      const size_t end_column = std::min(first_column + kTileColumns, dimensions);
      const size_t end_row = std::min((group + kGroupPanels) * kTileColumns, end_column);
      for (size_t row = group * kTileColumns; row < end_row; row += kTileRows) {
        const double* a = packed + row / kTileColumns * depth * kTileColumns + row % kTileColumns;
        MultiplyTile<kTileRows, kTileVectors>(depth, a, 1, kTileColumns, b, kTileColumns, tile,
                                              kTileColumns);
        for (size_t i = row; i < std::min(row + kTileRows, dimensions); ++i) {
          // Rows get shorter by one each: the entry (i, j) is out[j], from j = i on.
          double* HWY_RESTRICT out = triangle + i * dimensions - i * (i + 1) / 2;
          const double* HWY_RESTRICT in = tile + (i - row) * kTileColumns;
          for (size_t j = std::max(i, first_column); j < end_column; ++j) {
            out[j] += in[j - first_column];
          }
        }
      }
    }
  }
}

void AddBlock(const float* HWY_RESTRICT rows, size_t n, size_t dimensions,
              double* HWY_RESTRICT mean, double* HWY_RESTRICT triangle) {
  std::fill(mean, mean + dimensions, 0.0);
  for (size_t r = 0; r < n; ++r) {
    for (size_t j = 0; j < dimensions; ++j) mean[j] += rows[r * dimensions + j];
  }
  for (size_t j = 0; j < dimensions; ++j) mean[j] /= static_cast<double>(n);

  const size_t panels = hwy::DivCeil(dimensions, kTileColumns);
  const auto packed = AllocateDoubles(panels * kTileColumns * std::min(n, kChunkRows));
  for (size_t first = 0; first < n; first += kChunkRows) {
    const size_t depth = std::min(kChunkRows, n - first);
    for (size_t r = 0; r < depth; ++r) {
      const float* HWY_RESTRICT row = rows + (first + r) * dimensions;
      for (size_t p = 0; p < panels; ++p) {
        double* HWY_RESTRICT out = packed.get() + (p * depth + r) * kTileColumns;
        const size_t start = p * kTileColumns;
        const size_t count = std::min(kTileColumns, dimensions - start);
        for (size_t j = 0; j < count; ++j) out[j] = row[start + j] - mean[start + j];
        for (size_t j = count; j < kTileColumns; ++j) out[j] = 0;
      }
    }
    AddChunk(packed.get(), depth, dimensions, triangle);
  }
}

// The projections of kRows prepared rows.
template <size_t kRows, size_t kVectors>
HWY_INLINE void ProjectTile(const double* HWY_RESTRICT rows, size_t dimensions,
                            const double* HWY_RESTRICT columns, size_t column_step, size_t first,
                            size_t components, double* HWY_RESTRICT out) {
  HWY_ALIGN double tile[kRows * kVectors * kLanes];
  MultiplyTile<kRows, kVectors>(dimensions, rows, dimensions, 1, columns + first, column_step, tile,
                                kVectors * kLanes);
  const size_t count = std::min(kVectors * kLanes, components - first);
  for (size_t i = 0; i < kRows; ++i) {
    std::copy_n(tile + i * kVectors * kLanes, count, out + i * components + first);
  }
}

template <size_t kRows>
void ProjectTileRows(const double* rows, size_t dimensions, const double* columns,
                     size_t column_step, size_t components, double* out) {
  size_t first = 0;
  for (; first + kTileColumns <= column_step; first += kTileColumns) {
    ProjectTile<kRows, kTileVectors>(rows, dimensions, columns, column_step, first, components,
                                     out);
  }
  for (; first < column_step; first += kLanes) {
    ProjectTile<kRows, 1>(rows, dimensions, columns, column_step, first, components, out);
  }
}

void ProjectRows(const float* HWY_RESTRICT rows, size_t n, size_t dimensions,
                 const double* HWY_RESTRICT mean, const double* HWY_RESTRICT scale,
                 const double* HWY_RESTRICT basis, size_t components, double* HWY_RESTRICT out) {
  // The basis with components as columns, padded to whole vectors.
  const size_t column_step = hwy::RoundUpTo(components, kLanes);
  const auto columns = AllocateDoubles(dimensions * column_step);
  for (size_t j = 0; j < dimensions; ++j) {
    double* HWY_RESTRICT column = columns.get() + j * column_step;
    for (size_t c = 0; c < components; ++c) column[c] = basis[c * dimensions + j];
    for (size_t c = components; c < column_step; ++c) column[c] = 0;
  }

  const auto prepared = AllocateDoubles(kTileRows * dimensions);
  for (size_t first = 0; first < n; first += kTileRows) {
    const size_t count = std::min(kTileRows, n - first);
    for (size_t r = 0; r < count; ++r) {
      const float* HWY_RESTRICT row = rows + (first + r) * dimensions;
      double* HWY_RESTRICT x = prepared.get() + r * dimensions;
      for (size_t j = 0; j < dimensions; ++j) x[j] = row[j];
      if (mean) {
        for (size_t j = 0; j < dimensions; ++j) x[j] -= mean[j];
      }
      if (scale) {
        for (size_t j = 0; j < dimensions; ++j) x[j] /= scale[j];
      }
    }
    double* const target = out + first * components;
    if (count == kTileRows) {
      ProjectTileRows<kTileRows>(prepared.get(), dimensions, columns.get(), column_step, components,
                                 target);
    } else {
      for (size_t r = 0; r < count; ++r) {
        ProjectTileRows<1>(prepared.get() + r * dimensions, dimensions, columns.get(), column_step,
                           components, target + r * components);
      }
    }
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace pomona::reduce
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
#include "dispatch.h"

namespace pomona::reduce {

HWY_EXPORT(AddBlock);
HWY_EXPORT(ProjectRows);

void AddBlock(const float* rows, size_t n, size_t dimensions, double* mean, double* triangle,
              Cpu cpu) {
  KernelFor(HWY_DISPATCH_TABLE(AddBlock), cpu)(rows, n, dimensions, mean, triangle);
}

void ProjectRows(const float* rows, size_t n, size_t dimensions, const double* mean,
                 const double* scale, const double* basis, size_t components, double* out,
                 Cpu cpu) {
  KernelFor(HWY_DISPATCH_TABLE(ProjectRows), cpu)(rows, n, dimensions, mean, scale, basis,
                                                  components, out);
}

}  // namespace pomona::reduce
#endif  // HWY_ONCE
