// A Huffman table of JPEG, as a table that gives a code's meaning at one look.
#pragma once

#include <array>
#include <cstdint>
#include <cstdio>  // jpeglib.h needs it first

#include <jpeglib.h>

namespace pomona {

constexpr int kBlockSize = 64;

// No dequantised coefficient of a picture comes near to it. Below it, no sum of 16 bits wraps within
// the first pass of the inverse DCT.
constexpr int kMaxCoefficient = 8191;

// Codes of at most 16 bits, each followed by up to 11 more bits that give a coefficient's value.
class HuffmanTable {
 public:
  // What the next bits mean. Plain numbers, since looking one up is what takes most of the time.
  //   bits 0-5    how many bits of the stream it takes
  //   bit 7       that Find() has to be asked; bits 0-5 are then the shortest length of the code
  //   bits 8-15   how many coefficients to pass over, or one of the two numbers below
  //   bits 16-31  the coefficient after them, signed; at the end of a block, which a progressive JPEG
  //               may have for several blocks at once, how many bits follow that tell their number
  using Symbol = uint32_t;
  static constexpr int kLookupBits = 10;
  static constexpr Symbol kUnknown = 0x80;
  static constexpr int kInvalid = 80;  // more than is passed over in any block
  static constexpr Symbol kInvalidSymbol = kInvalid << 8;
  static constexpr int kEndOfBlock = 160;  // more than kInvalid and a block

  static int Length(Symbol symbol) { return symbol & 0x3f; }
  static unsigned Skip(Symbol symbol) { return symbol >> 8 & 0xff; }
  static int16_t Value(Symbol symbol) { return static_cast<int16_t>(symbol >> 16); }

  // False where libjpeg would refuse the table.
  bool Prepare(const JHUFF_TBL& table, bool is_dc);

  // bits: the next ones of the stream, the first one uppermost.
  Symbol Look(uint64_t bits) const { return lookup_[bits >> (64 - kLookupBits)]; }

  // What Look() does not know.
  Symbol Find(Symbol unknown, uint64_t bits) const;

 private:
  // The symbol of a code of `length` bits with which `bits` begin, whatever its size.
  Symbol Complete(int length, int code_value, uint64_t bits) const;

  bool is_dc_;
  std::array<uint8_t, 256> values_;
  std::array<uint32_t, 18> ends_;  // by length: behind its last code, in the upper ones of 16 bits
  std::array<int, 17> offsets_;    // by length: index in values_, less the code
  std::array<Symbol, 1 << kLookupBits> lookup_;
};

}  // namespace pomona
