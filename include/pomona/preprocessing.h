// What is done to a picture before a network sees it. Each library that publishes weights has its
// own way, and features of different ways cannot be compared.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <iterator>
#include <string>
#include <string_view>

#include "pomona/options.h"

namespace pomona {

// The size of the pictures that the original pipeline feeds to the network.
inline constexpr int kInputSize = 224;
inline constexpr size_t kPictureBytes = size_t{kInputSize} * kInputSize * 3;

// Values, cheap to copy. First the pixels, in Pillow's arithmetic, then the scaling.
struct Preprocessing {
  enum class Filter { kBicubic, kBilinear };

  std::string_view name;  // as `pomona weights import --preprocessing` takes it
  Filter filter = Filter::kBicubic;

  // The shorter side is resized to so many pixels, the longer one in proportion, and the middle of
  // kInputSize x kInputSize is taken. 0: all of the picture is resized to that, whatever its shape.
  int shorter_side = 0;

  // A byte becomes (byte / divisor - mean) / deviation, each step rounded to float32.
  std::string_view scaling;  // in a word, for outputs
  float divisor = 1;
  std::array<float, 3> mean = {};
  std::array<float, 3> deviation = {1, 1, 1};

  // The least that a JPEG's sides keep where it is decoded at a fraction of its size: the resize
  // still has twice as many pixels as it makes.
  constexpr int scaled_side() const { return 2 * (shorter_side ? shorter_side : kInputSize); }

  // The name under which outputs record it, and on which features depend.
  std::string RecordedName(DecodeMode decode) const {
    std::string text = "rgb-";
    if (decode == DecodeMode::kScaled) text += "jpegscaled" + std::to_string(scaled_side()) + '-';
    text += filter == Filter::kBicubic ? "bicubic" : "bilinear";
    if (shorter_side) text += std::to_string(shorter_side) + "-crop";
    return text + std::to_string(kInputSize) + "-pillow/" + std::string(scaling);
  }
};

// What the libraries of PyTorch do: they differ in the resize alone.
constexpr Preprocessing ScaledAsImageNet(std::string_view name, Preprocessing::Filter filter,
                                         int shorter_side) {
  return {name,
          filter,
          shorter_side,
          "imagenet-mean-std",
          255,
          {0.485f, 0.456f, 0.406f},
          {0.229f, 0.224f, 0.225f}};
}

// keras.applications; torchvision's two sets of weights; timm. The first is what files of weights
// that name none were made for.
inline constexpr Preprocessing kPreprocessings[] = {
    {"keras", Preprocessing::Filter::kBicubic, 0, "scale-127.5-1", 127.5f, {1, 1, 1}, {1, 1, 1}},
    ScaledAsImageNet("torchvision-v1", Preprocessing::Filter::kBilinear, 256),
    ScaledAsImageNet("torchvision-v2", Preprocessing::Filter::kBilinear, 232),
    ScaledAsImageNet("timm", Preprocessing::Filter::kBicubic, 256),
};

inline constexpr const Preprocessing& kKerasPreprocessing = kPreprocessings[0];

// Null where there is none of that name.
inline const Preprocessing* FindPreprocessing(std::string_view name) {
  const auto* const found = std::ranges::find(kPreprocessings, name, &Preprocessing::name);
  return found == std::end(kPreprocessings) ? nullptr : found;
}

}  // namespace pomona
