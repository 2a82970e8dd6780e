#include "decode/inflate.h"

#include <array>
#include <bit>
#include <cstring>
#include <utility>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "decode/inflate.cc"
// Where vectors may be longer than their lanes in memory.
#define HWY_DISABLED_TARGETS (HWY_SVE | HWY_SVE2 | HWY_SVE_256 | HWY_SVE2_128 | HWY_RVV)
#include "hwy/foreach_target.h"
#include "hwy/highway.h"

#ifndef POMONA_DECODE_INFLATE_TABLES  // once, not for each target
#define POMONA_DECODE_INFLATE_TABLES
namespace pomona {
namespace {

static_assert(std::endian::native == std::endian::little);

// An entry of a table. Bits 0 to 5: of the code, in the stream. Bits 6 and 7: how many literals, from
// bit 8 on. Of other entries, bits 8 to 12: how many bits follow the code, or index the other table;
// bits 13 to 15: what it is; bits 16 and up: a length, a distance, or where the other table begins.
constexpr uint32_t kOneLiteral = 1 << 6;
constexpr uint32_t kLiteralMask = 3 << 6;
constexpr uint32_t kKindMask = 7 << 13;
constexpr uint32_t kEndOfBlock = 1 << 13;
constexpr uint32_t kOtherTable = 2 << 13;
constexpr uint32_t kInvalid = 4 << 13;

constexpr uint32_t CodeBits(uint32_t entry) { return entry & 63; }
constexpr uint32_t LiteralCount(uint32_t entry) { return entry >> 6 & 3; }
constexpr uint32_t ExtraBits(uint32_t entry) { return entry >> 8 & 31; }
constexpr uint32_t Value(uint32_t entry) { return entry >> 16; }

// What each symbol's entry says but for the length of its code.
constexpr std::array<uint32_t, 288> kLiteralSymbols = [] {
  std::array<uint32_t, 288> entries = {};
  for (uint32_t i = 0; i < 256; ++i) entries[i] = kOneLiteral | i << 8;
  entries[256] = kEndOfBlock;
  uint32_t length = 3;
  for (uint32_t i = 257; i < 285; ++i) {
    const uint32_t extra = i < 265 ? 0 : (i - 261) / 4;
    entries[i] = length << 16 | extra << 8;
    length += 1 << extra;
  }
  entries[285] = 258 << 16;
  entries[286] = entries[287] = kInvalid;
  return entries;
}();

constexpr std::array<uint32_t, 32> kDistanceSymbols = [] {
  std::array<uint32_t, 32> entries = {};
  uint32_t distance = 1;
  for (uint32_t i = 0; i < 30; ++i) {
    const uint32_t extra = i < 4 ? 0 : (i - 2) / 2;
    entries[i] = distance << 16 | extra << 8;
    distance += 1 << extra;
  }
  entries[30] = entries[31] = kInvalid;
  return entries;
}();

constexpr std::array<uint32_t, 19> kLengthSymbols = [] {
  std::array<uint32_t, 19> entries = {};
  for (uint32_t i = 0; i < 19; ++i) entries[i] = i << 16;
  return entries;
}();

constexpr int kMaxCodeBits = 15;
constexpr int kLengthBits = 7;

// Fills a table that looks up `table_bits` of the stream, with the others behind it. False where
// the lengths are those of no code. A single code may be half of one: `sparse` says whether it
// may, or there may be none.
template <size_t kSymbols>
bool BuildTable(const uint8_t* lengths, size_t count, const std::array<uint32_t, kSymbols>& symbols,
                bool sparse, int table_bits, uint32_t* table) {
  std::array<uint32_t, kMaxCodeBits + 2> first = {};  // of the symbols in the order of their codes
  for (size_t i = 0; i < count; ++i) ++first[lengths[i] + size_t{1}];
  const size_t used = count - first[1];
  first[1] = 0;
  int longest = kMaxCodeBits;
  while (longest > 0 && first[longest + 1] == 0) --longest;
  int left = 1;  // codes of the length that is at hand
  for (int length = 1; length <= kMaxCodeBits; ++length) {
    left = 2 * left - static_cast<int>(first[length + 1]);
    if (left < 0) return false;
  }
  if (left > 0) {
    if (!sparse || longest > 1) return false;
    std::fill_n(table, size_t{1} << table_bits, kInvalid | 1);
  }
  for (int length = 1; length <= kMaxCodeBits; ++length) first[length + 1] += first[length];
  std::array<uint16_t, kSymbols> order;
  for (size_t i = 0; i < count; ++i) {
    if (lengths[i] != 0) order[first[lengths[i]]++] = static_cast<uint16_t>(i);
  }

  const uint32_t table_size = 1u << table_bits;
  const uint32_t other_bits =
      longest > table_bits ? static_cast<uint32_t>(longest - table_bits) : 0;
  uint32_t other = table_size;  // where the next one begins
  uint32_t other_prefix = table_size;
  uint32_t code = 0;  // its first bit lowest, as in the stream
  for (size_t i = 0; i < used; ++i) {
    const uint32_t length = lengths[order[i]];
    const uint32_t entry = symbols[order[i]] | length;
    if (length <= static_cast<uint32_t>(table_bits)) {
      for (uint32_t at = code; at < table_size; at += 1u << length) table[at] = entry;
    } else {
      const uint32_t prefix = code & (table_size - 1);
      if (prefix != other_prefix) {
        if (other_prefix != table_size) other += 1u << other_bits;
        other_prefix = prefix;
        table[prefix] = kOtherTable | other << 16 | other_bits << 8;
      }
      const uint32_t step = 1u << (length - static_cast<uint32_t>(table_bits));
      for (uint32_t at = code >> table_bits; at < 1u << other_bits; at += step) {
        table[other + at] = entry;
      }
    }
    uint32_t bit = 1u << (length - 1);
    while ((code & bit) != 0) bit >>= 1;
    code = bit == 0 ? 0 : (code & (bit - 1)) | bit;
  }
  return true;
}

// Lets entries of literals hold those that follow as well, where the bits tell them.
void JoinLiterals(const uint8_t* lengths, uint32_t* table) {
  constexpr uint32_t kBits = InflateState::kLiteralBits;
  uint32_t shortest = kMaxCodeBits;
  for (int i = 0; i < 256; ++i) {
    if (lengths[i] != 0) shortest = std::min<uint32_t>(shortest, lengths[i]);
  }
  if (2 * shortest > kBits) return;
  // From the end: the entries that one looks up lie before it, and hold one literal still.
  for (uint32_t at = (1u << kBits) - 1; at > 0; --at) {
    uint32_t entry = table[at];
    const bool one = (entry & kLiteralMask) != 0;
    const uint32_t second = table[at >> (CodeBits(entry) & 15)];
    const bool two =
        one & ((second & kLiteralMask) != 0) & (CodeBits(entry) + CodeBits(second) <= kBits);
    entry += two ? kOneLiteral + CodeBits(second) + ((second >> 8) << 16) : 0;
    const uint32_t third = table[at >> (CodeBits(entry) & 15)];
    const bool three =
        two & ((third & kLiteralMask) != 0) & (CodeBits(entry) + CodeBits(third) <= kBits);
    entry += three ? kOneLiteral + CodeBits(third) + ((third >> 8) << 24) : 0;
    table[at] = entry;
  }
}

}  // namespace
}  // namespace pomona
#endif  // POMONA_DECODE_INFLATE_TABLES

HWY_BEFORE_NAMESPACE();
namespace pomona {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

// The stream, in registers while symbols are read.
class Bits {
 public:
  explicit Bits(InflateState* state)
      : state_(state),
        in_(state->in),
        in_end_(state->in_end),
        bits_(state->bits),
        count_(state->bit_count) {}

  // False where bits were used that are not in the stream.
  bool Save() {
    state_->in = in_;
    state_->in_end = in_end_;
    state_->bits = bits_;
    state_->bit_count = count_;
    return state_->made_up <= count_;
  }

  // 56 bits at least.
  HWY_INLINE void Fill() {
    if (HWY_LIKELY(in_end_ - in_ >= 8)) {
      uint64_t next;
      std::memcpy(&next, in_, 8);
      bits_ |= next << count_;  // those that do not count yet come again
      in_ += (63 - count_) >> 3;
      count_ |= 56;
    } else {
      FillAtEdge();
    }
  }

  HWY_INLINE uint64_t bits() const { return bits_; }
  HWY_INLINE void Drop(uint32_t n) {
    bits_ >>= n;
    count_ -= n;
  }
  HWY_INLINE uint32_t Take(uint32_t n) {
    const uint32_t value = static_cast<uint32_t>(bits_ & ((uint64_t{1} << n) - 1));
    Drop(n);
    return value;
  }

  void DropToByte() { Drop(count_ & 7); }

  // Copies bytes from a byte's border on, as many as there are in one go, and gives how many.
  uint32_t CopyBytes(uint32_t most, uint8_t* out) {
    uint32_t size = 0;
    while (size < most && count_ >= 8) out[size++] = static_cast<uint8_t>(Take(8));
    if (count_ != 0) return size;
    bits_ = 0;  // the rest of it is at in_ as well
    const size_t rest = std::min<size_t>(most - size, static_cast<size_t>(in_end_ - in_));
    if (rest > 0) std::memcpy(out + size, in_, rest);
    in_ += rest;
    return size + static_cast<uint32_t>(rest);
  }

 private:
  void FillAtEdge() {
    while (count_ < 56) {
      if (in_ == in_end_) {
        const std::span<const uint8_t> piece = state_->next_piece();
        in_ = piece.data();
        in_end_ = in_ + piece.size();
        if (piece.empty()) {
          state_->made_up += 8;
          count_ += 8;
          continue;
        }
      }
      bits_ |= uint64_t{*in_++} << count_;
      count_ += 8;
    }
  }

  InflateState* state_;
  const uint8_t* in_;
  const uint8_t* in_end_;
  uint64_t bits_;
  uint32_t count_;
};

bool ReadStreamHeader(Bits* bits) {
  bits->Fill();
  const uint32_t method = bits->Take(8);
  const uint32_t flags = bits->Take(8);
  // Deflate, a window that exists, no dictionary.
  return (method & 15) == 8 && method >> 4 <= 7 && (method << 8 | flags) % 31 == 0 &&
         (flags & 32) == 0;
}

// Lengths of the codes of 286 literals and lengths, then of 30 distances at most.
bool ReadLengths(Bits* bits, std::array<uint8_t, 288 + 32>* lengths, size_t* literals,
                 size_t* distances) {
  static constexpr uint8_t kOrder[19] = {16, 17, 18, 0, 8,  7, 9,  6, 10, 5,
                                         11, 4,  12, 3, 13, 2, 14, 1, 15};
  bits->Fill();
  *literals = bits->Take(5) + 257;
  *distances = bits->Take(5) + 1;
  const uint32_t orders = bits->Take(4) + 4;
  if (*literals > 286 || *distances > 30) return false;
  uint8_t code_lengths[19] = {};
  for (uint32_t i = 0; i < orders; ++i) {
    bits->Fill();
    code_lengths[kOrder[i]] = static_cast<uint8_t>(bits->Take(3));
  }
  uint32_t table[1 << kLengthBits];
  if (!BuildTable(code_lengths, 19, kLengthSymbols, /*sparse=*/false, kLengthBits, table)) {
    return false;
  }
  const size_t count = *literals + *distances;
  for (size_t i = 0; i < count;) {
    bits->Fill();
    const uint32_t entry = table[bits->bits() & ((1 << kLengthBits) - 1)];
    bits->Drop(CodeBits(entry));
    const uint32_t symbol = Value(entry);
    if (symbol < 16) {
      (*lengths)[i++] = static_cast<uint8_t>(symbol);
      continue;
    }
    if (symbol == 16 && i == 0) return false;
    const uint8_t repeated = symbol == 16 ? (*lengths)[i - 1] : uint8_t{0};
    const uint32_t times = symbol == 16   ? 3 + bits->Take(2)
                           : symbol == 17 ? 3 + bits->Take(3)
                                          : 11 + bits->Take(7);
    if (times > count - i) return false;
    std::fill_n(lengths->begin() + static_cast<ptrdiff_t>(i), times, repeated);
    i += times;
  }
  return (*lengths)[256] != 0;  // the end of the block can be said
}

bool ReadBlockHeader(Bits* bits, InflateState* state) {
  bits->Fill();
  state->last_block = bits->Take(1) != 0;
  const uint32_t type = bits->Take(2);
  if (type == 0) {
    bits->DropToByte();
    const uint32_t size = bits->Take(16);
    state->stored = size;
    state->next = InflateState::Next::kStored;
    return size == (bits->Take(16) ^ 0xffff);
  }
  std::array<uint8_t, 288 + 32> lengths;
  size_t literals = 288;
  size_t distances = 32;
  if (type == 1) {
    auto* fixed = lengths.data();
    for (const auto& [end, length] : {std::pair{144, 8}, {256, 9}, {280, 7}, {288, 8}, {320, 5}}) {
      while (fixed != lengths.data() + end) *fixed++ = static_cast<uint8_t>(length);
    }
  } else if (type != 2 || !ReadLengths(bits, &lengths, &literals, &distances)) {
    return false;
  }
  if (!BuildTable(lengths.data(), literals, kLiteralSymbols, /*sparse=*/false,
                  InflateState::kLiteralBits, state->literals) ||
      !BuildTable(lengths.data() + literals, distances, kDistanceSymbols, /*sparse=*/true,
                  InflateState::kDistanceBits, state->distances)) {
    return false;
  }
  JoinLiterals(lengths.data(), state->literals);
  state->next = InflateState::Next::kCodes;
  return true;
}

// May write 15 bytes more.
HWY_INLINE void CopyMatch(uint8_t* out, size_t distance, size_t length) {
  const uint8_t* from = out - distance;
  uint8_t* const end = out + length;
  if (HWY_LIKELY(distance >= 16)) {
    do {
      std::memcpy(out, from, 16);
      out += 16;
      from += 16;
    } while (out < end);
  } else if (distance == 1) {
    std::memset(out, *from, length);
  } else {
    // Each step repeats the whole pattern, and so makes it longer: a step is below 16 bytes.
    uint8_t pattern[16];
    std::memcpy(pattern, from, 16);
    do {
      std::memcpy(out, pattern, 16);
      out += distance;
    } while (out < end);
  }
}

bool ReadSymbols(Bits* stream, InflateState* state) {
  constexpr uint32_t kMask = (1 << InflateState::kLiteralBits) - 1;
  constexpr uint32_t kDistanceMask = (1 << InflateState::kDistanceBits) - 1;
  Bits bits = *stream;
  uint8_t* out = state->out;
  uint8_t* const out_end = state->out_end;
  bool good = true;
  const auto put = [&](uint32_t entry) {
    bits.Drop(CodeBits(entry));
    const uint32_t literals = entry >> 8;
    std::memcpy(out, &literals, 4);
    out += LiteralCount(entry);
  };
  while (out < out_end) {
    bits.Fill();
    uint32_t entry = state->literals[bits.bits() & kMask];
    if ((entry & kLiteralMask) != 0) {
      for (int i = 0; i < 3 && (entry & kLiteralMask) != 0; ++i) {
        put(entry);
        entry = state->literals[bits.bits() & kMask];
      }
      if ((entry & kLiteralMask) != 0) {
        put(entry);
        continue;
      }
      bits.Fill();  // a length and its distance take up to 48
    }
    if ((entry & kKindMask) == kOtherTable) {
      const uint32_t index = static_cast<uint32_t>(bits.bits() >> InflateState::kLiteralBits) &
                             ((1u << ExtraBits(entry)) - 1);
      entry = state->literals[Value(entry) + index];
      if ((entry & kLiteralMask) != 0) {
        put(entry);
        continue;
      }
    }
    bits.Drop(CodeBits(entry));
    if ((entry & kKindMask) != 0) {
      good = (entry & kKindMask) == kEndOfBlock;
      state->next = InflateState::Next::kBlock;
      break;
    }
    const size_t length = Value(entry) + bits.Take(ExtraBits(entry));
    entry = state->distances[bits.bits() & kDistanceMask];
    if ((entry & kKindMask) == kOtherTable) {
      const uint32_t index = static_cast<uint32_t>(bits.bits() >> InflateState::kDistanceBits) &
                             ((1u << ExtraBits(entry)) - 1);
      entry = state->distances[Value(entry) + index];
    }
    bits.Drop(CodeBits(entry));
    const size_t distance = Value(entry) + bits.Take(ExtraBits(entry));
    if ((entry & kKindMask) != 0 || distance > static_cast<size_t>(out - state->first)) {
      good = false;
      break;
    }
    CopyMatch(out, distance, length);
    out += length;
  }
  state->out = out;
  *stream = bits;
  return good;
}

// Goes on up to the end of the room or of the stream; false where that is broken.
bool Inflate(InflateState* state) {
  using Next = InflateState::Next;
  uint8_t* const start = state->out;
  Bits bits(state);
  bool good = true;
  while (good && state->out < state->out_end && state->next != Next::kNothing) {
    switch (state->next) {
      case Next::kStream:
        good = ReadStreamHeader(&bits);
        state->next = Next::kBlock;
        break;
      case Next::kBlock:
        if (state->last_block) {
          state->next = Next::kChecksum;
        } else {
          good = ReadBlockHeader(&bits, state);
        }
        break;
      case Next::kStored: {
        const auto room = static_cast<size_t>(state->out_end - state->out);
        const uint32_t size = bits.CopyBytes(
            static_cast<uint32_t>(std::min<size_t>(state->stored, room)), state->out);
        state->stored -= size;
        state->out += size;
        if (state->stored == 0) {
          state->next = Next::kBlock;
        } else if (size == 0) {
          bits.Fill();
          good = bits.Save();
        }
        break;
      }
      case Next::kCodes: good = ReadSymbols(&bits, state); break;
      case Next::kChecksum:
        bits.DropToByte();
        bits.Fill();
        state->checksum = 0;
        for (int i = 0; i < 4; ++i) state->checksum = state->checksum << 8 | bits.Take(8);
        state->next = Next::kNothing;
        break;
      case Next::kNothing: break;
    }
  }
  if (bits.Save()) return good;
  state->out = start;  // nobody knows where it went on with what is not there
  return false;
}

// Adler-32 of all before and these bytes.
uint32_t AddToChecksum(uint32_t checksum, const uint8_t* bytes, size_t size) {
  constexpr uint32_t kModulus = 65'521;
  uint32_t a = checksum & 0xffff;
  uint32_t b = checksum >> 16;
  while (size > 0) {
    size_t count = std::min<size_t>(size, 5'536);  // b stays within 32 bits; a multiple of 16
    size -= count;
#if HWY_TARGET != HWY_SCALAR
    const hn::FixedTag<uint8_t, 16> d8;
    const hn::Repartition<int16_t, decltype(d8)> d16;
    const hn::Repartition<int32_t, decltype(d8)> d32;
    const hn::Repartition<uint64_t, decltype(d8)> d64;
    alignas(16) static constexpr int16_t kWeights[16] = {16, 15, 14, 13, 12, 11, 10, 9,
                                                         8,  7,  6,  5,  4,  3,  2,  1};
    const auto upper_weights = hn::Load(d16, kWeights);
    const auto lower_weights = hn::Load(d16, kWeights + 8);
    const auto zero = hn::Zero(d8);
    auto sums = hn::Zero(d64);     // of bytes
    auto earlier = hn::Zero(d64);  // sums as they were before each step, which b takes 16 times
    auto weighted = hn::Zero(d32), weighted_odd = hn::Zero(d32);
    const size_t steps = count / 16;
    for (size_t i = 0; i < steps; ++i, bytes += 16) {
      const auto v = hn::LoadU(d8, bytes);
      earlier = hn::Add(earlier, sums);
      sums = hn::Add(sums, hn::SumsOf8(v));
      weighted =
          hn::ReorderWidenMulAccumulate(d32, hn::BitCast(d16, hn::InterleaveLower(d8, v, zero)),
                                        upper_weights, weighted, weighted_odd);
      weighted =
          hn::ReorderWidenMulAccumulate(d32, hn::BitCast(d16, hn::InterleaveUpper(d8, v, zero)),
                                        lower_weights, weighted, weighted_odd);
    }
    const auto sum64 = [&](auto v) {
      return static_cast<uint32_t>(hn::GetLane(hn::SumOfLanes(d64, v)));
    };
    const auto all_weighted =
        hn::SumOfLanes(d32, hn::RearrangeToOddPlusEven(weighted, weighted_odd));
    b += static_cast<uint32_t>(16 * steps) * a + 16 * sum64(earlier) +
         static_cast<uint32_t>(hn::GetLane(all_weighted));
    a += sum64(sums);
    count -= 16 * steps;
#endif
    for (; count > 0; --count) {
      a += *bytes++;
      b += a;
    }
    a %= kModulus;
    b %= kModulus;
  }
  return b << 16 | a;
}

}  // namespace HWY_NAMESPACE
}  // namespace pomona
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
#include "dispatch.h"

namespace pomona {
namespace {

HWY_EXPORT(Inflate);
HWY_EXPORT(AddToChecksum);

}  // namespace

Inflater::Inflater(std::function<std::span<const uint8_t>()> next_piece, std::span<uint8_t> room)
    : room_(room), read_(room.data()) {
  state_.next_piece = std::move(next_piece);
  state_.first = state_.out = room.data();
  state_.out_end = room.data() + room.size() - kSlack;
}

const uint8_t* Inflater::Read(size_t size) {
  const auto inflate = KernelFor(HWY_DISPATCH_TABLE(Inflate), Cpu::kBest);
  while (static_cast<size_t>(state_.out - read_) < size) {
    if (state_.out >= state_.out_end) {  // what can be referred to and what was not read stays
      const size_t window = std::min<size_t>(static_cast<size_t>(read_ - room_.data()), kWindow);
      const uint8_t* kept = read_ - window;
      const auto bytes = static_cast<size_t>(state_.out - kept);
      std::memmove(room_.data(), kept, bytes);
      state_.out = room_.data() + bytes;
      read_ = room_.data() + window;
    }
    if (state_.next == InflateState::Next::kNothing) return nullptr;
    if (broken_ = broken_ || !inflate(&state_); broken_) return nullptr;
  }
  checksum_ = KernelFor(HWY_DISPATCH_TABLE(AddToChecksum), Cpu::kBest)(checksum_, read_, size);
  read_ += size;
  return read_ - size;
}

bool Inflater::Ends() {
  return Read(1) == nullptr && !broken_ && state_.next == InflateState::Next::kNothing &&
         state_.checksum == checksum_;
}

}  // namespace pomona
#endif  // HWY_ONCE
