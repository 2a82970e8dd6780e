#include <mutex>
#include <nlohmann/json.hpp>
#include <set>
#include <thread>

#include "fakes.h"
#include "published.h"
#include "temp_folder.h"

namespace pomona {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

// A tree of `images` small PNGs under three labels, in pseudo-random colours.
MemorySource Tree(int images) {
  MemorySource source;
  uint32_t state = 1;
  for (int i = 0; i < images; ++i) {
    state = state * 1664525 + 1013904223;
    const std::string label = i % 3 == 0 ? "Apple" : i % 3 == 1 ? "Lemon" : "Pear";
    source.files[label + "/" + std::to_string(i) + ".png"] =
        PngOf(state >> 24, state >> 16, state >> 8);
  }
  return source;
}

RunOptions SmallOptions() {
  RunOptions options;
  options.run_id = "r";
  options.pca_components = 3;
  options.threads = 2;
  options.fragment_items = 8;
  options.part_rows = 16;
  return options;
}

arrow::Result<RunSummary> RunOn(MemorySource& source, const std::string& output,
                                const RunOptions& options, const RunHooks& hooks = {}) {
  return Run(source, FakeEngine::Factory(), {"digest", false, 1.0}, "/tree", output, options,
             hooks);
}

// Every published file's bytes by its path below the output, without run_info.
std::map<std::string, std::string> Files(const std::string& output) {
  std::map<std::string, std::string> files;
  for (const auto& entry : fs::recursive_directory_iterator(output)) {
    const std::string name = entry.path().lexically_relative(output).string();
    if (entry.is_regular_file() && !name.starts_with("run_info/")) {
      files[name] = ToldAgain(name, ReadFile(entry.path().string()));
    }
  }
  return files;
}

TEST(Run, PublishesTheFoldersOfTheContract) {
  MemorySource source = Tree(40);
  const TempFolder output;
  const auto summary = RunOn(source, output.path(), SmallOptions());
  ASSERT_TRUE(summary.ok()) << summary.status();
  EXPECT_EQ(summary->counts.rows, 40);
  for (const char* folder :
       {"features/parquet/features_r", "features/csv/features_r", "pca/parquet/pca_r",
        "pca/csv/pca_r", "metadata/metadata_r", "metadata/parquet/metadata_r",
        "model_info/model_info_r", "model_info/variance_r", "model_info/pca_model_r",
        "model_info/pca_onnx_r", "model_info/spark_pca_r", "errors/errors_r",
        "errors/parquet/errors_r", "report/report_r", "run_info/run_info_r"}) {
    EXPECT_TRUE(fs::exists(output / folder + "/_SUCCESS")) << folder;
  }
  EXPECT_EQ(summary->folders.size(), 15u);
  EXPECT_FALSE(fs::exists(output / "_pomona"));
  // 40 items: fragments of 8, parts of two fragments.
  for (const char* part : {"part-00000.csv", "part-00001.csv", "part-00002.csv"}) {
    EXPECT_TRUE(fs::exists(output / "metadata/metadata_r/" + part)) << part;
  }
  EXPECT_FALSE(fs::exists(output / "metadata/metadata_r/part-00003.csv"));
  EXPECT_EQ(ReadFile(output / "errors/errors_r/part-00000.csv"),
            "path,label,stage,reason,message\n");
}

TEST(Run, KeepsPathOrderAndNumbersThroughRejectsAndSkips) {
  MemorySource source;
  source.files = {{"a/1.png", PngOf(255, 0, 0)},   {"a/2.png", "garbage"},
                  {"a/3.png", PngOf(0, 255, 0)},   {"a/4.jpg", ""},
                  {"a/notes.txt", "some text"},    {"b/1.png", PngOf(0, 0, 255)},
                  {"b/2.png", "unreadable"},       {"b/no_name", PngOf(255, 255, 0)},
                  {"b/3.png", PngOf(51, 102, 204)}};
  RunOptions options = SmallOptions();
  options.fragment_items = 2;
  options.part_rows = 100;
  const TempFolder output;
  const auto summary = RunOn(source, output.path(), options);
  ASSERT_TRUE(summary.ok()) << summary.status();
  EXPECT_EQ(summary->counts.listed, 9);
  EXPECT_EQ(summary->counts.rows, 5);
  EXPECT_EQ(summary->counts.rejects, 3);
  EXPECT_EQ(summary->counts.skips, 1);
  EXPECT_EQ(summary->skips_by_reason.at("not_an_image"), 1);
  EXPECT_EQ(summary->rejects_by_reason.at("empty"), 1);

  EXPECT_EQ(ReadFile(output / "features/csv/features_r/part-00000.csv"),
            "path,label,features_string\n"
            "/tree/a/1.png,a,\"1,0,0,1,0,0\"\n"
            "/tree/a/3.png,a,\"0,1,0,-1,0,0\"\n"
            "/tree/b/1.png,b,\"0,0,1,0,0,1\"\n"
            "/tree/b/3.png,b,\"0.2,0.4,0.8,-0.2,0.08,0.64\"\n"
            "/tree/b/no_name,b,\"1,1,0,0,1,0\"\n");
  const std::string errors = ReadFile(output / "errors/errors_r/part-00000.csv");
  EXPECT_NE(errors.find("\n/tree/a/2.png,a,decode,corrupt,"), std::string::npos) << errors;
  EXPECT_NE(errors.find("\n/tree/a/4.jpg,a,decode,empty,"), std::string::npos) << errors;
  EXPECT_NE(errors.find("\n/tree/b/2.png,b,read,unreadable,cannot open\n"), std::string::npos);

  const json info = json::parse(ReadFile(output / "run_info/run_info_r/part-00000.json"));
  EXPECT_EQ(info["counts"]["listed"], 9);
  EXPECT_EQ(info["counts"]["rows"], 5);
  const json model = json::parse(ReadFile(output / "model_info/model_info_r/part-00000.json"));
  EXPECT_EQ(model["num_images_processed"], 5);
  EXPECT_EQ(model["original_dimensions"], 6);
  EXPECT_EQ(model["weights"]["digest"], "digest");
}

TEST(Run, BeginsWithTheLargestFile) {
  MemorySource source;
  source.AddTwentyImages();
  const auto large = [](int mib) {
    return PngOf(1, 2, 3) + std::string(static_cast<size_t>(mib) << 20, '\0');
  };
  source.files["b/large.png"] = large(9);
  source.files["c/largest.png"] = large(10);
  source.files["d/large.png"] = large(9);
  source.files["d/small.png"] = PngOf(3, 2, 1);
  std::vector<std::string> read;
  source.on_read = [&](const Item& item) { read.emplace_back(item.relative_path()); };
  RunOptions options = SmallOptions();
  options.threads = 1;
  options.fragment_items = options.part_rows = 100;
  const TempFolder output;
  const auto summary = RunOn(source, output.path(), options);
  ASSERT_TRUE(summary.ok()) << summary.status();
  // Seven of the 21 small ones follow each.
  std::vector<std::string> expected;
  std::vector<std::string> late = {"d/large.png", "b/large.png", "c/largest.png"};
  for (const auto& [path, bytes] : source.files) {
    if (bytes.size() > 1000) continue;
    if (expected.size() % 8 == 0) {
      expected.push_back(late.back());
      late.pop_back();
    }
    expected.push_back(path);
  }
  ASSERT_GE(read.size(), expected.size());
  read.resize(expected.size());  // the report reads some again
  EXPECT_EQ(read, expected);
  // Rows are in the order of the paths all the same.
  const std::string rows = ReadFile(output / "metadata/metadata_r/part-00000.csv");
  EXPECT_LT(rows.find("b/large.png"), rows.find("c/largest.png")) << rows;
  EXPECT_LT(rows.find("c/largest.png"), rows.find("d/small.png"));
}

TEST(Run, GivesTheSameBytesForAnyNumberOfThreads) {
  MemorySource source = Tree(100);
  source.files["Apple/broken.png"] = "broken";
  RunOptions options = SmallOptions();
  options.threads = 1;
  const TempFolder first;
  ASSERT_TRUE(RunOn(source, first.path(), options).ok());
  const auto expected = Files(first.path());
  for (const int threads : {2, 3, 8}) {
    options.threads = threads;
    const TempFolder output;
    ASSERT_TRUE(RunOn(source, output.path(), options).ok());
    EXPECT_EQ(Files(output.path()), expected) << threads;
  }
}

TEST(Run, ResumesAfterACancelAndGivesTheSameBytes) {
  MemorySource source = Tree(100);
  const TempFolder undisturbed, output;
  ASSERT_TRUE(RunOn(source, undisturbed.path(), SmallOptions()).ok());

  std::atomic<bool> cancel = false;
  std::atomic<int> reads = 0;
  source.on_read = [&](const Item&) {
    if (++reads == 60) cancel = true;
    // Leaves the run's own thread time to see it.
    if (cancel) std::this_thread::sleep_for(std::chrono::milliseconds(150));
  };
  RunHooks hooks;
  hooks.cancel = &cancel;
  const auto cancelled = RunOn(source, output.path(), SmallOptions(), hooks);
  EXPECT_TRUE(cancelled.status().IsCancelled());
  EXPECT_FALSE(fs::exists(output / "features"));
  EXPECT_FALSE(fs::exists(output / "run_info"));

  reads = 0;
  source.on_read = [&](const Item&) { ++reads; };
  const auto resumed = RunOn(source, output.path(), SmallOptions());
  ASSERT_TRUE(resumed.ok()) << resumed.status();
  EXPECT_GE(resumed->counts.resumed, 40);
  // The report shows each image, and so reads it once more.
  EXPECT_EQ(reads, 100 - resumed->counts.resumed + 100);
  EXPECT_EQ(Files(output.path()), Files(undisturbed.path()));
}

// A tree without an end, whose listing is cancelled.
class EndlessSource : public MemorySource {
 public:
  std::atomic<bool> cancel = false;
  bool ended = false;

  arrow::Status List(PathFilter*, const TakeItems& take) override {
    for (int i = 1'000'000; take({{"/tree/a/" + std::to_string(i) + ".png", 6, 4, 1}}); ++i) {
      if (i == 1'000'100) cancel = true;
      if (cancel) std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    ended = true;
    return arrow::Status::OK();
  }
  arrow::Result<std::optional<Reject>> Read(const Item&, FileBytes*) override {
    return Reject{Stage::kRead, Reason::kMissing, "gone"};
  }
};

TEST(Run, EndsTheListingWhenItIsCancelled) {
  EndlessSource source;
  RunHooks hooks;
  hooks.cancel = &source.cancel;
  const TempFolder output;
  EXPECT_TRUE(RunOn(source, output.path(), SmallOptions(), hooks).status().IsCancelled());
  EXPECT_TRUE(source.ended);
  EXPECT_FALSE(fs::exists(output / "run_info"));
}

// What is done when the run of `on_read` is cancelled at the read-th read.
arrow::Result<RunSummary> CancelledAt(int read, MemorySource& source, const std::string& output,
                                      const RunOptions& options) {
  std::atomic<bool> cancel = false;
  std::atomic<int> reads = 0;
  source.on_read = [&](const Item&) {
    if (++reads == read) cancel = true;
    if (cancel) std::this_thread::sleep_for(std::chrono::milliseconds(150));
  };
  RunHooks hooks;
  hooks.cancel = &cancel;
  auto summary = RunOn(source, output, options, hooks);
  source.on_read = [](const Item&) {};
  return summary;
}

TEST(Run, KeepsWhatIsDoneOfUnfinishedFragments) {
  MemorySource source = Tree(100);
  source.files["Apple/broken.png"] = "broken";
  source.files["Apple/notes.txt"] = "text";
  RunOptions options = SmallOptions();
  options.fragment_items = 4096;
  options.part_rows = 4096;
  const TempFolder undisturbed, output;
  ASSERT_TRUE(RunOn(source, undisturbed.path(), options).ok());

  const auto cancelled = CancelledAt(50, source, output.path(), options);
  ASSERT_TRUE(cancelled.status().IsCancelled()) << cancelled.status();
  int kept = 0;
  const std::string message = cancelled.status().message();
  ASSERT_EQ(std::sscanf(message.c_str(), "interrupted; %d of 102 images are kept", &kept), 1)
      << message;
  EXPECT_GE(kept, 48);

  // Interrupted again, and then not any more.
  EXPECT_TRUE(CancelledAt(20, source, output.path(), options).status().IsCancelled());
  std::atomic<int> reads = 0;
  source.on_read = [&](const Item&) { ++reads; };
  const auto resumed = RunOn(source, output.path(), options);
  ASSERT_TRUE(resumed.ok()) << resumed.status();
  EXPECT_GE(resumed->counts.resumed, kept + 18);
  // The report shows each image, and so reads it once more; of 102 files one is none.
  EXPECT_EQ(reads, 102 - resumed->counts.resumed + 101);
  EXPECT_EQ(resumed->counts.rejects, 1);
  EXPECT_EQ(resumed->counts.skips, 1);
  EXPECT_EQ(Files(output.path()), Files(undisturbed.path()));
}

TEST(Run, LooksAtWhatItKeptBeforeItTrustsIt) {
  MemorySource source = Tree(100);
  RunOptions options = SmallOptions();
  options.fragment_items = 4096;
  options.part_rows = 4096;
  const TempFolder undisturbed, output;
  ASSERT_TRUE(RunOn(source, undisturbed.path(), options).ok());
  ASSERT_TRUE(CancelledAt(50, source, output.path(), options).status().IsCancelled());
  const auto folder = fs::directory_iterator(output / "_pomona/fragments");
  const std::string path = folder->path().string();
  EXPECT_TRUE(path.ends_with(".partial.safetensors")) << path;
  std::string bytes = ReadFile(path);
  bytes[bytes.size() - 400] ^= 1;
  std::ofstream(path, std::ios::binary) << bytes;

  std::string log;
  RunHooks hooks;
  hooks.log = [&](const std::string& line) { log += line; };
  const auto summary = RunOn(source, output.path(), options, hooks);
  ASSERT_TRUE(summary.ok()) << summary.status();
  EXPECT_EQ(summary->counts.resumed, 0);
  EXPECT_NE(log.find(path + ": its checksum is wrong"), std::string::npos) << log;
  EXPECT_EQ(Files(output.path()), Files(undisturbed.path()));
}

// Leaves finished fragments in the output by asking for a bound on rejects that is passed.
void LeaveUnfinished(MemorySource& source, const std::string& output, RunOptions options) {
  options.max_rejects = {0, false};
  const auto refused = RunOn(source, output, options);
  ASSERT_EQ(RefusalOf(refused.status()), RunRefusal::kTooManyRejects) << refused.status();
}

TEST(Run, RefusesTooManyRejectsAndResumesWithALooserBound) {
  MemorySource source = Tree(30);
  source.files["Apple/broken.png"] = "broken";
  RunOptions options = SmallOptions();
  const TempFolder output;
  LeaveUnfinished(source, output.path(), options);
  EXPECT_FALSE(fs::exists(output / "run_info"));
  EXPECT_NE(ReadFile(output / "_pomona/errors.csv").find("broken.png"), std::string::npos);

  options.max_rejects = {4, true};  // 1 of 31 is 3.2 %
  const auto summary = RunOn(source, output.path(), options);
  ASSERT_TRUE(summary.ok()) << summary.status();
  EXPECT_EQ(summary->counts.resumed, 31);
}

// As after its rights were mended, which nothing else tells of.
TEST(Run, TriesAgainWhatCouldNotBeRead) {
  const MemorySource whole = Tree(30);
  MemorySource source = whole;
  std::string& file = source.files["Apple/3.png"];
  std::string("unreadable").copy(file.data(), file.size());  // and is as long as before
  source.files["Apple/broken.png"] = "broken";
  RunOptions options = SmallOptions();
  options.report = ReportKind::kNone;  // which reads them, too
  const TempFolder output;
  LeaveUnfinished(source, output.path(), options);
  file = whole.files.at("Apple/3.png");
  std::set<std::string> read;
  std::mutex mutex;
  source.on_read = [&](const Item& item) {
    const std::lock_guard lock(mutex);
    read.emplace(item.relative_path());
  };
  options.max_rejects = {4, true};
  const auto summary = RunOn(source, output.path(), options);
  ASSERT_TRUE(summary.ok()) << summary.status();
  EXPECT_EQ(read, std::set<std::string>{"Apple/3.png"});
  EXPECT_EQ(summary->counts.rows, 30);
  EXPECT_EQ(summary->counts.rejects, 1);
  EXPECT_EQ(summary->counts.resumed, 30);
}

TEST(Run, MakesFragmentsAgainWhenTheirItemsChangedAndSaysSo) {
  MemorySource source = Tree(30);
  source.files["Pear/broken.png"] = "broken";
  const TempFolder output;
  LeaveUnfinished(source, output.path(), SmallOptions());
  source.files["Apple/0.png"] = PngOf(1, 2, 3, 40, 40);  // another size in bytes, first fragment
  std::string log;
  RunHooks hooks;
  hooks.log = [&](const std::string& line) { log += line; };
  const auto summary = RunOn(source, output.path(), SmallOptions(), hooks);
  ASSERT_TRUE(summary.ok()) << summary.status();
  EXPECT_EQ(summary->counts.resumed, 31 - 8);
  EXPECT_TRUE(log.starts_with("an unfinished run left work that does not fit this one")) << log;
  EXPECT_NE(log.find("(fragments: 1)"), std::string::npos) << log;
}

TEST(Run, MakesDamagedFragmentsAgainAndSaysSo) {
  MemorySource source = Tree(30);
  source.files["Pear/broken.png"] = "broken";
  const TempFolder undisturbed;
  ASSERT_TRUE(RunOn(source, undisturbed.path(), SmallOptions()).ok());
  const TempFolder output;
  LeaveUnfinished(source, output.path(), SmallOptions());

  // One bit of one fragment's data.
  const auto folder = fs::directory_iterator(output / "_pomona/fragments");
  const std::string path = folder->path().string();
  std::string bytes = ReadFile(path);
  bytes[bytes.size() - 40] ^= 1;
  std::ofstream(path, std::ios::binary) << bytes;

  std::string log;
  RunHooks hooks;
  hooks.log = [&](const std::string& line) { log += line; };
  const auto summary = RunOn(source, output.path(), SmallOptions(), hooks);
  ASSERT_TRUE(summary.ok()) << summary.status();
  EXPECT_GE(summary->counts.resumed, 31 - 8);
  EXPECT_LT(summary->counts.resumed, 31);
  EXPECT_NE(log.find(path + ": its checksum is wrong"), std::string::npos) << log;
  EXPECT_EQ(Files(output.path()), Files(undisturbed.path()));
}

TEST(Run, AFragmentThatCannotBeOpenedForNowIsKept) {
  MemorySource source = Tree(30);
  source.files["Pear/broken.png"] = "broken";
  const TempFolder undisturbed;
  ASSERT_TRUE(RunOn(source, undisturbed.path(), SmallOptions()).ok());
  const TempFolder output;
  LeaveUnfinished(source, output.path(), SmallOptions());
  const fs::path path = fs::directory_iterator(output / "_pomona/fragments")->path();
  fs::rename(path, output / "aside");
  fs::create_symlink(path.filename(), path);  // ELOOP, for one that says nothing of the content

  const auto failed = RunOn(source, output.path(), SmallOptions());
  EXPECT_TRUE(failed.status().IsIOError()) << failed.status();
  EXPECT_NE(failed.status().message().find(path.string()), std::string::npos) << failed.status();
  EXPECT_TRUE(fs::is_symlink(path));

  fs::rename(output / "aside", path);
  ASSERT_TRUE(RunOn(source, output.path(), SmallOptions()).ok());
  EXPECT_EQ(Files(output.path()), Files(undisturbed.path()));
}

TEST(Run, FreshStartsOver) {
  MemorySource source = Tree(30);
  source.files["Pear/broken.png"] = "broken";
  const TempFolder output;
  RunOptions options = SmallOptions();
  LeaveUnfinished(source, output.path(), options);
  options.fresh = true;
  EXPECT_EQ(RunOn(source, output.path(), options)->counts.resumed, 0);
}

TEST(Run, SecondWriterIsRefusedWhileTheFirstRuns) {
  MemorySource source = Tree(20);
  const TempFolder output;
  std::optional<RunRefusal> refusal;
  std::once_flag once;
  source.on_read = [&](const Item&) {
    std::call_once(once, [&] {
      MemorySource other = Tree(20);
      refusal = RefusalOf(RunOn(other, output.path(), SmallOptions()).status());
    });
  };
  ASSERT_TRUE(RunOn(source, output.path(), SmallOptions()).ok());
  EXPECT_EQ(refusal, RunRefusal::kOutputBusy);
}

TEST(Run, DoesNotPublishAnIdTwice) {
  MemorySource source = Tree(20);
  const TempFolder output;
  ASSERT_TRUE(RunOn(source, output.path(), SmallOptions()).ok());
  const auto before = Files(output.path());
  const auto again = RunOn(source, output.path(), SmallOptions());
  EXPECT_TRUE(again.status().IsAlreadyExists());
  EXPECT_NE(again.status().message().find("already published"), std::string::npos);
  RunOptions options = SmallOptions();
  options.run_id = "r2";
  ASSERT_TRUE(RunOn(source, output.path(), options).ok());
  for (const auto& [name, bytes] : before) {
    if (name == "README.md") continue;  // tells of the newest run
    EXPECT_EQ(ToldAgain(name, ReadFile(output / name)), bytes) << name;
  }
}

TEST(Run, GivesRunsOfOneSecondNamesOfTheirOwn) {
  MemorySource source = Tree(20);
  const TempFolder output;
  RunOptions options = SmallOptions();
  options.run_id.clear();
  std::set<std::string> ids;
  bool numbered = false;
  for (int i = 0; i < 4; ++i) {
    const auto summary = RunOn(source, output.path(), options);
    ASSERT_TRUE(summary.ok()) << summary.status();
    EXPECT_TRUE(fs::exists(output / "run_info/run_info_" + summary->run_id));
    const std::string time = summary->run_id.substr(0, std::strlen("YYYYmmdd_HHMMSS"));
    for (int n = 2; n < 9; ++n) {
      // The last second's run was the first of its name, or the next number of it.
      if (summary->run_id != time + '_' + std::to_string(n)) continue;
      numbered = true;
      EXPECT_TRUE(ids.contains(n == 2 ? time : time + '_' + std::to_string(n - 1)));
    }
    ids.insert(summary->run_id);
  }
  EXPECT_EQ(ids.size(), 4u);
  EXPECT_TRUE(numbered) << "none of four runs began within a second of the one before";
}

TEST(Run, LeavesItsOwnOutputOutOfTheInput) {
  const TempFolder output;
  // What a run before left in the output, listed because the output lies in the input.
  class TreeAroundOutput : public MemorySource {
   public:
    std::string output;
    arrow::Status List(PathFilter* filter, const TakeItems& take) override {
      take({{output + "/features/csv/features_x/part-00000.csv", 1, 9, 1}});
      return MemorySource::List(filter, take);
    }
  } source;
  source.files = Tree(20).files;
  source.output = output.path();
  const auto summary = RunOn(source, output.path(), SmallOptions());
  ASSERT_TRUE(summary.ok()) << summary.status();
  EXPECT_EQ(summary->counts.listed, 20);
}

TEST(Run, FewerImagesThanComponentsIsAnErrorThatSaysSo) {
  MemorySource source = Tree(2);
  const TempFolder output;
  const auto summary = RunOn(source, output.path(), SmallOptions());
  EXPECT_TRUE(summary.status().IsInvalid());
  EXPECT_NE(summary.status().message().find("2 images"), std::string::npos)
      << summary.status().message();
  EXPECT_FALSE(fs::exists(output / "run_info"));
}

TEST(Run, ARefusalForWantOfImagesComesWithItsReport) {
  MemorySource source;
  for (const char* name : {"1.heic", "2.heic", "3.heic"}) {
    source.files[std::string("a/") + name] = std::string("\0\0\0\30ftypheic\0\0\0\0mif1heic", 24);
  }
  const TempFolder output;
  const std::string report = output / "_pomona/errors.csv";
  auto status = RunOn(source, output.path(), SmallOptions()).status();
  EXPECT_TRUE(status.IsInvalid());
  EXPECT_EQ(status.message(), "0 of 3 images could be read (unsupported_format 3); see " + report);
  EXPECT_NE(ReadFile(report).find("/tree/a/3.heic,a,decode,unsupported_format,"),
            std::string::npos);

  source.files["a/4.png"] = PngOf(1, 2, 3);
  status = RunOn(source, output.path(), SmallOptions()).status();
  EXPECT_EQ(status.message(),
            "1 of 4 images could be read (unsupported_format 3), too few for a PCA of 3 "
            "components; see " +
                report);
  source.files.erase("a/1.heic");
  source.files.erase("a/2.heic");
  status = RunOn(source, output.path(), SmallOptions()).status();
  EXPECT_TRUE(status.message().ends_with(report + "; use --pca-components")) << status;

  source.files = {{"a/notes.txt", "text"}, {"a/more.txt", "text"}};
  status = RunOn(source, output.path(), SmallOptions()).status();
  EXPECT_EQ(status.message(), "no images under /tree: 2 other files (not_an_image 2)");
}

TEST(Run, LackOfMemoryIsAFailedRunThatNamesTheImage) {
  MemorySource source = Tree(30);
  source.on_read = [](const Item& item) {
    if (item.path == "/tree/Lemon/13.png") throw std::bad_alloc();
  };
  const TempFolder output;
  const auto failed = RunOn(source, output.path(), SmallOptions());
  EXPECT_TRUE(failed.status().IsOutOfMemory()) << failed.status();
  EXPECT_TRUE(failed.status().message().starts_with("/tree/Lemon/13.png: out of memory; "))
      << failed.status();
  EXPECT_FALSE(fs::exists(output / "run_info"));
  source.on_read = [](const Item&) {};
  const auto resumed = RunOn(source, output.path(), SmallOptions());
  ASSERT_TRUE(resumed.ok()) << resumed.status();
  EXPECT_GT(resumed->counts.resumed, 0);
}

TEST(Run, WritesOnlyTheFormatsAskedFor) {
  MemorySource source = Tree(20);
  RunOptions options = SmallOptions();
  options.formats.csv = false;
  const TempFolder output;
  ASSERT_TRUE(RunOn(source, output.path(), options).ok());
  EXPECT_TRUE(fs::exists(output / "features/parquet/features_r/part-00000.parquet"));
  EXPECT_FALSE(fs::exists(output / "features/csv"));
  EXPECT_FALSE(fs::exists(output / "pca/csv"));
  EXPECT_TRUE(fs::exists(output / "metadata/metadata_r/part-00000.csv"));
}

TEST(Run, TellsItsStagesAndCountsToTheCallersThread) {
  MemorySource source = Tree(40);
  source.on_read = [](const Item&) { std::this_thread::sleep_for(std::chrono::milliseconds(10)); };
  std::set<std::string> stages;
  std::map<std::string, Progress> last;
  int64_t done = 0;
  const auto caller = std::this_thread::get_id();
  RunHooks hooks;
  hooks.progress = [&](const Progress& progress) {
    EXPECT_EQ(std::this_thread::get_id(), caller);
    stages.emplace(progress.stage);
    last[std::string(progress.stage)] = progress;
    if (progress.stage == "extract") {
      EXPECT_GE(progress.done, done);
      EXPECT_EQ(progress.total, 40);
      done = progress.done;
    }
  };
  const TempFolder output;
  ASSERT_TRUE(RunOn(source, output.path(), SmallOptions(), hooks).ok());
  EXPECT_EQ(done, 40);
  EXPECT_EQ(stages, (std::set<std::string>{"list", "extract", "fit", "write"}));
  for (const auto& [stage, progress] : last) {
    EXPECT_GT(progress.total, 0) << stage;
    EXPECT_EQ(progress.done, progress.total) << stage;
  }
}

TEST(Run, EngineFailureFailsTheRun) {
  MemorySource source = Tree(20);
  const TempFolder output;
  const auto summary = pomona::Run(
      source,
      []() -> arrow::Result<std::unique_ptr<Engine>> {
        return arrow::Status::IOError("no engine today");
      },
      {"digest", false, 1.0}, "/tree", output.path(), SmallOptions());
  EXPECT_EQ(summary.status().message(), "no engine today");
}

}  // namespace
}  // namespace pomona
