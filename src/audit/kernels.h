// The two loops in which the time of an audit goes, vectorised for each kind of CPU.
//
// Both give the same bits on every CPU: FindPairs() by chains of fused multiply-adds in the order of
// the dimensions, Dot() because a product of two float32 is exact in float64.
#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>

#include "pomona/cpu.h"

namespace pomona::audit {

// Vectors in a tile: a multiple of every CPU's vectors, of which two fill an eighth of a core's
// nearest cache.
inline constexpr size_t kTile = 96;

// Two vectors of two tiles, by their places there, and their scalar product.
struct TilePair {
  uint32_t a = 0;
  uint32_t b = 0;
  float product = 0;
};

// Finds the pairs of vectors of two tiles whose product is at least thresholds[the place in a].
// a, b: dimensions x kTile values each, at multiples of 64 bytes; only the first `rows` vectors of a
// count, and maybe some of zeros behind them. found: room for kTile * kTile. Returns how many there are.
size_t FindPairs(const float* a, size_t rows, const float* b, size_t dimensions,
                 const float* thresholds, TilePair* found, Cpu cpu = Cpu::kBest);

// The scalar product of two vectors of n values, added up in 16 sums that take turns.
double Dot(const float* a, const float* b, size_t n, Cpu cpu = Cpu::kBest);

// The cosine of two rows; `squares`: the product of the squares of their lengths. Exactly 1 of equal
// rows, and 0 where one of them is all zeros.
inline double Cosine(const float* a, const float* b, size_t n, double squares, Cpu cpu) {
  return squares > 0 ? Dot(a, b, n, cpu) / std::sqrt(squares) : 0;
}

}  // namespace pomona::audit
