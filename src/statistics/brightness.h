// How bright the pixels of a picture are, in order.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "pomona/cpu.h"

namespace pomona {

// The brightness of a pixel is sqrt(0.241 r^2 + 0.691 g^2 + 0.068 b^2) / 255 (HSP, as CleanVision has
// it), so its order is that of an integer of 26 bits.
constexpr uint32_t BrightnessKey(uint32_t r, uint32_t g, uint32_t b) {
  return 241 * r * r + 691 * g * g + 68 * b * b;
}
double BrightnessOf(double key);  // in [0, 1]; the key need be no integer

// Gathers pixels and says which brightness has which place among them. Pictures of up to so many
// pixels are judged by all of their keys. Of larger ones, the brightness is counted in steps of 2^-20.
//
// Threads: none shared.
class BrightnessOrder {
 public:
  static constexpr size_t kKept = size_t{1} << 22;

  // REQUIRES: ResolveCpu(cpu) is no error; judged_whole >= 1.
  explicit BrightnessOrder(Cpu cpu, size_t judged_whole = kKept)
      : cpu_(cpu), judged_whole_(judged_whole) {}

  // Begins a picture of so many pixels, at least 1. May throw std::bad_alloc.
  void Begin(size_t pixels);

  // The next ones. REQUIRES: not more in all than were announced.
  void Add(const uint8_t* rgb, size_t pixels) noexcept;

  // The percentiles (0 to 100, ascending) of all, by linear interpolation as numpy.percentile() does it.
  // REQUIRES: all pixels were added; called once a picture. Places for as many.
  void Percentiles(std::span<const int> percentiles, std::span<double> values);

 private:
  bool counted() const { return pixels_ > judged_whole_; }
  void Count() noexcept;
  // The brightness of the pixels of these ranks, which ascend.
  void FindKept(std::span<const size_t> ranks, std::span<double> found);
  void FindCounted(std::span<const size_t> ranks, std::span<double> found) const;

  const Cpu cpu_;
  const size_t judged_whole_;
  size_t pixels_ = 0;
  size_t most_kept_ = 0;
  size_t kept_ = 0;
  std::vector<uint32_t> keys_;    // kept_ of them, not counted yet
  std::vector<uint32_t> picked_;  // of some of them
  std::vector<uint32_t> counts_;  // of each step
};

}  // namespace pomona
