// Draws the pictures of the sample tree.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

namespace pomona {

inline constexpr int kFruitSize = 100;  // width and height in pixels
inline constexpr int kFruits = 12;      // kinds of fruit, each a label of the sample tree

// REQUIRES: 0 <= fruit < kFruits, here and below.
std::string_view FruitLabel(int fruit);

// Picture `number` of a fruit on white. A hundred pictures show one fruit making a whole turn, then
// the next fruit of its kind follows.
// rgb: kFruitSize x kFruitSize x 3.
void DrawFruit(int fruit, int64_t number, std::span<uint8_t> rgb);

}  // namespace pomona
