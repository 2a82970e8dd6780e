// What the decoder of baseline JPEGs works on; the same for every instruction set.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "huffman_table.h"
#include "jpeg_picture.h"

namespace pomona {

// MCUs whose coefficients are decoded before they are transformed, and their most blocks.
constexpr int kBatchMcus = 8;
constexpr int kMaxBatchBlocks = kBatchMcus * 6;
static_assert(kMaxBatchBlocks <= kMaxBlocksAtOnce);

struct BaselineComponent {
  const JpegComponent* samples;
  const HuffmanTable* dc_table;
  const HuffmanTable* ac_table;
  int predictor = 0;
};

struct BaselineBlock {
  BaselineComponent* component;
  int16_t* coefficients;
  uint8_t* last;  // gets the place in the stream of the last one that is not zero
};

struct BaselineScan {
  JpegPicture picture;
  ScanData data;
  std::array<BaselineComponent, 3> components;
  std::array<HuffmanTable, 2> dc_tables, ac_tables;
  alignas(64) std::array<int16_t, kMaxBatchBlocks * kBlockSize> coefficients;
  std::array<uint8_t, kMaxBatchBlocks> last = {};
  int blocks_per_mcu;
  std::array<BaselineBlock, kMaxBatchBlocks> blocks;
};

}  // namespace pomona
