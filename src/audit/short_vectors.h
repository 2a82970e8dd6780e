// Short vectors that stand for rows of features where only those need to be compared that may be
// alike.
//
// A row of length 1 is split by an orthonormal basis: into its coordinates there, and what is left,
// of which only the length is kept. By Cauchy and Schwarz the product of two such short vectors is
// never below the cosine of their rows, so that no pair is lost that is as near as was asked for. The
// more of the rows the basis holds, the fewer others are let through.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "pomona/cpu.h"
#include "pomona/pca.h"

namespace pomona::audit {

// By how much a product of short vectors may fall short of the cosine, all rounding together.
inline constexpr double kMargin = 1e-5;

// Threads: safe to share once made.
class ShortVectors {
 public:
  // Of a basis that holds the PCA's mean and its first components, which need not be orthonormal.
  explicit ShortVectors(const Pca& pca);

  // Of what lies in the basis and, last, the length of what is left.
  size_t dimensions() const { return basis_.size() / width_ + 1; }

  // rows: n x width. Gives the squares of their lengths, and n x dimensions(): of a row of zeros, zeros.
  void Make(std::span<const float> rows, std::span<double> norms, std::span<float> out,
            Cpu cpu = Cpu::kBest) const;

 private:
  size_t width_;               // of a row of features
  std::vector<double> basis_;  // orthonormal, row by row
};

}  // namespace pomona::audit
