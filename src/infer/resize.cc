// Pillow resamples rows first, into an 8-bit picture, then columns. Both passes here are the same
// kernel, which sums weighted lines of contiguous bytes. For the first pass, strips of some rows are
// transposed, so that a line holds one pixel column of the strip, and transposed back. The second
// makes each row of the result as soon as the rows that it is made of are there.
#include "infer/resize.h"

#include <algorithm>
#include <cstring>
#include <vector>

#include "memory_budget.h"
#include "resample_axis.h"

// Where vectors may be longer than 128-bit blocks but do not interleave by blocks.
#define HWY_DISABLED_TARGETS (HWY_SVE | HWY_SVE2 | HWY_SVE_256 | HWY_SVE2_128 | HWY_RVV)
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "infer/resize.cc"
#include "hwy/foreach_target.h"
#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace pomona {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

#if HWY_TARGET != HWY_SCALAR
// Sums of 32 bits: (high << kLowBits) + low. They wrap, but what they stand for does not overflow.
template <class V32>
struct Sums {
  V32 low, low_odd;  // the odd ones are used only where a target multiplies in two steps
  V32 high, high_odd;

  static HWY_INLINE Sums Start() {
    const hn::DFromV<V32> d32;
    const V32 zero = hn::Zero(d32);
    return {zero, zero, zero, zero};
  }

  // values: bytes a0 b0 a1 b1 ..., each widened to 16 bits.
  template <class V8>
  HWY_INLINE void Add(V8 values, V32 weights_low, V32 weights_high) {
    const hn::DFromV<V32> d32;
    const hn::Repartition<int16_t, hn::DFromV<V32>> d16;
    const auto v = hn::BitCast(d16, values);
    low = hn::ReorderWidenMulAccumulate(d32, v, hn::BitCast(d16, weights_low), low, low_odd);
    high = hn::ReorderWidenMulAccumulate(d32, v, hn::BitCast(d16, weights_high), high, high_odd);
  }

  HWY_INLINE V32 Pixels() const {
    const hn::DFromV<V32> d32;
    const V32 half = hn::Set(d32, 1 << (kWeightBits - 1));
    const V32 sum = hn::Add(hn::ShiftLeft<kLowBits>(hn::RearrangeToOddPlusEven(high, high_odd)),
                            hn::RearrangeToOddPlusEven(low, low_odd));
    return hn::ShiftRight<kWeightBits>(hn::Add(sum, half));
  }
};

// Clips to bytes, block by block of 128 bits: a's first block, b's first block, a's second, ...
template <class D8, class V16>
HWY_INLINE hn::Vec<D8> ClipToBytes(D8 d8, V16 a, V16 b) {
  alignas(16) static constexpr uint8_t kLowerHalf[16] = {0,   2,   4,   6,   8,   10,  12,  14,
                                                         128, 128, 128, 128, 128, 128, 128, 128};
  alignas(16) static constexpr uint8_t kUpperHalf[16] = {128, 128, 128, 128, 128, 128, 128, 128,
                                                         0,   2,   4,   6,   8,   10,  12,  14};
  const hn::DFromV<V16> d16;
  const V16 zero = hn::Zero(d16);
  const V16 most = hn::Set(d16, 255);
  a = hn::Min(hn::Max(a, zero), most);
  b = hn::Min(hn::Max(b, zero), most);
  return hn::Or(hn::TableLookupBytesOr0(hn::BitCast(d8, a), hn::LoadDup128(d8, kLowerHalf)),
                hn::TableLookupBytesOr0(hn::BitCast(d8, b), hn::LoadDup128(d8, kUpperHalf)));
}

// One vector of an output line.
template <class D8>
HWY_INLINE void SumBlock(D8 d8, const uint8_t* HWY_RESTRICT in, size_t stride, int taps,
                         const WeightPair* HWY_RESTRICT pairs, uint8_t* HWY_RESTRICT out) {
  using V8 = hn::Vec<D8>;
  const hn::Repartition<int16_t, D8> d16;
  const hn::Repartition<int32_t, D8> d32;
  const V8 zero = hn::Zero(d8);
  using S = Sums<hn::Vec<decltype(d32)>>;
  S s0 = S::Start(), s1 = S::Start(), s2 = S::Start(), s3 = S::Start();
  for (; taps > 0; taps -= 2, in += 2 * stride, ++pairs) {
    const V8 a = hn::LoadU(d8, in);
    const V8 b = taps > 1 ? hn::LoadU(d8, in + stride) : zero;
    const auto low = hn::Set(d32, pairs->low);
    const auto high = hn::Set(d32, pairs->high);
    // Interleaving works within blocks of 128 bits; demoting below undoes its order.
    const V8 ab0 = hn::InterleaveLower(d8, a, b);
    const V8 ab1 = hn::InterleaveUpper(d8, a, b);
    s0.Add(hn::InterleaveLower(d8, ab0, zero), low, high);
    s1.Add(hn::InterleaveUpper(d8, ab0, zero), low, high);
    s2.Add(hn::InterleaveLower(d8, ab1, zero), low, high);
    s3.Add(hn::InterleaveUpper(d8, ab1, zero), low, high);
  }
  const auto lower = hn::ReorderDemote2To(d16, s0.Pixels(), s1.Pixels());
  const auto upper = hn::ReorderDemote2To(d16, s2.Pixels(), s3.Pixels());
  hn::StoreU(ClipToBytes(d8, lower, upper), d8, out);
}

// REQUIRES: width >= lanes of D8. The last two blocks overlap where width is no multiple.
template <class D8>
HWY_INLINE void SumLinesBy(D8 d8, const Lines& lines, const uint8_t* in, size_t in_stride,
                           size_t width, uint8_t* out, size_t out_stride) {
  const size_t last = width - hn::Lanes(d8);
  for (const Window& window : lines.windows) {
    const uint8_t* line = in + (window.first - lines.first) * in_stride;
    const WeightPair* pairs = lines.pairs + window.pair;
    for (size_t x = 0; x < last; x += hn::Lanes(d8)) {
      SumBlock(d8, line + x, in_stride, window.taps, pairs, out + x);
    }
    SumBlock(d8, line + last, in_stride, window.taps, pairs, out + last);
    out += out_stride;
  }
}

#endif  // HWY_TARGET != HWY_SCALAR

void SumNarrowLines(const Lines& lines, const uint8_t* in, size_t in_stride, size_t width,
                    uint8_t* out, size_t out_stride) {
  for (const Window& window : lines.windows) {
    for (size_t x = 0; x < width; ++x) {
      const uint8_t* value = in + (window.first - lines.first) * in_stride + x;
      int32_t sum = 1 << (kWeightBits - 1);
      for (int t = 0; t < window.taps; ++t, value += in_stride) {
        const WeightPair& pair = lines.pairs[window.pair + t / 2];
        const int shift = t % 2 * 16;
        const int32_t low = static_cast<int16_t>(pair.low >> shift);
        const int32_t high = static_cast<int16_t>(pair.high >> shift);
        sum += *value * (high * (1 << kLowBits) + low);
      }
      out[x] = static_cast<uint8_t>(std::clamp(sum >> kWeightBits, 0, 255));
    }
    out += out_stride;
  }
}

// Makes lines.windows.size() lines of `width` bytes from the lines of `in`.
void SumLines(const Lines& lines, const uint8_t* in, size_t in_stride, size_t width, uint8_t* out,
              size_t out_stride) {
#if HWY_TARGET != HWY_SCALAR
  const hn::ScalableTag<uint8_t> full;
  const hn::FixedTag<uint8_t, 16> block;
  if (width >= hn::Lanes(full)) {
    return SumLinesBy(full, lines, in, in_stride, width, out, out_stride);
  }
  if (width >= hn::Lanes(block)) {
    return SumLinesBy(block, lines, in, in_stride, width, out, out_stride);
  }
#endif
  SumNarrowLines(lines, in, in_stride, width, out, out_stride);
}

#if HWY_TARGET != HWY_SCALAR

// Four rounds of interleaving row i with row i + 8 transpose 16 x 16 bytes.
HWY_INLINE void TransposeBlock(const uint8_t* HWY_RESTRICT in, size_t in_stride,
                               uint8_t* HWY_RESTRICT out, size_t out_stride) {
  const hn::FixedTag<uint8_t, 16> d;
  hn::Vec<decltype(d)> v[16], w[16];
  for (size_t i = 0; i < 16; ++i) v[i] = hn::LoadU(d, in + i * in_stride);
  for (size_t i = 0; i < 8; ++i) {
    w[2 * i] = hn::InterleaveLower(d, v[i], v[i + 8]);
    w[2 * i + 1] = hn::InterleaveUpper(d, v[i], v[i + 8]);
  }
  for (size_t i = 0; i < 8; ++i) {
    v[2 * i] = hn::InterleaveLower(d, w[i], w[i + 8]);
    v[2 * i + 1] = hn::InterleaveUpper(d, w[i], w[i + 8]);
  }
  for (size_t i = 0; i < 8; ++i) {
    w[2 * i] = hn::InterleaveLower(d, v[i], v[i + 8]);
    w[2 * i + 1] = hn::InterleaveUpper(d, v[i], v[i + 8]);
  }
  for (size_t i = 0; i < 8; ++i) {
    v[2 * i] = hn::InterleaveLower(d, w[i], w[i + 8]);
    v[2 * i + 1] = hn::InterleaveUpper(d, w[i], w[i + 8]);
  }
  for (size_t i = 0; i < 16; ++i) hn::StoreU(v[i], d, out + i * out_stride);
}

#endif  // HWY_TARGET != HWY_SCALAR

// in: rows x columns bytes. out: columns x rows. Blocks at the far edges overlap their neighbours.
void Transpose(const uint8_t* in, size_t in_stride, size_t rows, size_t columns, uint8_t* out,
               size_t out_stride) {
#if HWY_TARGET != HWY_SCALAR
  if (rows >= 16 && columns >= 16) {
    for (size_t c = 0; c < columns; c += 16) {
      const size_t column = std::min(c, columns - 16);
      for (size_t r = 0; r < rows; r += 16) {
        const size_t row = std::min(r, rows - 16);
        TransposeBlock(in + row * in_stride + column, in_stride, out + column * out_stride + row,
                       out_stride);
      }
    }
    return;
  }
#endif
  for (size_t r = 0; r < rows; ++r) {
    for (size_t c = 0; c < columns; ++c) out[c * out_stride + r] = in[r * in_stride + c];
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace pomona
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
#include "dispatch.h"

namespace pomona {
namespace {

HWY_EXPORT(SumLines);
HWY_EXPORT(Transpose);

// What of which size a picture becomes on its way.
struct Frame {
  int64_t width, height;  // resized
  int64_t left, top;      // of what is taken of that
};

// As torchvision's center_crop() has it: round((full - part) / 2.0), of Python, halves to even.
int64_t Middle(int64_t full, int64_t part) {
  const int64_t half = (full - part) / 2;
  return (full - part) % 2 ? half + half % 2 : half;
}

// Keeps what there is, but not what a picture of a million columns took once others are smaller.
void Reserve(size_t size, std::vector<uint8_t>* buffer) {
  if (buffer->size() > kUncountedBytes && size <= kUncountedBytes) {
    std::vector<uint8_t>().swap(*buffer);
  }
  if (buffer->size() < size) buffer->resize(size);
}

}  // namespace

class Resizer::Impl {
 public:
  Impl(int out_width, int out_height, Preprocessing::Filter filter, int shorter_side, Cpu cpu)
      : out_width_(out_width),
        out_height_(out_height),
        filter_(filter),
        shorter_side_(shorter_side),
        out_stride_(size_t{3} * static_cast<size_t>(out_width)),
        cpu_(cpu),
        picture_(out_stride_ * static_cast<size_t>(out_height)) {}

  void Begin(int width, int height) {
    width_ = width;
    rows_ = dropped_ = finished_ = 0;
    const Frame frame = FrameOf(width, height);
    is_copied_ = width == frame.width;
    left_ = static_cast<size_t>(frame.left);
    x_axis_.Prepare(filter_, width, frame.width, frame.left, out_width_);
    y_axis_.Prepare(filter_, height, frame.height, frame.top, out_height_);
    // What a row of the result is made of, a strip, and so much more that rows seldom move.
    int most = 0;
    for (const Window& window : y_axis_.windows) most = std::max(most, window.taps);
    strip_rows_ = RowsAtOnce(width);
    capacity_ = std::min(height, 4 * most + strip_rows_);
    Reserve(out_stride_ * static_cast<size_t>(capacity_), &narrowed_);
    if (is_copied_) return;
    Reserve(ColumnBytes() * static_cast<size_t>(strip_rows_), &columns_);
    Reserve(out_stride_ * static_cast<size_t>(strip_rows_), &out_columns_);
  }

  void Add(const uint8_t* rows, int count) {
    const size_t stride = size_t{3} * static_cast<size_t>(width_);
    while (count > 0) {
      const int strip = std::min(count, strip_rows_);
      if (rows_ + strip <= y_axis_.first() || finished_ == out_height_) {
        dropped_ = rows_ += strip;
      } else {
        if (rows_ - dropped_ + strip > capacity_) DropRows();
        Narrow(rows, strip, narrowed_.data() + out_stride_ * static_cast<size_t>(rows_ - dropped_));
        rows_ += strip;
        FinishRows();
      }
      rows += stride * static_cast<size_t>(strip);
      count -= strip;
    }
  }

  std::span<const uint8_t> picture() const { return picture_; }

 private:
  Frame FrameOf(int64_t width, int64_t height) const {
    if (!shorter_side_) return {out_width_, out_height_, 0, 0};
    // As torchvision's resize() has it: the longer side is rounded down.
    const int64_t side = shorter_side_;
    Frame frame = {side, side, 0, 0};
    (width <= height ? frame.height : frame.width) =
        side * std::max(width, height) / std::min(width, height);
    frame.left = Middle(frame.width, out_width_);
    frame.top = Middle(frame.height, out_height_);
    return frame;
  }

  // Of a row, what the wanted columns are made of.
  size_t ColumnBytes() const {
    return size_t{3} * static_cast<size_t>(x_axis_.end() - x_axis_.first());
  }

  // The first pass. `count`: up to strip_rows_.
  void Narrow(const uint8_t* rows, int count, uint8_t* out) {
    const size_t rows_count = static_cast<size_t>(count);
    const size_t stride = size_t{3} * static_cast<size_t>(width_);
    if (is_copied_) {
      for (size_t y = 0; y < rows_count; ++y) {
        std::memcpy(out + y * out_stride_, rows + y * stride + 3 * left_, out_stride_);
      }
      return;
    }
    const auto transpose = KernelFor(HWY_DISPATCH_TABLE(Transpose), cpu_);
    const auto sum_lines = KernelFor(HWY_DISPATCH_TABLE(SumLines), cpu_);
    const size_t padded = (rows_count + 15) / 16 * 16;
    transpose(rows + size_t{3} * static_cast<size_t>(x_axis_.first()), stride, rows_count,
              ColumnBytes(), columns_.data(), padded);
    sum_lines(x_axis_.All(), columns_.data(), 3 * padded, 3 * padded, out_columns_.data(),
              3 * padded);
    transpose(out_columns_.data(), padded, out_stride_, rows_count, out, out_stride_);
  }

  // The second pass, as far as there are rows for it.
  void FinishRows() {
    const auto& windows = y_axis_.windows;
    int end = finished_;
    while (end < out_height_ && windows[end].first + windows[end].taps <= rows_) ++end;
    if (end == finished_) return;
    const auto sum_lines = KernelFor(HWY_DISPATCH_TABLE(SumLines), cpu_);
    sum_lines(y_axis_.Some(finished_, end, dropped_), narrowed_.data(), out_stride_, out_stride_,
              picture_.data() + out_stride_ * static_cast<size_t>(finished_), out_stride_);
    finished_ = end;
  }

  // Makes room: no row of the result needs those in front of the next one's window.
  void DropRows() {
    const int first =
        std::min(finished_ < out_height_ ? y_axis_.windows[finished_].first : rows_, rows_);
    const int kept = rows_ - first;
    std::memmove(narrowed_.data(),
                 narrowed_.data() + out_stride_ * static_cast<size_t>(first - dropped_),
                 out_stride_ * static_cast<size_t>(kept));
    dropped_ = first;
  }

  const int out_width_;
  const int out_height_;
  const Preprocessing::Filter filter_;
  const int shorter_side_;
  const size_t out_stride_;
  const Cpu cpu_;
  Axis x_axis_;
  Axis y_axis_;
  int width_ = 0;
  bool is_copied_ = false;  // no column is resampled
  size_t left_ = 0;         // the first wanted column where they are copied
  int strip_rows_ = 0;
  int rows_ = 0;                      // that came
  int dropped_ = 0;                   // of them
  int finished_ = 0;                  // rows of the result
  int capacity_ = 0;                  // rows that narrowed_ holds
  std::vector<uint8_t> narrowed_;     // rows after the first pass
  std::vector<uint8_t> columns_;      // a strip, transposed
  std::vector<uint8_t> out_columns_;  // likewise, resampled
  std::vector<uint8_t> picture_;
};

Resizer::Resizer(int out_width, int out_height, Cpu cpu)
    : impl_(
          std::make_unique<Impl>(out_width, out_height, Preprocessing::Filter::kBicubic, 0, cpu)) {}
Resizer::Resizer(const Preprocessing& preprocessing, Cpu cpu)
    : impl_(std::make_unique<Impl>(kInputSize, kInputSize, preprocessing.filter,
                                   preprocessing.shorter_side, cpu)) {}
Resizer::~Resizer() = default;

void Resizer::Begin(int width, int height) { impl_->Begin(width, height); }
void Resizer::Add(const uint8_t* rows, int count) noexcept { impl_->Add(rows, count); }
std::span<const uint8_t> Resizer::picture() const { return impl_->picture(); }

void Resizer::Resize(int width, int height, std::span<const uint8_t> rgb, std::span<uint8_t> out) {
  Begin(width, height);
  Add(rgb.data(), height);
  std::ranges::copy(picture(), out.begin());
}

}  // namespace pomona
#endif  // HWY_ONCE
