// A tree in memory and an engine that needs no weights.
#pragma once

#include <gtest/gtest.h>
#include <png.h>

#include <algorithm>
#include <cstring>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "pomona/engine.h"
#include "pomona/run.h"
#include "pomona/source.h"

namespace pomona {

// A PNG file of one colour.
inline std::string PngOf(uint8_t red, uint8_t green, uint8_t blue, int width = 4, int height = 4) {
  std::vector<uint8_t> pixels;
  for (int i = 0; i < width * height; ++i) pixels.insert(pixels.end(), {red, green, blue});
  png_image image = {};
  image.version = PNG_IMAGE_VERSION;
  image.width = width;
  image.height = height;
  image.format = PNG_FORMAT_RGB;
  png_alloc_size_t size = 0;
  EXPECT_TRUE(png_image_write_to_memory(&image, nullptr, &size, 0, pixels.data(), 0, nullptr));
  std::string file(size, '\0');
  EXPECT_TRUE(png_image_write_to_memory(&image, file.data(), &size, 0, pixels.data(), 0, nullptr));
  file.resize(size);
  return file;
}

// Files by path below "/tree".
class MemorySource : public Source {
 public:
  std::map<std::string, std::string> files;
  std::function<void(const Item&)> on_read = [](const Item&) {};

  // Each of a colour of its own, so that they determine three components.
  void AddTwentyImages() {
    for (int i = 0; i < 20; ++i) {
      files["a/" + std::to_string(i) + ".png"] =
          PngOf(static_cast<uint8_t>(i * 11), static_cast<uint8_t>(255 - i * i % 200),
                static_cast<uint8_t>(i * 37 % 256));
    }
  }

  const std::string& root() const override {
    static const std::string root = "/tree";
    return root;
  }

  arrow::Status List(PathFilter* filter, const TakeItems& take) override {
    std::vector<Item> items;
    for (const auto& [path, bytes] : files) {
      if (!filter->TakesFile(path)) continue;
      items.push_back({"/tree/" + path, 6, static_cast<int64_t>(bytes.size()), 1});
    }
    std::sort(items.begin(), items.end(),
              [](const Item& a, const Item& b) { return a.path < b.path; });
    take(std::move(items));
    return arrow::Status::OK();
  }

  arrow::Result<std::optional<Reject>> Read(const Item& item, FileBytes* bytes) override {
    on_read(item);
    const auto found = files.find(std::string(item.relative_path()));
    if (found == files.end()) return Reject{Stage::kRead, Reason::kMissing, "no longer there"};
    const std::string& file = found->second;
    if (file.starts_with("unreadable")) {
      return Reject{Stage::kRead, Reason::kUnreadable, "cannot open"};
    }
    bytes->assign(file.begin(), file.end());
    return std::nullopt;
  }
};

// Features: the sums of the colours, of their differences and of their squares, scaled.
class FakeEngine : public Engine {
 public:
  static constexpr int kFeatures = 6;

  std::string_view name() const override { return "fake"; }
  int features() const override { return kFeatures; }
  arrow::Result<std::unique_ptr<EngineWorker>> NewWorker() override {
    return std::make_unique<Worker>();
  }

  static EngineFactory Factory() {
    return
        []() -> arrow::Result<std::unique_ptr<Engine>> { return std::make_unique<FakeEngine>(); };
  }

 private:
  class Worker : public EngineWorker {
   public:
    arrow::Status Infer(std::span<const uint8_t> pictures, std::span<float> features) override {
      EXPECT_EQ(pictures.size(), kPictureBytes);
      EXPECT_EQ(features.size(), static_cast<size_t>(kFeatures));
      const auto red = pictures[0], green = pictures[1], blue = pictures[2];
      const float values[kFeatures] = {red / 255.0f,          green / 255.0f,
                                       blue / 255.0f,         (red - green) / 255.0f,
                                       red * green / 65025.f, blue * blue / 65025.f};
      std::copy(std::begin(values), std::end(values), features.begin());
      return arrow::Status::OK();
    }
  };
};

}  // namespace pomona
