// Rows for tests, the same on every platform.
#pragma once

#include <cstddef>
#include <cstdint>
#include <random>
#include <vector>

namespace pomona {

// n x dimensions values in [0, 1), each column with a mean and a spread of its own.
inline std::vector<float> RandomRows(size_t n, size_t dimensions, uint32_t seed) {
  std::mt19937 random(seed);
  std::vector<float> rows(n * dimensions);
  for (size_t i = 0; i < rows.size(); ++i) {
    const float uniform = static_cast<float>(random() >> 8) * 0x1p-24f;
    const float spread = 1.0f / static_cast<float>(1 + i % dimensions);
    rows[i] = 0.5f * uniform * spread + 0.5f * (1 - spread);
  }
  return rows;
}

}  // namespace pomona
