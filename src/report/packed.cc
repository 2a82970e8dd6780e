#include "packed.h"

#include <zlib.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <new>

namespace pomona {
namespace {

static_assert(std::endian::native == std::endian::little);  // as typed arrays are, in effect

template <typename T>
std::span<const uint8_t> BytesOf(std::span<const T> values) {
  return {reinterpret_cast<const uint8_t*>(values.data()), values.size_bytes()};
}

}  // namespace

struct Deflater::Stream {
  z_stream z = {};
  Bytes out;
};

Deflater::Deflater(Content content) : stream_(std::make_unique<Stream>()) {
  const bool text = content == Content::kText;
  if (deflateInit2(&stream_->z, text ? 6 : 1, Z_DEFLATED, MAX_WBITS, 8,
                   text ? Z_DEFAULT_STRATEGY : Z_HUFFMAN_ONLY) != Z_OK) {
    throw std::bad_alloc();  // the only way for it to fail
  }
}

Deflater::~Deflater() { deflateEnd(&stream_->z); }

void Deflater::Run(std::span<const uint8_t> bytes, int flush) {
  z_stream& z = stream_->z;
  z.next_in = const_cast<Bytef*>(bytes.data());
  z.avail_in = static_cast<uInt>(bytes.size());
  uint8_t buffer[1 << 14];
  do {
    z.next_out = buffer;
    z.avail_out = sizeof buffer;
    deflate(&z, flush);
    stream_->out.insert(stream_->out.end(), buffer, z.next_out);
  } while (z.avail_out == 0);
}

void Deflater::Add(std::span<const uint8_t> bytes) {
  constexpr size_t kMost = size_t{1} << 30;  // that zlib counts in one go
  for (; bytes.size() > kMost; bytes = bytes.subspan(kMost)) Run(bytes.first(kMost), Z_NO_FLUSH);
  Run(bytes, Z_NO_FLUSH);
}

void Deflater::Add(std::string_view text) { Add(BytesOf(std::span(text.data(), text.size()))); }

size_t Deflater::size() const { return stream_->out.size(); }

Bytes Deflater::Finish() {
  Run({}, Z_FINISH);
  return std::move(stream_->out);
}

PackedArray PackFloats(std::span<const float> values) {
  const auto bytes = BytesOf(values);
  return {{{"type", "float32"}}, Bytes(bytes.begin(), bytes.end())};
}

PackedArray PackSteps(std::span<const float> values) {
  double low = 0, high = 0;
  if (!values.empty()) {
    const auto [least, most] = std::ranges::minmax(values);
    low = least;
    high = most;
  }
  const double step = high > low ? (high - low) / (kSteps - 1) : 1;
  Bytes upper(values.size()), lower((values.size() + 3) / 4);
  for (size_t i = 0; i < values.size(); ++i) {
    const auto at = static_cast<uint32_t>(std::lround((values[i] - low) / step));
    upper[i] = static_cast<uint8_t>(at >> 2);
    lower[i / 4] = static_cast<uint8_t>(lower[i / 4] | (at & 3) << (2 * (i % 4)));
  }
  Deflater deflater(Deflater::Content::kNoise);
  deflater.Add(upper);
  PackedArray packed{{{"type", "steps"}, {"low", low}, {"step", step}}, deflater.Finish()};
  packed.how["deflated"] = packed.bytes.size();
  packed.bytes.insert(packed.bytes.end(), lower.begin(), lower.end());
  return packed;
}

PackedArray PackIndices(std::span<const uint16_t> values) {
  Deflater deflater(Deflater::Content::kText);
  deflater.Add(BytesOf(values));
  return {{{"type", "uint16"}}, deflater.Finish()};
}

}  // namespace pomona
