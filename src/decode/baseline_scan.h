// What the decoder of baseline JPEGs works on; the same for every instruction set.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <span>

#include "huffman_table.h"

namespace pomona {

// Bytes behind a row that vectors may read or write.
constexpr size_t kRowPadding = 128;

// MCUs whose coefficients are decoded before they are transformed, and their most blocks.
constexpr int kBatchMcus = 8;
constexpr int kMaxBatchBlocks = kBatchMcus * 6;
// Of 27 bits for the first coefficient and 26 for each other; and what is read ahead.
constexpr ptrdiff_t kMaxBatchBytes = kMaxBatchBlocks * 209 + 64;

// The data of a scan without the zeros that JPEG stuffs behind each 0xff, a window of it at a time.
struct UnstuffedBytes {
  static constexpr size_t kWindow = 1 << 15;

  const uint8_t* in;  // what is to be unstuffed
  const uint8_t* in_end;
  uint8_t* window_end;
  bool at_marker;  // `in` is, or at the end of the file; behind the window are zeros
  std::array<uint8_t, kWindow + kRowPadding + kMaxBatchBytes> window;

  void Start(std::span<const uint8_t> data) {
    in = data.data();
    in_end = in + data.size();
    window_end = window.data();
    at_marker = false;
  }

  // Starts behind `marker`, if that is next.
  bool Pass(int marker) {
    if (in_end - in < 2 || in[0] != 0xff || in[1] != marker) return false;
    Start({in + 2, in_end});
    return true;
  }
};

// Places in a block, row by row, in the order of the stream.
constexpr std::array<uint8_t, kBlockSize> MakeZigzag() {
  std::array<uint8_t, kBlockSize> places = {};
  int row = 0;
  int column = 0;
  for (uint8_t& place : places) {
    place = static_cast<uint8_t>(row * 8 + column);
    if ((row + column) % 2 == 0) {  // on the way up
      if (column == 7) {
        ++row;
      } else {
        row = row == 0 ? 0 : row - 1;
        ++column;
      }
    } else if (row == 7) {
      ++column;
    } else {
      column = column == 0 ? 0 : column - 1;
      ++row;
    }
  }
  return places;
}

inline constexpr std::array<uint8_t, kBlockSize> kZigzag = MakeZigzag();

struct BaselineComponent {
  int h, v;  // sampling factors
  const HuffmanTable* dc_table;
  const HuffmanTable* ac_table;
  alignas(16) std::array<int16_t, kBlockSize> quantization;
  std::array<uint16_t, kBlockSize> limits;  // of coefficients in the order of the stream
  int predictor = 0;
  uint8_t* plane;  // the samples of two rows of MCUs
  size_t stride;

  bool IsTame(int coefficient, unsigned k) const { return std::abs(coefficient) <= limits[k]; }
  size_t Rows() const { return size_t{16} * v; }
  uint8_t* Row(int y) const { return plane + (y & (Rows() - 1)) * stride; }
};

struct BaselineBlock {
  BaselineComponent* component;
  int16_t* coefficients;
  uint8_t* last;  // gets the place in the stream of the last one that is not zero
};

struct BaselineScan {
  int width, height;
  int chroma_width, chroma_height;
  int mcus_per_row;
  unsigned restart_interval;
  unsigned mcus_to_restart;
  int next_restart = 0;
  int component_count;
  std::array<BaselineComponent, 3> components;
  std::array<HuffmanTable, 2> dc_tables, ac_tables;
  UnstuffedBytes bytes;
  alignas(64) std::array<int16_t, kMaxBatchBlocks * kBlockSize> coefficients;
  std::array<uint8_t, kMaxBatchBlocks> last = {};
  int blocks_per_mcu;
  std::array<BaselineBlock, kMaxBatchBlocks> blocks;
  std::array<uint16_t*, 2> sums;  // of samples of chroma, a row
};

}  // namespace pomona
