#include <gtest/gtest.h>

#include <cstdlib>
#include <ctime>

#include "pomona/published_output.h"

namespace pomona {
namespace {

PublishedRun ARun(const std::string& id) {
  PublishedRun run;
  run.run_id = id;
  run.published_ns = 1'764'361'801'000'000'000;  // 2025-11-28 20:30:01 UTC
  run.files = 3;
  run.bytes = 24'340'000;
  run.input = "/tree";
  run.listed = 7;
  run.rows = 4;
  run.rejects = 3;
  run.rejects_by_reason = {{"corrupt", 1}, {"empty", 2}};
  run.seconds = 1.25;
  return run;
}

class DescribeRuns : public testing::Test {
 protected:
  void SetUp() override {
    setenv("TZ", "UTC", 1);
    tzset();
  }
};

TEST_F(DescribeRuns, IsATable) {
  PublishedRun damaged = ARun("damaged");
  damaged.problem = "run_info: no JSON object";
  damaged.bytes = 12;
  EXPECT_EQ(Describe(std::vector{ARun("a"), damaged}),
            "run      published         images  rejects  seconds     size\n"
            "a        2025-11-28 20:30       4        3      1.2  24.3 MB\n"
            "damaged  2025-11-28 20:30       ?        ?        ?     12 B\n");
}

TEST_F(DescribeRuns, ShowsOneRun) {
  RunContents contents{ARun("a"), {0.5, 0.25, 0.001}, {{"Kiwi", 3}, {"", 1}}};
  EXPECT_EQ(Describe(contents),
            "run a, published 2025-11-28 20:30\n"
            "input     /tree\n"
            "images    4 in 1.2 s\n"
            "rejects   3: corrupt 1, empty 2\n"
            "skips     0\n"
            "size      24.3 MB in 3 files\n"
            "\n"
            "variance  3 components explain 75.1 %\n"
            "   1   50.0 %  ########################   50.0 %\n"
            "   2   25.0 %  ############               75.0 %\n"
            "   3    0.1 %  #                          75.1 %\n"
            "\n"
            "labels    2\n"
            "        3  ########################  Kiwi\n"
            "        1  ########                  (none)\n");
  contents.run.images_per_second = 6.4;
  EXPECT_NE(Describe(contents).find("4 in 1.2 s (6 images/s)\n"), std::string::npos);
}

TEST_F(DescribeRuns, ShowsTheMostFrequentLabelsOnly) {
  RunContents contents{ARun("a"), {}, {}};
  for (int i = 10; i < 35; ++i) contents.rows_by_label["label" + std::to_string(i)] = i;
  const std::string text = Describe(contents);
  EXPECT_NE(text.find("labels    25\n       34  ########################  label34\n"),
            std::string::npos);
  EXPECT_NE(text.find("  label15\n           and 5 more\n"), std::string::npos) << text;
  EXPECT_EQ(text.find("label14"), std::string::npos);
}

TEST_F(DescribeRuns, LetsNoNameCommandATerminal) {
  RunContents contents{ARun("a"), {0.5}, {{"red\x1b[31m\nrun b: sound", 1}}};
  contents.run.input = "/tree\r\x1b]0;title\a";
  contents.run.rejects_by_reason = {{"\xe2\x80\xae", 3}};
  const std::string text = Describe(contents);
  EXPECT_NE(text.find("  red?[31m?run b: sound\n"), std::string::npos) << text;
  EXPECT_NE(text.find("/tree??]0;title?\n"), std::string::npos) << text;
  EXPECT_NE(text.find("3: ? 3\n"), std::string::npos) << text;
}

TEST(BytesText, HasThreeDigitsOrSo) {
  EXPECT_EQ(BytesText(0), "0 B");
  EXPECT_EQ(BytesText(999), "999 B");
  EXPECT_EQ(BytesText(1000), "1.0 kB");
  EXPECT_EQ(BytesText(999'949), "999.9 kB");
  EXPECT_EQ(BytesText(999'951), "1.0 MB");
  EXPECT_EQ(BytesText(24'340'000), "24.3 MB");
  EXPECT_EQ(BytesText(5'000'000'000'000'000), "5000.0 TB");
}

}  // namespace
}  // namespace pomona
