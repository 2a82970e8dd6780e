// What the decoder of baseline JPEGs works on; the same for every instruction set.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "huffman_table.h"
#include "jpeg_picture.h"

namespace pomona {

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
  // Of a batch of MCUs, which are decoded, then transformed.
  alignas(64) std::array<int16_t, kMaxBatchBlocks * kBlockSize> coefficients;
  std::array<uint8_t, kMaxBatchBlocks> last = {};
  int blocks_per_mcu;
  std::array<BaselineBlock, kMaxBatchBlocks> blocks;
};

}  // namespace pomona
