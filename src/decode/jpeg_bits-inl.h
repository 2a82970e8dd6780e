// The bits of a JPEG scan.
#if defined(POMONA_DECODE_JPEG_BITS_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef POMONA_DECODE_JPEG_BITS_INL_H_
#undef POMONA_DECODE_JPEG_BITS_INL_H_
#else
#define POMONA_DECODE_JPEG_BITS_INL_H_
#endif

#include <bit>
#include <cstdint>
#include <cstring>

#include "hwy/highway.h"
#include "jpeg_picture.h"

HWY_BEFORE_NAMESPACE();
namespace pomona {
namespace HWY_NAMESPACE {
#if HWY_TARGET != HWY_SCALAR  // vectors of one lane gain nothing over libjpeg

// The bits of a scan, from an UnstuffedBytes.
struct BitReader {
  uint64_t bits = 0;  // the next one uppermost
  int count = 0;      // of bits that were taken from the bytes but not yet used, at most 63
  const uint8_t* next = nullptr;

  // At least 56 bits. Reads 8 bytes.
  HWY_INLINE void Refill() {
    uint64_t word;
    std::memcpy(&word, next, sizeof word);
    if constexpr (std::endian::native == std::endian::little) word = __builtin_bswap64(word);
    bits |= word >> count;
    next += (63 - count) >> 3;
    count |= 56;
  }

  HWY_INLINE void Use(int used) {
    bits <<= used;
    count -= used;
  }
};

// Fills the window, as far as there is no marker.
inline void FillWindow(UnstuffedBytes* bytes) {
  namespace hn = hwy::HWY_NAMESPACE;
  constexpr hn::ScalableTag<uint8_t> d8;
  constexpr ptrdiff_t kLanes = HWY_LANES(uint8_t);
  const uint8_t* in = bytes->in;
  uint8_t* out = bytes->window_end;
  const uint8_t* const full = bytes->window.data() + UnstuffedBytes::kWindow;
  while (out < full) {
    if (bytes->in_end - in >= kLanes) {
      const auto v = hn::LoadU(d8, in);
      hn::StoreU(v, d8, out);
      const intptr_t found = hn::FindFirstTrue(d8, hn::Eq(v, hn::Set(d8, 0xff)));
      const intptr_t plain = found < 0 ? kLanes : found;
      in += plain;
      out += plain;
      if (found < 0) continue;
    } else {
      while (in < bytes->in_end && *in != 0xff) *out++ = *in++;
    }
    // Here is 0xff, or the end.
    if (bytes->in_end - in < 2 || in[1] != 0) {
      bytes->at_marker = true;
      break;
    }
    *out++ = 0xff;
    in += 2;
  }
  bytes->in = in;
  bytes->window_end = out;
}

// The reader, with so many bytes before it that a batch of MCUs finds its bits there.
HWY_INLINE BitReader Provided(UnstuffedBytes* bytes, BitReader reader) {
  if (bytes->at_marker || bytes->window_end - reader.next >= kMaxBatchBytes) return reader;
  const size_t rest = static_cast<size_t>(bytes->window_end - reader.next);
  std::memmove(bytes->window.data(), reader.next, rest);
  reader.next = bytes->window.data();
  bytes->window_end = bytes->window.data() + rest;
  FillWindow(bytes);
  return reader;
}

// Bits that are left until the marker. Below 0: more were used than there are.
HWY_INLINE ptrdiff_t BitsLeft(const UnstuffedBytes& bytes, const BitReader& reader) {
  return (bytes.window_end - reader.next) * 8 + reader.count;
}

// Whether nothing but padding is left before a marker.
inline bool AtMarker(UnstuffedBytes* bytes, BitReader reader) {
  reader = Provided(bytes, reader);
  const ptrdiff_t left = BitsLeft(*bytes, reader);
  return bytes->at_marker && left >= 0 && left < 8;
}

// A reader of the interval that now starts.
inline BitReader StartInterval(UnstuffedBytes* bytes) {
  FillWindow(bytes);
  BitReader reader = {.next = bytes->window.data()};
  reader.Refill();
  return reader;
}

// The next symbol of a code, which finds 10 bits in the reader and leaves at least 30.
HWY_INLINE HuffmanTable::Symbol TakeSymbol(const HuffmanTable& table, BitReader* in) {
  HuffmanTable::Symbol symbol = table.Look(in->bits);  // before the bits come: nothing waits
  in->Refill();
  if (HWY_UNLIKELY(symbol & HuffmanTable::kUnknown)) symbol = table.Find(symbol, in->bits);
  in->Use(HuffmanTable::Length(symbol));
  return symbol;
}

// Goes past the marker at which an interval ends.
inline bool NextInterval(ScanData* data, BitReader* reader) {
  if (!AtMarker(&data->bytes, *reader)) return false;
  if (!data->bytes.Pass(JPEG_RST0 + data->next_restart)) return false;
  data->next_restart = (data->next_restart + 1) % 8;
  data->mcus_to_restart = data->restart_interval - 1;
  *reader = StartInterval(&data->bytes);
  return true;
}

#endif  // HWY_TARGET != HWY_SCALAR
}  // namespace HWY_NAMESPACE
}  // namespace pomona
HWY_AFTER_NAMESPACE();

#endif
