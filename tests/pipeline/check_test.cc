#include <gtest/gtest.h>

#include <cmath>

#include "fakes.h"
#include "pomona/check.h"
#include "pomona/statistics.h"

namespace pomona {
namespace {

TEST(Check, ReportsEachFileInOrder) {
  MemorySource source;
  source.files = {{"a/1.png", PngOf(1, 2, 3, 5, 7)},
                  {"a/2.png", "garbage"},
                  {"a/3.txt", "text"},
                  {"a/4.png", "unreadable"}};
  std::vector<std::string> paths;
  std::vector<CheckResult> results;
  CheckOptions options;
  options.run.threads = 3;
  options.hashes = true;
  const auto summary = Check(source, options, [&](const CheckResult& result) {
    paths.push_back(result.item->path);
    results.push_back(result);
  });
  ASSERT_TRUE(summary.ok()) << summary.status();
  EXPECT_EQ(summary->counts.listed, 4);
  EXPECT_EQ(summary->counts.rows, 1);
  EXPECT_EQ(summary->counts.rejects, 2);
  EXPECT_EQ(summary->counts.skips, 1);
  EXPECT_EQ(paths, (std::vector<std::string>{"/tree/a/1.png", "/tree/a/2.png", "/tree/a/3.txt",
                                             "/tree/a/4.png"}));
  EXPECT_EQ(results[0].width, 5);
  EXPECT_EQ(results[0].height, 7);
  EXPECT_EQ(results[0].format, "PNG");
  EXPECT_EQ(results[0].mode, "RGB");
  // 35 pixels of 01 02 03, and 224 x 224 of them, hashed by sha256sum.
  EXPECT_EQ(results[0].rgb_sha256,
            "9e9283ee16aa9fd89ac3ebde741bf6b6babb5013d0b1b268351c0b950787e2fe");
  EXPECT_EQ(results[0].rgb224_sha256,
            "701db217fa86de2bcba7ae3ddb4fae587938ac01e9d31efa6980222c989724bb");
  EXPECT_EQ(results[1].outcome.reject->reason, Reason::kCorrupt);
  EXPECT_EQ(results[2].outcome.verdict, Verdict::kSkip);
  EXPECT_EQ(results[3].outcome.reject->stage, Stage::kRead);
}

TEST(Check, NamesTheGlobsThatNothingMatched) {
  MemorySource source;
  source.files = {{"a/1.png", PngOf(1, 2, 3, 5, 7)}, {"b/1.png", PngOf(1, 2, 3, 5, 7)}};
  CheckOptions options;
  options.run.include = {"a/*", "c/*"};
  std::vector<std::string> lines;
  RunHooks hooks;
  hooks.log = [&](const std::string& line) { lines.push_back(line); };
  ASSERT_EQ(Check(source, options, [](const CheckResult&) {}, hooks)->counts.listed, 1);
  ASSERT_EQ(lines.size(), 1u);
  EXPECT_TRUE(lines[0].starts_with("--include 'c/*' matched nothing; ")) << lines[0];
  options.run.limit = 1;  // of the first file that matches; nobody looks further
  lines.clear();
  ASSERT_EQ(Check(source, options, [](const CheckResult&) {}, hooks)->counts.listed, 1);
  EXPECT_EQ(lines.size(), 0u);
}

TEST(Check, SaysWhatIsHidden) {
  MemorySource source;
  source.files = {{"a/.1.png", ""}, {"a/1.png", PngOf(1, 2, 3, 5, 7)}};
  std::vector<std::string> lines;
  RunHooks hooks;
  hooks.log = [&](const std::string& line) { lines.push_back(line); };
  ASSERT_EQ(Check(source, {}, [](const CheckResult&) {}, hooks)->counts.listed, 1);
  ASSERT_EQ(lines.size(), 1u);
  EXPECT_TRUE(lines[0].ends_with("--hidden takes them")) << lines[0];
}

TEST(Check, TellsTheStatisticsOfImages) {
  MemorySource source;
  source.files = {{"a/1.png", PngOf(255, 255, 255, 5, 7)}, {"a/2.png", "garbage"}};
  CheckOptions options;
  options.run.stats = StatsKind::kFull;
  std::vector<CheckResult> results;
  ASSERT_TRUE(
      Check(source, options, [&](const CheckResult& result) { results.push_back(result); }).ok());
  EXPECT_EQ(StatisticNames(StatsKind::kNone).size(), 0U);
  const std::vector<std::string> names = StatisticNames(options.run.stats);
  ASSERT_EQ(results[0].statistics.size(), names.size());
  for (size_t i = 0; i < names.size(); ++i) {
    if (names[i].starts_with("brightness")) {
      EXPECT_EQ(results[0].statistics[i], 1) << names[i];
    }
    if (names[i] == "entropy") {
      EXPECT_NEAR(results[0].statistics[i], std::log2(3), 1e-12);  // each channel has a value
    }
  }
  EXPECT_TRUE(results[1].statistics.empty());
  EXPECT_TRUE(results[1].rgb_sha256.empty());
}

TEST(Check, NamesTheFormatOfALargeReject) {
  MemorySource source;
  source.files = {{"a/1.jpg", "\xff\xd8\xff" + std::string(17 << 20, '\0')}};
  CheckOptions options;
  options.run.memory = 8 << 20;  // files that are larger come alone
  std::string format;
  const auto summary =
      Check(source, options, [&](const CheckResult& result) { format = result.format; });
  ASSERT_TRUE(summary.ok()) << summary.status();
  EXPECT_EQ(summary->counts.rejects, 1);
  EXPECT_EQ(format, "JPEG");
}

}  // namespace
}  // namespace pomona
