#include "statistics/brightness.h"

#include <algorithm>
#include <array>
#include <cmath>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "statistics/brightness.cc"
#include "hwy/foreach_target.h"
#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace pomona {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

void MakeKeys(const uint8_t* HWY_RESTRICT rgb, size_t pixels, uint32_t* HWY_RESTRICT keys) {
  size_t i = 0;
#if HWY_TARGET != HWY_SCALAR
  const hn::ScalableTag<uint32_t> d32;
  const hn::Rebind<uint8_t, decltype(d32)> d8;
  const auto term = [&](auto channel, uint32_t weight) {
    const auto value = hn::PromoteTo(d32, channel);
    return hn::Mul(hn::Mul(value, value), hn::Set(d32, weight));
  };
  for (const size_t lanes = hn::Lanes(d32); i + lanes <= pixels; i += lanes) {
    hn::Vec<decltype(d8)> r, g, b;
    hn::LoadInterleaved3(d8, rgb + 3 * i, r, g, b);
    const auto key = hn::Add(term(r, 241), hn::Add(term(g, 691), term(b, 68)));
    hn::StoreU(key, d32, keys + i);
  }
#endif
  for (; i < pixels; ++i) keys[i] = BrightnessKey(rgb[3 * i], rgb[3 * i + 1], rgb[3 * i + 2]);
}

// Each key by its step of brightness. Every operation rounds as IEEE 754 wants it, on every CPU.
void MakeSteps(uint32_t* HWY_RESTRICT keys, size_t count) {
  const double steps = 0x1p20 / std::sqrt(static_cast<double>(BrightnessKey(255, 255, 255)));
  size_t i = 0;
#if HWY_TARGET != HWY_SCALAR
  const hn::ScalableTag<double> d64;
  const hn::Rebind<int32_t, decltype(d64)> d32;
  for (const size_t lanes = hn::Lanes(d64); i + lanes <= count; i += lanes) {
    auto* const here = reinterpret_cast<int32_t*>(keys + i);
    const auto root = hn::Sqrt(hn::PromoteTo(d64, hn::LoadU(d32, here)));
    const auto step = hn::Add(hn::Mul(root, hn::Set(d64, steps)), hn::Set(d64, 0.5));
    hn::StoreU(hn::DemoteTo(d32, step), d32, here);
  }
#endif
  for (; i < count; ++i) {
    keys[i] = static_cast<uint32_t>(std::sqrt(static_cast<double>(keys[i])) * steps + 0.5);
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace pomona
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
#include "dispatch.h"

namespace pomona {
namespace {

HWY_EXPORT(MakeKeys);
HWY_EXPORT(MakeSteps);

constexpr uint32_t kMostKey = BrightnessKey(255, 255, 255);
constexpr uint32_t kSteps = uint32_t{1} << 20;

// Of a picture whose brightness is counted, so many keys wait: they stay in the CPU's first cache.
constexpr size_t kWaiting = 4096;

// Keys that agree in their upper bits.
constexpr int kBinBits = 16;
constexpr size_t kBins = (kMostKey >> kBinBits) + 1;

}  // namespace

double BrightnessOf(double key) { return std::sqrt(key / 1000) / 255; }

void BrightnessOrder::Begin(size_t pixels) {
  pixels_ = pixels;
  kept_ = 0;
  most_kept_ = counted() ? std::min(kWaiting, judged_whole_) : pixels;
  if (keys_.size() < most_kept_) keys_.resize(most_kept_);
  if (counted()) counts_.assign(kSteps + 1, 0);
}

void BrightnessOrder::Add(const uint8_t* rgb, size_t pixels) noexcept {
  while (pixels > 0) {
    if (kept_ == most_kept_) Count();
    const size_t some = std::min(pixels, most_kept_ - kept_);
    KernelFor(HWY_DISPATCH_TABLE(MakeKeys), cpu_)(rgb, some, keys_.data() + kept_);
    kept_ += some;
    rgb += 3 * some;
    pixels -= some;
  }
}

void BrightnessOrder::Count() noexcept {
  KernelFor(HWY_DISPATCH_TABLE(MakeSteps), cpu_)(keys_.data(), kept_);
  for (size_t i = 0; i < kept_; ++i) ++counts_[keys_[i]];
  kept_ = 0;
}

void BrightnessOrder::Percentiles(std::span<const int> percentiles, std::span<double> values) {
  const auto last = static_cast<double>(pixels_ - 1);
  const auto place_of = [&](int percentile) { return last * (percentile / 100.0); };
  // The neighbours of each; the same ones, in pictures of few pixels.
  std::vector<size_t> ranks;
  for (const int percentile : percentiles) {
    const auto below = static_cast<size_t>(place_of(percentile));
    ranks.insert(ranks.end(), {below, std::min(below + 1, pixels_ - 1)});
  }
  std::ranges::sort(ranks);
  ranks.erase(std::unique(ranks.begin(), ranks.end()), ranks.end());
  std::vector<double> found(ranks.size());
  if (counted()) {
    Count();
    FindCounted(ranks, found);
  } else {
    FindKept(ranks, found);
  }
  for (size_t i = 0; i < percentiles.size(); ++i) {
    const double place = place_of(percentiles[i]);
    const auto below = static_cast<size_t>(place);
    const auto at = static_cast<size_t>(std::ranges::lower_bound(ranks, below) - ranks.begin());
    const double low = found[at], high = found[std::min(at + 1, found.size() - 1)];
    values[i] = low + (high - low) * (place - static_cast<double>(below));
  }
}

// Looks only at the keys of those bins that a rank falls into.
void BrightnessOrder::FindKept(std::span<const size_t> ranks, std::span<double> found) {
  const std::span<const uint32_t> keys = std::span(keys_).first(kept_);
  std::array<uint32_t, kBins> counts{}, others{};  // equal neighbours need not wait
  for (size_t i = 0; i + 1 < keys.size(); i += 2) {
    ++counts[keys[i] >> kBinBits];
    ++others[keys[i + 1] >> kBinBits];
  }
  if (keys.size() % 2) ++counts[keys.back() >> kBinBits];
  for (size_t i = 0; i < kBins; ++i) counts[i] += others[i];

  std::array<bool, kBins> has_rank{};
  std::array<uint32_t, kBins> places{};  // where the next key of such a bin goes
  std::vector<size_t> first, bins;       // by rank: its bin, and the rank of that one's first key
  size_t bin = 0, before = 0, picked = 0;
  for (const size_t rank : ranks) {
    for (; rank >= before + counts[bin]; ++bin) before += counts[bin];
    if (!has_rank[bin]) {
      has_rank[bin] = true;
      places[bin] = static_cast<uint32_t>(picked);
      picked += counts[bin];
    }
    first.push_back(before);
    bins.push_back(bin);
  }
  if (picked_.size() < picked) picked_.resize(picked);
  for (const uint32_t key : keys) {
    const size_t of = key >> kBinBits;
    if (has_rank[of]) picked_[places[of]++] = key;
  }
  size_t sorted = 0;  // in front of this place, all is smaller than behind it
  for (size_t i = 0; i < ranks.size(); ++i) {
    const size_t end = places[bins[i]];
    const size_t begin = end - counts[bins[i]];
    const size_t place = begin + ranks[i] - first[i];
    const auto at = [&](size_t p) { return picked_.begin() + static_cast<std::ptrdiff_t>(p); };
    std::nth_element(at(std::max(begin, sorted)), at(place), at(end));
    sorted = place + 1;
    found[i] = BrightnessOf(picked_[place]);
  }
}

void BrightnessOrder::FindCounted(std::span<const size_t> ranks, std::span<double> found) const {
  size_t step = 0, before = 0;
  for (size_t i = 0; i < ranks.size(); ++i) {
    for (; ranks[i] >= before + counts_[step]; ++step) before += counts_[step];
    found[i] = static_cast<double>(step) / kSteps;
  }
}

}  // namespace pomona
#endif  // HWY_ONCE
