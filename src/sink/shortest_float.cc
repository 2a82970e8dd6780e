#include "shortest_float.h"

#include <algorithm>
#include <array>
#include <bit>
#include <charconv>
#include <cstdint>
#include <cstring>
#include <string_view>

namespace pomona {
namespace {

constexpr int kMantissaBits = 23;
constexpr int kExponentBias = 127;
constexpr uint32_t kMantissa = (1U << kMantissaBits) - 1;

// Of numbers in [2^-13, 2^9), as nearly all features are, all that is calculated fits into 64 bits. They
// are written without an exponent, but for some.
constexpr int kFirstExponent = -13;
constexpr int kEndExponent = 9;

constexpr uint64_t kTenTo8 = 100'000'000;
constexpr uint64_t kTenTo16 = kTenTo8 * kTenTo8;

// Of the numbers of one exponent.
struct Unit {
  int shift;              // they are multiples of 2^-shift
  uint64_t decimals;      // 1 / the largest power of ten that is not above it
  uint64_t of_16_digits;  // 10^16 / decimals
};

constexpr auto kUnits = [] {
  std::array<Unit, kEndExponent - kFirstExponent> units{};
  for (int i = 0; Unit& unit : units) {
    unit.shift = kMantissaBits - (kFirstExponent + i++);
    unit.decimals = 1;
    while (unit.decimals < uint64_t{1} << unit.shift) unit.decimals *= 10;
    unit.of_16_digits = kTenTo16 / unit.decimals;
  }
  return units;
}();

// Without a branch, since nobody could foretell it.
constexpr uint64_t Select(bool condition, uint64_t yes, uint64_t no) {
  return no ^ ((yes ^ no) & (uint64_t{0} - uint64_t{condition}));
}

// The eight digits of a number, the first in the lowest byte: halves of four, of two and of one by
// multiplication with a reciprocal, all at once.
uint64_t EightDigits(uint64_t number) {
  const uint64_t high = (number * 3'518'437'209) >> 45;  // number / 10000
  const uint64_t fours = high | (number - high * 10'000) << 32;
  const uint64_t hundreds = (fours * 10'486) >> 20 & 0x0000'007f'0000'007f;
  const uint64_t twos = hundreds | (fours - hundreds * 100) << 16;
  const uint64_t tens = (twos * 103) >> 10 & 0x000f'000f'000f'000f;
  return tens | (twos - tens * 10) << 8;
}

void StoreDigits(uint64_t digits, char* out) {
  digits |= 0x3030'3030'3030'3030;
  if constexpr (std::endian::native == std::endian::big) digits = __builtin_bswap64(digits);
  std::memcpy(out, &digits, sizeof digits);
}

// A multiple of 1 / unit.decimals that reads back as the number: of those with the fewest digits the
// nearest one. Rounds to odd what it cannot hold, so that comparisons come out as those of the exact
// numbers would: the way of R. Giulietti, "The Schubfach way to render doubles" (2020).
uint64_t ShortestMultiple(uint32_t mantissa, const Unit& unit) {
  const uint64_t exact = 4 * uint64_t{mantissa} * unit.decimals, half = 2 * unit.decimals;
  const uint64_t lost = (uint64_t{1} << unit.shift) - 1;
  const auto quarters = [&](uint64_t scaled) {
    return scaled >> unit.shift | uint64_t{(scaled & lost) != 0};
  };
  // What lies half way to the next number reads back as the even one of the two.
  const uint64_t odd = mantissa & 1;
  const uint64_t value = quarters(exact);
  const uint64_t least = quarters(exact - half) + odd, most = quarters(exact + half) - odd;

  const uint64_t tens = value / 40;
  const bool ten_below = least <= 40 * tens, ten_above = 40 * tens + 40 <= most;
  const uint64_t ones = value / 4;
  const bool one_below = least <= 4 * ones, one_above = 4 * ones + 4 <= most;
  const uint64_t nearest = ones + uint64_t{(value & 3) + (ones & 1) > 2};
  return Select(ten_below != ten_above, 10 * (tens + ten_above),
                Select(one_below != one_above, ones + one_above, nearest));
}

char* WriteSmallInteger(uint32_t number, char* out) {
  if (number >= 100) *out++ = static_cast<char>('0' + number / 100);
  if (number >= 10) *out++ = static_cast<char>('0' + number / 10 % 10);
  *out++ = static_cast<char>('0' + number % 10);
  return out;
}

}  // namespace

char* WriteFloat(float number, char* out) {
  const auto bits = std::bit_cast<uint32_t>(number);
  const uint32_t magnitude = bits & ~(1U << 31), mantissa = magnitude & kMantissa;
  const uint32_t exponent = (magnitude >> kMantissaBits) - (kExponentBias + kFirstExponent);
  // Below a power of two numbers lie closer than above it.
  if (exponent >= kUnits.size() || mantissa == 0) {
    return std::to_chars(out, out + kFloatTextRoom, number).ptr;
  }
  const Unit& unit = kUnits[exponent];
  const uint64_t multiple = ShortestMultiple(mantissa | (1U << kMantissaBits), unit);
  // Shortest texts lie between the same integers as their numbers, since integers are numbers, too.
  const auto integer = static_cast<uint32_t>(std::bit_cast<float>(magnitude));
  const uint64_t decimals = (multiple - integer * unit.decimals) * unit.of_16_digits;

  const uint64_t first = EightDigits(decimals / kTenTo8), second = EightDigits(decimals % kTenTo8);
  // 2e-04 is shorter than 0.0002.
  constexpr uint64_t kFourthDigit = 0xff00'0000;
  if ((integer | second | (first & ~kFourthDigit)) == 0) {
    return std::to_chars(out, out + kFloatTextRoom, number).ptr;
  }
  *out = '-';
  out = WriteSmallInteger(integer, out + (bits >> 31));
  *out = '.';
  StoreDigits(first, out + 1);
  StoreDigits(second, out + 9);
  // Zeros at the end are left out, and the point where nothing else is left.
  const uint64_t last = Select(second != 0, second, first) | 1;
  const auto zeros = static_cast<uint64_t>(std::countl_zero(last)) / 8;
  return out + Select(second != 0, 17, Select(first != 0, 9, 7)) - zeros;
}

char* WriteFloats(std::span<const float> numbers, char* out) {
  // Between a third and a half of the features are zero, in no order that a CPU could foretell. So first
  // the others are found, and what lies before each is written as zeros at once.
  constexpr std::string_view kZeros = "0,0,0,0,0,0,0,0,";
  constexpr size_t kAtOnce = kZeros.size() / 2;
  constexpr size_t kBlock = 256;
  std::array<uint32_t, kBlock> others;
  for (size_t block = 0; block < numbers.size(); block += kBlock) {
    const auto part = numbers.subspan(block, std::min(kBlock, numbers.size() - block));
    size_t count = 0;
    for (uint32_t i = 0; i < part.size(); ++i) {
      others[count] = i;
      count += std::bit_cast<uint32_t>(part[i]) != 0;
    }
    size_t next = 0;
    const auto write_zeros = [&](size_t end) {
      for (; next < end; next += kAtOnce, out += kZeros.size()) {
        std::memcpy(out, kZeros.data(), kZeros.size());
      }
      out -= 2 * (next - end);
      next = end + 1;
    };
    for (const uint32_t i : std::span(others).first(count)) {
      write_zeros(i);
      out = WriteFloat(part[i], out);
      *out++ = ',';
    }
    write_zeros(part.size());
  }
  return numbers.empty() ? out : out - 1;
}

}  // namespace pomona
