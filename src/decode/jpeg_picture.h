// What the decoders of baseline and of progressive JPEGs work on; the same for every instruction set.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstdio>  // jpeglib.h needs it first
#include <cstdlib>
#include <span>

#include <jpeglib.h>

#include "codecs.h"
#include "huffman_table.h"

namespace pomona {

// Bytes behind a row that vectors may read or write.
constexpr size_t kRowPadding = 128;

// MCUs that are decoded before bytes are provided again, and their most blocks.
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
  // Whether `in` is at a marker or at the file's end. Bytes behind the window mean nothing then;
  // BitsLeft() is negative once any was used.
  bool at_marker;
  std::array<uint8_t, kWindow + kRowPadding + kMaxBatchBytes> window = {};

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

// The data of a scan, and where they restart.
struct ScanData {
  UnstuffedBytes bytes;
  unsigned restart_interval;  // in MCUs; 0: none
  unsigned mcus_to_restart;
  int next_restart;

  void Start(std::span<const uint8_t> data, unsigned interval) {
    bytes.Start(data);
    restart_interval = mcus_to_restart = interval;
    next_restart = 0;
  }

  // Counts an MCU: whether an interval ends in front of it.
  bool IntervalEnds() { return restart_interval != 0 && mcus_to_restart-- == 0; }
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

struct JpegComponent {
  int h, v;  // sampling factors
  alignas(16) std::array<int16_t, kBlockSize> quantization;
  std::array<uint16_t, kBlockSize> limits;  // of coefficients in the order of the stream
  uint8_t* plane;                           // the samples of two rows of MCUs
  size_t stride;

  bool IsTame(int coefficient, unsigned k) const { return std::abs(coefficient) <= limits[k]; }
  size_t Rows() const { return size_t{16} * v; }
  uint8_t* Row(int y) const { return plane + (y & (Rows() - 1)) * stride; }
};

// Of one component, or of three of which the second and third may have half the width or height.
struct JpegPicture {
  int width, height;
  int chroma_width, chroma_height;
  int mcus_per_row, mcu_rows;
  int component_count;
  std::array<JpegComponent, 3> components;
  std::array<uint16_t*, 2> sums;  // of samples of chroma, a row

  std::span<JpegComponent> Components() {
    return {components.data(), static_cast<size_t>(component_count)};
  }

  // By the header of a file. False where a component, its factors or its quantisation are unusual.
  bool Prepare(const jpeg_decompress_struct& cinfo);

  // One block of memory for all rows of samples, and `more` bytes behind them. Gives where these are.
  uint8_t* TakeMemory(Buffer* memory, size_t more);
};

}  // namespace pomona
