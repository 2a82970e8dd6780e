// MobileNetV2 as a list of inverted residual blocks, each run strip by strip.
#pragma once

#include <arrow/result.h>

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "infer/native/kernels.h"
#include "infer/scaled_bytes.h"

namespace pomona::native {

// One inverted residual block: expansion, depthwise convolution, projection. The first block's
// expansion is the network's first convolution, which reads the picture.
struct Block {
  PackedMatrix expand;
  PackedDepthwise depthwise;
  PackedMatrix project;
  int size = 0;           // height and width of the expanded picture
  int stride = 1;         // of the depthwise convolution
  int pad = 1;            // of it: rows and columns in front
  bool residual = false;  // adds the block's input to its output
  int strip_rows = 1;     // output rows computed at a time

  int out_size() const { return size / stride; }
  int expanded() const { return depthwise.channels; }
  int groups() const { return (expanded() + kGroup - 1) / kGroup; }

  // The expanded picture lives in rings of rows, one for each group of channels; each row has a
  // column of padding at either end. Where one strip is the whole picture, all groups share a ring.
  int ring_rows() const { return (strip_rows - 1) * stride + 3; }
  ptrdiff_t ring_row() const { return static_cast<ptrdiff_t>(size + 2) * kGroup; }
  ptrdiff_t ring() const { return ring_rows() * ring_row(); }
  bool one_strip() const { return strip_rows == out_size(); }

  // Floats of a group of a strip's output of the depthwise convolution.
  ptrdiff_t filtered_group() const {
    return static_cast<ptrdiff_t>(strip_rows) * out_size() * kGroup;
  }
};

// Activations of one worker.
struct Scratch {
  AlignedFloats memory;
  size_t bytes;
};

// Threads: safe to share once made; each caller of Run() brings a Scratch of its own.
class Network {
 public:
  // layers: MobileNetV2Layers() of any width, with weights. input_size: a multiple of 32.
  // kernels: must outlive the network. preprocessing: its scaling is the network's first step.
  static arrow::Result<std::unique_ptr<const Network>> Make(
      std::span<const FoldedLayer> layers, int input_size, const Kernels& kernels,
      const Preprocessing& preprocessing = kKerasPreprocessing);

  int input_size() const { return input_size_; }
  int features() const { return last_.columns; }

  arrow::Result<Scratch> NewScratch() const;

  // picture: input_size x input_size x 3 RGB. features: features() floats.
  void Run(const uint8_t* picture, Scratch& scratch, float* features) const;

 private:
  // Where the parts of a Scratch begin, in floats.
  struct Layout {
    size_t picture = 0;   // rows of the scaled picture that a strip of the first block reads
    size_t rings = 0;     // see Block
    size_t zeros = 0;     // a row of the expanded picture above and below it
    size_t filtered = 0;  // a strip's output of the depthwise convolution
    size_t activations[2] = {0, 0};  // a block's input and output, in turns
    size_t total = 0;
  };

  Network() = default;
  void PlanStrips();
  void PlanScratch();

  ptrdiff_t ScaledRow() const { return (input_size_ + 1) * 3; }

  // Only the first block reads the picture; it does not read `in`.
  void RunBlock(const Block& block, const uint8_t* picture, const float* in, float* out,
                float* memory) const;

  // Scales rows [begin, end) of the picture; those above and below it are zeros.
  void ScaleRows(const uint8_t* picture, int begin, int end, float* scaled) const;

  // Writes rows [begin, end) of a group of the expanded picture into its ring. in: the rows'
  // inputs; the scaled picture in the first block.
  void ExpandRows(const Block& block, int group, int begin, int end, const float* in,
                  float* ring) const;

  int input_size_;
  int pad_;  // of the first convolution, as Block::pad
  ScaledBytes scaled_;
  const Kernels* kernels_;
  std::vector<Block> blocks_;
  PackedMatrix last_;  // the last convolution, which is pooled
  Layout layout_;
};

}  // namespace pomona::native
