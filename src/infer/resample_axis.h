// The weights of Pillow's resampling along one axis.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <span>
#include <vector>

#include "pomona/preprocessing.h"

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
  int64_t out_size = 0;         // all of them, whether wanted or not
  std::vector<Window> windows;  // of the wanted outputs
  std::vector<WeightPair> pairs;

  // The inputs that the wanted outputs are made of.
  int first() const { return windows.front().first; }
  int end() const { return windows.back().first + windows.back().taps; }

  Lines All() const { return {windows, pairs.data(), first()}; }
  Lines Some(int begin, int end, int first) const {
    return {std::span(windows).subspan(begin, end - begin), pairs.data(), first};
  }

  // Computes the weights of `count` outputs from the one of index `begin` on, unless they are
  // there. Bit for bit those of Pillow: every expression is in double and in Pillow's order.
  // REQUIRES: begin and count are always the same for two sizes, and so is the filter.
  void Prepare(Preprocessing::Filter filter, int new_in_size, int64_t new_out_size, int64_t begin,
               int count) {
    if (new_in_size == in_size && new_out_size == out_size) return;
    in_size = 0;  // in case memory ends
    const bool bicubic = filter == Preprocessing::Filter::kBicubic;
    windows.clear();
    pairs.clear();
    const double scale = static_cast<double>(new_in_size) / static_cast<double>(new_out_size);
    const double filter_scale = std::max(scale, 1.0);  // widens the filter when shrinking
    const double support = (bicubic ? 2.0 : 1.0) * filter_scale;
    for (int64_t i = begin; i < begin + count; ++i) {
      const double center = (static_cast<double>(i) + 0.5) * scale;
      const int first = std::max(static_cast<int>(center - support + 0.5), 0);
      const int end = std::min(static_cast<int>(center + support + 0.5), new_in_size);
      weights_.clear();
      double sum = 0;
      for (int x = first; x < end; ++x) {
        const double at = (x - center + 0.5) * (1.0 / filter_scale);
        weights_.push_back(bicubic ? Bicubic(at) : Bilinear(at));
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
    out_size = new_out_size;
  }

 private:
  static double Bicubic(double x) {
    constexpr double a = -0.5;
    x = std::abs(x);
    if (x < 1.0) return ((a + 2.0) * x - (a + 3.0)) * x * x + 1;
    if (x < 2.0) return (((x - 5) * x + 8) * x - 4) * a;
    return 0.0;
  }

  static double Bilinear(double x) {
    x = std::abs(x);
    return x < 1.0 ? 1.0 - x : 0.0;
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
