#include "huffman_table.h"

#include <algorithm>
#include <utility>

namespace pomona {
namespace {

constexpr int kMaxLength = 16;

constexpr HuffmanTable::Symbol MakeSymbol(int length, int skip, int value) {
  return static_cast<uint32_t>(length) | static_cast<uint32_t>(skip) << 8 |
         static_cast<uint32_t>(value) << 16;
}

// The value that `size` bits stand for: those that begin with 0 are negative.
constexpr int Extend(int bits, int size) {
  return size > 0 && bits < 1 << (size - 1) ? bits - (1 << size) + 1 : bits;
}

}  // namespace

HuffmanTable::Symbol HuffmanTable::Complete(int length, int code_value, uint64_t bits) const {
  constexpr int kMaxDcSize = 11;
  constexpr int kMaxAcSize = 10;
  constexpr int kSixteenZeros = 15;
  const int size = code_value & 15;
  const int skip = code_value >> 4;
  if (size > (is_dc_ ? kMaxDcSize : kMaxAcSize)) return kInvalidSymbol;
  // In baseline JPEGs libjpeg ends the block at any run without a coefficient but the longest.
  if (size == 0 && !is_dc_ && skip != kSixteenZeros) return MakeSymbol(length, kEndOfBlock, skip);
  const int extra = size == 0 ? 0 : static_cast<int>(bits << length >> (64 - size));
  return MakeSymbol(length + size, skip, Extend(extra, size));
}

bool HuffmanTable::Prepare(const JHUFF_TBL& table, bool is_dc) {
  // Values of so many bits are below kMaxCoefficient, whatever the quantisation table of 8 bits.
  constexpr int kMaxKnownSize = 5;
  constexpr int kMaxDcValue = 15;
  is_dc_ = is_dc;
  std::copy(std::begin(table.huffval), std::end(table.huffval), values_.begin());
  lookup_.fill(kUnknown | (kLookupBits + 1));
  int code = 0;
  int index = 0;
  for (int length = 1; length <= kMaxLength; ++length, code <<= 1) {
    const int count = table.bits[length];
    if (index + count > 256 || code + count >= 1 << length) return false;
    offsets_[length] = index - code;
    for (int i = 0; i < count; ++i, ++code, ++index) {
      const int code_value = values_[index];
      if (is_dc && code_value > kMaxDcValue) return false;
      const int size = code_value & 15;
      if (length > kLookupBits) continue;
      if (size > kMaxKnownSize || length + size > kLookupBits) {
        const int unused = kLookupBits - length;
        std::fill_n(lookup_.begin() + (code << unused), 1 << unused,
                    kUnknown | static_cast<uint32_t>(length));
        continue;
      }
      // All ways to go on from the code: those that share the value are next to each other.
      const int spare = kLookupBits - length - size;
      for (int extra = 0; extra < 1 << size; ++extra) {
        const uint64_t bits = static_cast<uint64_t>(code << size | extra) << (64 - length - size);
        std::fill_n(lookup_.begin() + ((code << size | extra) << spare), 1 << spare,
                    Complete(length, code_value, bits));
      }
    }
    ends_[length] = static_cast<uint32_t>(code) << (kMaxLength - length);
  }
  return true;
}

HuffmanTable::Symbol HuffmanTable::Find(Symbol unknown, uint64_t bits) const {
  const auto next = static_cast<uint32_t>(bits >> (64 - kMaxLength));
  for (int length = Length(unknown); length <= kMaxLength; ++length) {
    if (next >= ends_[length]) continue;
    return Complete(length, values_[(next >> (kMaxLength - length)) + offsets_[length]], bits);
  }
  return kInvalidSymbol;
}

}  // namespace pomona
