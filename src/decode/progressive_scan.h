// What the decoder of progressive JPEGs works on; the same for every instruction set.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "huffman_table.h"
#include "jpeg_picture.h"

namespace pomona {

// The most blocks that any CPU transforms at once.
constexpr size_t kMaxGroup = 2;

// All coefficients of a component, in rows of blocks as they are transformed.
struct ProgressiveComponent {
  int width, height;      // in blocks, without those that only fill MCUs
  size_t blocks_per_row;  // with them, in whole groups
  size_t rows;
  int16_t* coefficients;
  // Of each block: bit k says that the coefficient with place k in the stream is not zero. Bit 0 is
  // always set.
  uint64_t* set;
  // How many of its lowest bits each coefficient still lacks, in the order of the stream; -1: all.
  std::array<int8_t, kBlockSize> lacking;

  size_t Blocks() const { return blocks_per_row * rows; }
};

struct ProgressiveScan {
  JpegPicture picture;
  std::array<ProgressiveComponent, 3> components;

  // The scan at hand: of the coefficients from `first` to `last` the bits down to `low`, or that bit
  // alone where it `refines` them.
  size_t count;                   // of components
  std::array<size_t, 3> in_scan;  // which ones
  int first, last, low;
  bool refines;
  ScanData data;
  std::array<HuffmanTable, 3> dc_tables;
  HuffmanTable ac_table;
};

}  // namespace pomona
