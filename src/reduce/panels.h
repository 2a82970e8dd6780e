// Products of reflections, kept as panels of kBand, and the vectors that they rotate.
#pragma once

#include <algorithm>
#include <cstddef>
#include <functional>
#include <span>
#include <vector>

#include "reduce/aligned.h"
#include "reduce/reflection_kernels.h"
#include "reduce/team.h"

namespace pomona::reduce {

// I - V T V^T, of the rows from first_row on.
struct Panel {
  size_t first_row;
  size_t rows;
  AlignedDoubles v;
  AlignedDoubles t;

  Panel(size_t first, size_t count)
      : first_row(first),
        rows(count),
        v(AllocateZeros(count * kBand)),
        t(AllocateDoubles(kBand * kBand)) {}
};

// x = Q x, where Q is the product of the panels and x begins with row 0 and has kChunk columns.
inline void ApplyPanels(const ReflectionKernels& kernels, std::span<const Panel> panels,
                        double* x) {
  for (size_t i = panels.size(); i-- > 0;) {
    const Panel& panel = panels[i];
    kernels.apply_panel(panel.v.get(), panel.t.get(), panel.rows, x + panel.first_row * kChunk);
  }
}

// Does `map` with chunks of kChunk columns of `rows` entries. They are made of `vectors`, one after
// the other, of `size` entries each, and zeros; of each column the first `size_out` entries are
// returned, one column after the other.
inline std::vector<double> MapChunks(std::span<const double> vectors, size_t size, size_t rows,
                                     size_t size_out, Team* team,
                                     const std::function<void(double* x)>& map) {
  const size_t count = vectors.size() / size, chunks = (count + kChunk - 1) / kChunk;
  std::vector<double> out(count * size_out);
  const AlignedDoubles all = AllocateZeros(chunks * rows * kChunk);
  team->For(chunks, [&](size_t chunk) {
    double* const x = all.get() + chunk * rows * kChunk;
    const size_t first = chunk * kChunk, columns = std::min(kChunk, count - first);
    for (size_t c = 0; c < columns; ++c) {
      for (size_t i = 0; i < size; ++i) x[i * kChunk + c] = vectors[(first + c) * size + i];
    }
    map(x);
    for (size_t c = 0; c < columns; ++c) {
      for (size_t i = 0; i < size_out; ++i) out[(first + c) * size_out + i] = x[i * kChunk + c];
    }
  });
  return out;
}

}  // namespace pomona::reduce
