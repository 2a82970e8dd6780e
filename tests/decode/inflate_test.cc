#include "decode/inflate.h"

#include <gtest/gtest.h>
#include <hwy/targets.h>
#include <zlib.h>

#include <algorithm>
#include <cstring>
#include <memory>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "instruction_sets.h"

namespace pomona {
namespace {

using Bytes = std::vector<uint8_t>;

Bytes Compress(const Bytes& data, int level, int strategy) {
  z_stream stream = {};
  EXPECT_EQ(deflateInit2(&stream, level, Z_DEFLATED, 15, 9, strategy), Z_OK);
  Bytes out(deflateBound(&stream, data.size()) + 64);
  stream.next_in = const_cast<Bytef*>(data.data());
  stream.avail_in = static_cast<uInt>(data.size());
  stream.next_out = out.data();
  stream.avail_out = static_cast<uInt>(out.size());
  EXPECT_EQ(deflate(&stream, Z_FINISH), Z_STREAM_END);
  out.resize(stream.total_out);
  deflateEnd(&stream);
  return out;
}

struct Expanded {
  Bytes bytes = {};
  bool ends = false;
};

Expanded ExpandByZlib(const Bytes& stream_bytes) {
  z_stream stream = {};
  EXPECT_EQ(inflateInit(&stream), Z_OK);
  stream.next_in = const_cast<Bytef*>(stream_bytes.data());
  stream.avail_in = static_cast<uInt>(stream_bytes.size());
  Expanded result;
  int status = Z_OK;
  while (status == Z_OK) {
    Bytes out(65'536);
    stream.next_out = out.data();
    stream.avail_out = static_cast<uInt>(out.size());
    status = inflate(&stream, Z_NO_FLUSH);
    result.bytes.insert(result.bytes.end(), out.begin(), out.end() - stream.avail_out);
  }
  result.ends = status == Z_STREAM_END;
  inflateEnd(&stream);
  return result;
}

// In pieces of `piece` bytes at most, `at_once` bytes of output at once and the last ones singly.
Expanded Expand(const Bytes& stream, size_t piece = SIZE_MAX, size_t at_once = 1000) {
  std::span<const uint8_t> rest = stream;
  const auto next_piece = [&] {
    const auto next = rest.first(std::min(piece, rest.size()));
    rest = rest.subspan(next.size());
    return next;
  };
  // At the end of its memory, so that a sanitizer sees each step beyond.
  const size_t room = Inflater::RoomFor(at_once);
  const auto memory = std::make_unique<uint8_t[]>(room);
  Inflater inflater(next_piece, {memory.get(), room});
  Expanded result;
  while (const uint8_t* bytes = inflater.Read(at_once)) {
    result.bytes.insert(result.bytes.end(), bytes, bytes + at_once);
  }
  while (const uint8_t* byte = inflater.Read(1)) result.bytes.push_back(*byte);
  result.ends = inflater.Ends();
  return result;
}

// On each instruction set that was compiled in and that this CPU has.
class InflateTest : public InstructionSetsTest {
 protected:
  // Whatever is taken is what zlib takes and makes of it.
  Expanded Compare(const Bytes& stream, const std::string& what) {
    const Expanded expected = ExpandByZlib(stream);
    Expanded result;
    for (const int64_t target : targets_) {
      Use(target);
      result = Expand(stream, 1 + stream.size() / 3);
      const auto end = result.bytes.end();
      EXPECT_TRUE(
          std::mismatch(result.bytes.begin(), end, expected.bytes.begin(), expected.bytes.end())
              .first == end)
          << what << ", " << hwy::TargetName(target);
      EXPECT_TRUE(expected.ends || !result.ends) << what;
      if (HasFailure()) break;
    }
    return result;
  }
  std::mt19937 random_{5};

  // Of letters, of which the first are frequent, with repetitions of what was `distance` before.
  Bytes Text(size_t size, int letters, int frequent, int repetitions, size_t distance) {
    Bytes text;
    while (text.size() < size) {
      if (static_cast<int>(random_() % 100) < repetitions && text.size() > distance) {
        const size_t from = text.size() - 1 - random_() % distance;
        const size_t length = 3 + random_() % (random_() % 10 == 0 ? 300 : 9);
        for (size_t i = 0; i < length; ++i) text.push_back(text[from + i]);
      } else {
        const int among = random_() % 4 == 0 ? letters : frequent;
        text.push_back(static_cast<uint8_t>(random_() % static_cast<unsigned>(among)));
      }
    }
    text.resize(size);
    return text;
  }
};

TEST_F(InflateTest, WhatZlibMakes) {
  std::vector<Bytes> texts = {{}, {7}, Bytes(200'000, 9)};
  texts.push_back(Text(150'000, 256, 256, 0, 1));
  texts.push_back(Text(150'000, 256, 8, 0, 1));
  texts.push_back(Text(150'000, 256, 2, 0, 1));  // codes of one bit and of fifteen
  texts.push_back(Text(150'000, 256, 40, 50, 40'000));
  for (size_t distance = 1; distance <= 40; ++distance) {
    texts.push_back(Text(3'000, 200, 20, 60, distance));
  }
  for (const Bytes& text : texts) {
    for (const auto& [level, strategy] : std::vector<std::pair<int, int>>{{0, Z_DEFAULT_STRATEGY},
                                                                          {1, Z_DEFAULT_STRATEGY},
                                                                          {6, Z_DEFAULT_STRATEGY},
                                                                          {9, Z_FILTERED},
                                                                          {6, Z_HUFFMAN_ONLY},
                                                                          {6, Z_RLE},
                                                                          {6, Z_FIXED}}) {
      const Bytes stream = Compress(text, level, strategy);
      for (const int64_t target : targets_) {
        Use(target);
        const Expanded result = Expand(stream);
        EXPECT_TRUE(result.ends && result.bytes == text)
            << hwy::TargetName(target) << " " << text.size() << " " << level << " " << strategy;
      }
    }
  }
}

TEST_F(InflateTest, PiecesAndReadsOfEverySize) {
  const Bytes text = Text(100'000, 256, 30, 40, 32'768);
  const Bytes stream = Compress(text, 6, Z_DEFAULT_STRATEGY);
  for (const size_t piece : {1, 2, 3, 7, 8, 9, 15, 16, 17, 1000, 65'536}) {
    for (const size_t at_once : {1, 257, 32'768, 99'999, 100'000}) {
      const Expanded result = Expand(stream, piece, at_once);
      EXPECT_TRUE(result.ends && result.bytes == text) << piece << " " << at_once;
    }
  }
}

TEST_F(InflateTest, CutAnywhere) {
  const Bytes text = Text(500, 256, 30, 40, 500);
  for (const int level : {0, 6}) {
    const Bytes stream = Compress(text, level, Z_DEFAULT_STRATEGY);
    for (size_t size = 0; size < stream.size(); ++size) {
      const Expanded result =
          Compare(Bytes(stream.begin(), stream.begin() + static_cast<ptrdiff_t>(size)), "cut");
      EXPECT_FALSE(result.ends) << size;
    }
  }
}

TEST_F(InflateTest, Damaged) {
  for (int round = 0; round < 3'000; ++round) {
    const Bytes text = Text(1 + random_() % 3'000, 256, 30, 40, 500);
    const int level = random_() % 10 == 0 ? 0 : 6;
    Bytes stream = Compress(text, level, random_() % 5 == 0 ? Z_FIXED : Z_DEFAULT_STRATEGY);
    // Half of them in front, where the codes are told.
    const size_t span = random_() % 2 == 0 ? stream.size() : std::min<size_t>(stream.size(), 80);
    for (size_t i = 1 + random_() % 3; i > 0; --i) {
      stream[random_() % span] ^= static_cast<uint8_t>(1 << random_() % 8);
    }
    Compare(stream, "round " + std::to_string(round));
    if (HasFailure()) break;
  }
}

// A stream made bit by bit.
class Writer {
 public:
  Writer() { stream_ = {0x78, 0x9c}; }

  // The first bit lowest, as numbers have it.
  Writer& Put(uint32_t value, int bits) {
    for (int i = 0; i < bits; ++i, ++at_) {
      if (at_ % 8 == 0) stream_.push_back(0);
      stream_.back() |= static_cast<uint8_t>((value >> i & 1) << at_ % 8);
    }
    return *this;
  }

  // The first bit highest, as codes have it.
  Writer& Code(uint32_t code, int bits) {
    while (bits-- > 0) Put(code >> bits & 1, 1);
    return *this;
  }

  // The header of a last block whose lengths of codes, 0, 1 and 2 or more, are those given; a run of
  // zeros from 11 to 138 is `-run`. The code of a length of 0 is 0, of 1 is 10, of 2 is 110, of a
  // run 111.
  Writer& Lengths(int literals, int distances, const std::vector<int>& lengths) {
    Put(1, 1).Put(2, 2).Put(static_cast<uint32_t>(literals - 257), 5);
    Put(static_cast<uint32_t>(distances - 1), 5).Put(14, 4);
    const int order[] = {16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1};
    for (const int symbol : order) {
      Put(symbol == 0 ? 1 : symbol == 1 ? 2 : symbol == 2 || symbol == 18 ? 3 : 0, 3);
    }
    for (const int length : lengths) {
      if (length < 0) {
        Code(7, 3).Put(static_cast<uint32_t>(-length - 11), 7);
      } else {
        Code(length == 0 ? 0 : length == 1 ? 2 : 6, length + 1);
      }
    }
    return *this;
  }

  Bytes Stream(const Bytes& text) const {
    Bytes stream = stream_;
    const uLong checksum = adler32(1, text.data(), static_cast<uInt>(text.size()));
    for (int shift = 24; shift >= 0; shift -= 8) {
      stream.push_back(static_cast<uint8_t>(checksum >> shift));
    }
    return stream;
  }

 private:
  Bytes stream_;
  int at_ = 0;
};

TEST_F(InflateTest, CodesThatZlibTakes) {
  // Byte 0 is 0, the end of the block 10, a length of three 11; a distance of 1 is 0.
  const std::vector<int> literals = {1, -138, -117, 2, 2};
  const auto with = [&](std::vector<int> distances) {
    std::vector<int> lengths = literals;
    lengths.insert(lengths.end(), distances.begin(), distances.end());
    return lengths;
  };
  const Bytes four(4);
  const auto check = [&](const Bytes& stream, bool ends, const Bytes& text) {
    const Expanded expected = ExpandByZlib(stream);
    EXPECT_EQ(expected.ends, ends);
    const Expanded result = Compare(stream, "made");
    EXPECT_EQ(result.ends, ends);
    if (ends) {
      EXPECT_EQ(result.bytes, text);
    }
  };
  const auto four_by = [&](int distances, std::vector<int> lengths, int bits) {
    return Writer()
        .Lengths(258, distances, with(std::move(lengths)))
        .Code(0, 1)
        .Code(3, 2)
        .Code(0, bits)
        .Code(2, 2)
        .Stream(four);
  };
  check(four_by(1, {1}, 1), true, four);       // half a code of distances
  check(four_by(2, {1, 1}, 1), true, four);    // a whole one
  check(four_by(2, {1, 2}, 1), false, {});     // three quarters
  check(four_by(1, {2}, 2), false, {});        // a quarter
  check(four_by(3, {1, 1, 1}, 1), false, {});  // more than there are
  // No distance at all, and one that comes nevertheless.
  check(Writer().Lengths(258, 1, with({0})).Code(0, 1).Code(2, 2).Stream({0}), true, {0});
  check(four_by(1, {0}, 1), false, {});
  // The other half of a code.
  check(
      Writer().Lengths(258, 1, with({1})).Code(0, 1).Code(3, 2).Code(1, 1).Code(2, 2).Stream(four),
      false, {});
  // Before the first byte.
  check(Writer().Lengths(258, 1, with({1})).Code(3, 2).Code(0, 1).Code(2, 2).Stream(four), false,
        {});
  // Literals that are half a code, no end of the block, symbols that are none.
  check(Writer().Lengths(257, 1, {1, -138, -117, 2, 1}).Code(0, 1).Code(2, 2).Stream({0}), false,
        {});
  check(Writer().Lengths(257, 1, {1, 1, -138, -117, 1}).Code(0, 1).Stream({0}), false, {});
  check(Writer().Lengths(287, 1, {1, -138, -117, 2, 2, -29, 1}).Code(0, 1).Code(2, 2).Stream({0}),
        false, {});
  check(Writer().Lengths(258, 31, with({1, -30})).Code(0, 1).Code(2, 2).Stream({0}), false, {});
  check(Writer().Put(7, 3).Stream({}), false, {});
  // Fixed codes: a byte, its end, and what they have codes for but no meaning.
  check(Writer().Put(3, 3).Code(0x30, 8).Code(0, 7).Stream({0}), true, {0});
  check(Writer().Put(3, 3).Code(0x30, 8).Code(0xc6, 8).Code(0, 7).Stream({0}), false, {});
  check(Writer().Put(3, 3).Code(0x30, 8).Code(1, 7).Code(30, 5).Code(0, 7).Stream({0}), false, {});
  // Stored bytes, and a length that its complement denies.
  check(Writer().Put(1, 8).Put(1, 16).Put(0xfffe, 16).Put(9, 8).Stream({9}), true, {9});
  check(Writer().Put(1, 8).Put(1, 16).Put(0xfffd, 16).Put(9, 8).Stream({9}), false, {});
  // Another checksum, another method, a window of 64 KiB, a dictionary, half a check of them.
  const Bytes good = Writer().Put(3, 3).Code(0x30, 8).Code(0, 7).Stream({0});
  Bytes bad = good;
  bad.back() ^= 1;
  check(bad, false, {});
  for (const auto& [first, second] :
       {std::pair{0x79, 0x18}, {0x88, 0x1c}, {0x78, 0xbb}, {0x78, 0x9d}}) {
    bad = good;
    bad[0] = static_cast<uint8_t>(first);
    bad[1] = static_cast<uint8_t>(second);
    check(bad, false, {});
  }
}

}  // namespace
}  // namespace pomona
