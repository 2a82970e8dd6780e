// Resampling with antialiasing, to the bit as Image.resize() of Pillow 9 to 12 does it on RGB.
// Pillow 13 resizes the columns first where the height shrinks more, and 12.2 where the image is more
// than 100 times as tall as wide.
#pragma once

#include <cstdint>
#include <memory>
#include <span>

#include "pomona/cpu.h"
#include "pomona/preprocessing.h"
#include "pomona/row_sink.h"

namespace pomona {

// Resamples pictures of any size to one fixed size, row by row: of a picture it keeps what the next
// row of the result is made of, as wide as the result. Where only the middle is wanted, no other
// rows and columns are made.
//
// The coefficients of the last input width and height are kept, so a run of pictures of one size
// computes them once; nothing is allocated for a picture no larger than those seen before.
//
// Threads: none shared; each worker owns one.
class Resizer : public RowSink {
 public:
  // To the network's input. REQUIRES, here and below: ResolveCpu(cpu) is no error.
  explicit Resizer(const Preprocessing& preprocessing, Cpu cpu = Cpu::kBest);

  // Whole pictures, bicubic.
  Resizer(int out_width, int out_height, Cpu cpu = Cpu::kBest);
  ~Resizer() override;
  Resizer(const Resizer&) = delete;
  Resizer& operator=(const Resizer&) = delete;

  void Begin(int width, int height) override;
  void Add(const uint8_t* rows, int count) noexcept override;

  // Of the picture whose rows were all added: out_height x out_width x 3, valid until another one
  // begins.
  std::span<const uint8_t> picture() const;

  // All of it at once. rgb: height x width x 3. out: out_height x out_width x 3.
  // REQUIRES: width, height >= 1 and spans of exactly those sizes.
  void Resize(int width, int height, std::span<const uint8_t> rgb, std::span<uint8_t> out);

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace pomona
