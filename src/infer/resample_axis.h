// The weights of Pillow's bicubic resampling along one axis.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <span>
#include <vector>

namespace pomona {

// Fraction bits of a fixed-point weight: 8 of 32 are the pixel's, 2 leave room for overshoot.
inline constexpr int kWeightBits = 32 - 8 - 2;

// A weight is split in two that fit 16 bits, weight = (high << kLowBits) + low, since products of
// 16 bits summed in pairs are the fastest that vector units offer.
inline constexpr int kLowBits = 15;

// The weights of two neighbouring inputs, packed as two 16-bit numbers, the first one lower.
struct WeightPair {
  int32_t low;
  int32_t high;
};

// Which inputs make one output. The second weight of the last pair is zero where taps is odd.
struct Window {
  int first;    // index of the first input
  int taps;     // inputs from there on
  size_t pair;  // index of the first of (taps + 1) / 2 pairs in Axis::pairs
};

// Some outputs, of inputs that are at hand from the one of index `first` on.
struct Lines {
  std::span<const Window> windows;
  const WeightPair* pairs;  // of the axis
  int first;
};

struct Axis {
  int in_size = 0;
  std::vector<Window> windows;  // [output size]
  std::vector<WeightPair> pairs;

  Lines All() const { return {windows, pairs.data(), 0}; }
  Lines Some(int begin, int end, int first) const {
    return {std::span(windows).subspan(begin, end - begin), pairs.data(), first};
  }

  // Computes the weights unless they are there. Bit for bit those of Pillow: every expression is
  // in double and in Pillow's order.
  void Prepare(int new_in_size, int out_size) {
    if (new_in_size == in_size) return;
    in_size = 0;  // in case memory ends
    windows.clear();
    pairs.clear();
    const double scale = static_cast<double>(new_in_size) / out_size;
    const double filter_scale = std::max(scale, 1.0);  // widens the filter when shrinking
    const double support = 2.0 * filter_scale;
    for (int i = 0; i < out_size; ++i) {
      const double center = (i + 0.5) * scale;
      const int first = std::max(static_cast<int>(center - support + 0.5), 0);
      const int end = std::min(static_cast<int>(center + support + 0.5), new_in_size);
      weights_.clear();
      double sum = 0;
      for (int x = first; x < end; ++x) {
        weights_.push_back(Bicubic((x - center + 0.5) * (1.0 / filter_scale)));
        sum += weights_.back();
      }
      windows.push_back({first, end - first, pairs.size()});
      for (size_t t = 0; t < weights_.size(); t += 2) {
        const int32_t a = ToFixed(weights_[t], sum);
        const int32_t b = t + 1 < weights_.size() ? ToFixed(weights_[t + 1], sum) : 0;
        constexpr int32_t kLowMask = (1 << kLowBits) - 1;
        pairs.push_back({Pack(a & kLowMask, b & kLowMask), Pack(a >> kLowBits, b >> kLowBits)});
      }
    }
    in_size = new_in_size;
  }

 private:
  static double Bicubic(double x) {
    constexpr double a = -0.5;
    x = std::abs(x);
    if (x < 1.0) return ((a + 2.0) * x - (a + 3.0)) * x * x + 1;
    if (x < 2.0) return (((x - 5) * x + 8) * x - 4) * a;
    return 0.0;
  }

  static int32_t ToFixed(double weight, double sum) {
    const double normalised = sum != 0.0 ? weight / sum : weight;
    return static_cast<int32_t>(normalised * (1 << kWeightBits) + (normalised < 0 ? -0.5 : 0.5));
  }

  static int32_t Pack(int32_t a, int32_t b) {
    return static_cast<int32_t>((static_cast<uint32_t>(a) & 0xffff) |
                                (static_cast<uint32_t>(b) << 16));
  }

  std::vector<double> weights_;  // of one window
};

}  // namespace pomona
