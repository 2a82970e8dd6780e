// A zlib stream: zlib takes all that Inflater takes, to the same bytes, whatever pieces it comes in.
#include "decode/inflate.h"

#include <zlib.h>

#include <algorithm>
#include <vector>

#include "expect.h"

using namespace pomona;

namespace {

constexpr size_t kMost = 1 << 20;

struct Expanded {
  std::vector<uint8_t> bytes;
  bool ends;
};

Expanded ByInflater(std::span<const uint8_t> stream, size_t piece, size_t at_once) {
  std::vector<uint8_t> room(Inflater::RoomFor(at_once));
  Inflater inflater(
      [&] {
        const auto next = stream.first(std::min(piece, stream.size()));
        stream = stream.subspan(next.size());
        return next;
      },
      room);
  Expanded result = {};
  for (const size_t size : {at_once, size_t{1}}) {
    while (const uint8_t* bytes = result.bytes.size() < kMost ? inflater.Read(size) : nullptr) {
      result.bytes.insert(result.bytes.end(), bytes, bytes + size);
    }
  }
  result.ends = inflater.Ends();
  return result;
}

Expanded ByZlib(std::span<const uint8_t> compressed, size_t size) {
  z_stream stream = {};
  EXPECT(inflateInit(&stream) == Z_OK);
  stream.next_in = const_cast<Bytef*>(compressed.data());
  stream.avail_in = static_cast<uInt>(compressed.size());
  Expanded result = {.bytes = std::vector<uint8_t>(size + 1), .ends = false};
  stream.next_out = result.bytes.data();
  stream.avail_out = static_cast<uInt>(result.bytes.size());
  result.ends = inflate(&stream, Z_FINISH) == Z_STREAM_END;
  result.bytes.resize(stream.total_out);
  inflateEnd(&stream);
  return result;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size < 2) return 0;
  const std::span<const uint8_t> stream(data + 2, size - 2);
  const Expanded result = ByInflater(stream, 1 + data[0], 1 + size_t{data[1]} * 400);
  const Expanded expected = ByZlib(stream, result.bytes.size());
  EXPECT(result.bytes.size() <= expected.bytes.size());
  EXPECT(std::equal(result.bytes.begin(), result.bytes.end(), expected.bytes.begin()));
  EXPECT(expected.ends || !result.ends);
  return 0;
}
