#include "infer/native/packing.h"

#include <algorithm>
#include <cstddef>

namespace pomona::native {
namespace {

// Cuts `columns` into blocks of `width`, a multiple of `lanes`: in each the biases, then row after
// row of the kernel. Rows of the last block are filled up to whole vectors.
AlignedFloats PackBlocks(const FoldedLayer& folded, int rows, int columns, int width, int lanes) {
  const int padded_columns = (columns + lanes - 1) / lanes * lanes;
  AlignedFloats packed =
      hwy::AllocateAligned<float>(static_cast<size_t>(rows + 1) * padded_columns);
  if (packed == nullptr) return packed;
  float* out = packed.get();
  for (int begin = 0; begin < columns; begin += width) {
    const int end = std::min(columns, begin + width);
    const int padding = std::min(padded_columns, begin + width) - end;
    const auto pack_row = [&](const float* row) {
      out = std::copy(row + begin, row + end, out);
      out = std::fill_n(out, padding, 0.0f);
    };
    pack_row(folded.bias.data());
    for (int row = 0; row < rows; ++row) {
      pack_row(folded.kernel.data() + static_cast<ptrdiff_t>(row) * columns);
    }
  }
  return packed;
}

}  // namespace

PackedMatrix PackMatrix(const FoldedLayer& folded, int lanes) {
  const int columns = folded.layer.out_channels;
  const int rows = static_cast<int>(folded.kernel.size()) / columns;
  return {rows, columns, PackBlocks(folded, rows, columns, 2 * lanes, lanes)};
}

PackedDepthwise PackDepthwise(const FoldedLayer& folded, int lanes) {
  const int channels = folded.layer.out_channels;
  return {channels, PackBlocks(folded, 9, channels, lanes, lanes)};
}

}  // namespace pomona::native
