// made_run FEATURES OUTPUT REPORT: publishes a run whose features are those of a file of float32, 1,280 an
// image, so that what reads runs can be measured at any size without a network. Each image is a
// pixel, whose colour says which row of the file it is.
#include <cstdio>
#include <cstring>
#include <fstream>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "pomona/engine.h"
#include "pomona/location.h"
#include "pomona/run.h"
#include "pomona/source.h"

namespace pomona {
namespace {

constexpr int kFeatures = 1280;
constexpr size_t kRowBytes = kFeatures * sizeof(float);

class Pixels : public Source {
 public:
  explicit Pixels(size_t count) : count_(count) {}

  const std::string& root() const override {
    static const std::string root = "/made";
    return root;
  }

  arrow::Status List(PathFilter*, const TakeItems& take) override {
    std::vector<Item> items;
    for (size_t i = 0; i < count_; ++i) {
      char path[64];
      std::snprintf(path, sizeof path, "/made/label%03zu/%08zu.ppm", i * 100 / count_, i);
      items.push_back({path, 6, 14, 1});
    }
    take(std::move(items));
    return arrow::Status::OK();
  }

  arrow::Result<std::optional<Reject>> Read(const Item& item, FileBytes* bytes) override {
    const size_t i = std::stoul(item.path.substr(item.path.rfind('/') + 1));
    const std::string file = std::string("P6\n1 1\n255\n") + static_cast<char>(i >> 16) +
                             static_cast<char>(i >> 8) + static_cast<char>(i);
    bytes->assign(file.begin(), file.end());
    return std::nullopt;
  }

 private:
  const size_t count_;
};

class GivenFeatures : public Engine {
 public:
  explicit GivenFeatures(std::string file) : file_(std::move(file)) {}

  std::string_view name() const override { return "made"; }
  int features() const override { return kFeatures; }
  arrow::Result<std::unique_ptr<EngineWorker>> NewWorker() override {
    return std::make_unique<Worker>(file_);
  }

 private:
  class Worker : public EngineWorker {
   public:
    explicit Worker(const std::string& file) : stream_(file, std::ios::binary) {}

    arrow::Status Infer(std::span<const uint8_t> pictures, std::span<float> features) override {
      const size_t row = size_t{pictures[0]} << 16 | size_t{pictures[1]} << 8 | pictures[2];
      stream_.seekg(static_cast<std::streamoff>(row * kRowBytes));
      stream_.read(reinterpret_cast<char*>(features.data()), kRowBytes);
      return stream_ ? arrow::Status::OK() : arrow::Status::IOError("no row ", row);
    }

   private:
    std::ifstream stream_;
  };

  const std::string file_;
};

int Main(const std::string& features, const std::string& output, const std::string& report) {
  std::ifstream stream(features, std::ios::binary | std::ios::ate);
  Pixels pixels(static_cast<size_t>(stream.tellg()) / kRowBytes);
  RunOptions options;
  options.run_id = "made";
  options.formats.csv = false;
  const auto engine = [&]() -> arrow::Result<std::unique_ptr<Engine>> {
    return std::make_unique<GivenFeatures>(features);
  };
  const auto kind = ParseReport(report);
  if (!kind.ok()) return std::puts(kind.status().message().c_str()), 1;
  options.report = *kind;
  const auto path = LocalPath(output);
  if (!path.ok()) return std::puts(path.status().message().c_str()), 1;
  const auto summary = Run(pixels, engine, {"made", false, 1.0}, "/made", *path, options);
  std::puts(summary.ok() ? Describe(*summary).c_str() : summary.status().message().c_str());
  return summary.ok() ? 0 : 1;
}

}  // namespace
}  // namespace pomona

int main(int argc, char** argv) {
  if (argc == 4) return pomona::Main(argv[1], argv[2], argv[3]);
  std::fputs("usage: made_run FEATURES OUTPUT full|plots|none\n", stderr);
  return 2;
}
