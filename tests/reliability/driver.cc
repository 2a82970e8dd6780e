// A run with a test engine in the place of the network, so that it takes milliseconds, and with
// fragments and parts of a few items.
//
//   driver INPUT OUTPUT RUN_ID [name=value]...
//
// gate: a file without which the engine waits. made_up: so many items that are no files, whatever
// INPUT is.
// Exit codes and messages are those of `pomona run`; the last line of standard output counts.
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <map>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "pomona/run.h"

namespace pomona {
namespace {

// Features are bytes of the picture, so that they cost no time.
class TestEngine : public Engine {
 public:
  TestEngine(int features, int delay_us, std::string gate)
      : features_(features), delay_us_(delay_us), gate_(std::move(gate)) {}

  std::string_view name() const override { return "test"; }
  int features() const override { return features_; }
  arrow::Result<std::unique_ptr<EngineWorker>> NewWorker() override {
    return std::make_unique<Worker>(*this);
  }

 private:
  class Worker : public EngineWorker {
   public:
    explicit Worker(const TestEngine& engine) : engine_(engine) {}
    arrow::Status Infer(std::span<const uint8_t> pictures, std::span<float> features) override {
      while (!engine_.gate_.empty() && !std::filesystem::exists(engine_.gate_)) {
        std::this_thread::sleep_for(std::chrono::milliseconds(1));
      }
      if (engine_.delay_us_ > 0) {
        std::this_thread::sleep_for(std::chrono::microseconds(engine_.delay_us_));
      }
      for (size_t i = 0; i < features.size(); ++i) {
        features[i] = static_cast<float>(pictures[i * 7919 % pictures.size()]) / 255;
      }
      return arrow::Status::OK();
    }

   private:
    const TestEngine& engine_;
  };

  const int features_;
  const int delay_us_;
  const std::string gate_;
};

// So many items that nobody has to make files for: of a thousand, one is an image, one is cut short
// and the others are text.
class MadeUpSource : public Source {
 public:
  explicit MadeUpSource(int64_t count) : count_(count) {}

  const std::string& root() const override {
    static const std::string root = "/made up";
    return root;
  }

  arrow::Status List(PathFilter*, const TakeItems& take) override {
    std::vector<Item> items;
    for (int64_t i = 0; i < count_; ++i) {
      char path[96];
      std::snprintf(path, sizeof path, "/made up/label_%05ld/item_%010ld_of_many", i / 1000, i);
      items.push_back({path, 9, 100, 1});
      if (items.size() < 1000) continue;
      if (!take(std::exchange(items, {}))) return arrow::Status::OK();
    }
    take(std::move(items));
    return arrow::Status::OK();
  }

  arrow::Result<std::optional<Reject>> Read(const Item& item, FileBytes* bytes) override {
    constexpr std::string_view kImage = "P6 2 2 255\n0123456789ab", kText = "no image";
    const std::string_view path = item.path;
    const std::string_view number = path.substr(path.find("_of_many") - 3, 3);
    const std::string_view content = number == "000"   ? kImage
                                     : number == "001" ? kImage.substr(0, 15)
                                                       : kText;
    bytes->assign(content.begin(), content.end());
    return std::nullopt;
  }

 private:
  const int64_t count_;
};

int Drive(int argc, char** argv) {
  std::map<std::string, std::string> values = {
      {"threads", "1"},  {"components", "2"},  {"features", "6"},
      {"fragment", "4"}, {"part", "8"},        {"delay_us", "0"},
      {"fresh", "0"},    {"digest", "digest"}, {"formats", "parquet,csv"},
      {"save", "8"},     {"made_up", "0"},     {"vectors", "fixed"}};
  for (int i = 4; i < argc; ++i) {
    const char* equals = std::strchr(argv[i], '=');
    values[std::string(argv[i], static_cast<size_t>(equals - argv[i]))] = equals + 1;
  }
  const auto number = [&](const std::string& name) { return std::atoi(values[name].c_str()); };
  RunOptions options;
  options.run_id = argv[3];
  options.threads = number("threads");
  options.pca_components = number("components");
  options.fragment_items = number("fragment");
  options.part_rows = number("part");
  options.limit = number("limit");
  options.save_seconds = std::atof(values["save"].c_str());
  options.fresh = number("fresh") != 0;
  options.formats = *ParseFormats(values["formats"]);
  options.vectors = *ParseVectorLayout(values["vectors"]);
  options.shard = *ParseShard(values["shard"]);

  RunHooks hooks;
  hooks.log = [](const std::string& line) { std::fprintf(stderr, "driver: %s\n", line.c_str()); };
  arrow::Result<std::unique_ptr<Source>> source = std::make_unique<MadeUpSource>(number("made_up"));
  if (number("made_up") == 0) source = OpenLocalTree(argv[1]);
  if (!source.ok()) return 2;
  const auto summary = Run(
      **source,
      [&]() -> arrow::Result<std::unique_ptr<Engine>> {
        return std::make_unique<TestEngine>(number("features"), number("delay_us"), values["gate"]);
      },
      {values["digest"], false, 1.0}, argv[1], argv[2], options, hooks);
  if (!summary.ok()) {
    std::fprintf(stderr, "driver: %s\n", summary.status().message().c_str());
    return RefusalOf(summary.status()) == RunRefusal::kOutputBusy ? 4 : 1;
  }
  std::printf("rows %ld resumed %ld reused %ld peak %ld\n", summary->counts.rows,
              summary->counts.resumed, summary->counts.reused, summary->peak_memory_bytes);
  return 0;
}

}  // namespace
}  // namespace pomona

int main(int argc, char** argv) { return argc < 4 ? 2 : pomona::Drive(argc, argv); }
