#include "pomona/junit.h"

#include <gtest/gtest.h>

#include <string>

namespace pomona {
namespace {

void Add(JunitReport* report, const std::string& path, Outcome outcome) {
  Item item;
  item.path = path;
  CheckResult result;
  result.item = &item;
  result.outcome = std::move(outcome);
  report->Add(result);
}

Outcome Corrupt(const std::string& message) {
  return {Verdict::kReject, Reject{Stage::kDecode, Reason::kCorrupt, message}};
}

TEST(Junit, HasACaseForEachLabel) {
  JunitReport report;
  Add(&report, "/t/Kiwi/1.jpg", {Verdict::kRow, {}});
  Add(&report, "/t/Kiwi/2.jpg", Corrupt("bad"));
  Add(&report, "/t/Kiwi/notes.txt", {Verdict::kSkip, {}});
  Add(&report, "/t/Apple/1.jpg", {Verdict::kRow, {}});
  const auto text = [](const std::string& counts, const std::string& verdict) {
    return "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
           "<testsuites name=\"pomona check\" tests=\"2\" " +
           counts + ">\n  <testsuite name=\"/t\" tests=\"2\" " + counts +
           ">\n"
           "    <testcase classname=\"pomona.check\" name=\"Apple\"/>\n"
           "    <testcase classname=\"pomona.check\" name=\"Kiwi\">\n"
           "      <" +
           verdict +
           "/>\n"
           "      <system-out>/t/Kiwi/2.jpg: corrupt: bad\n"
           "</system-out>\n"
           "    </testcase>\n"
           "  </testsuite>\n"
           "</testsuites>\n";
  };
  const std::string message = " message=\"1 of 2 images are rejected (corrupt 1)\"";
  EXPECT_EQ(report.Text("/t", false), text("failures=\"1\" errors=\"0\" skipped=\"0\"",
                                           "failure" + message + " type=\"rejects\""));
  EXPECT_EQ(report.Text("/t", true),
            text("failures=\"0\" errors=\"0\" skipped=\"1\"", "skipped" + message));
}

TEST(Junit, HoldsNoCharacterThatXmlForbids) {
  JunitReport report;
  Add(&report, "/t/<a&\"b\x01>/]]>\n\xEF\xBF\xBF\xEF\xBF\xBE\xEF\xBF\xBD\xC3\xA9\xFF.jpg",
      Corrupt("\x1b[31m"));
  const std::string text = report.Text("\x02", true);
  EXPECT_NE(text.find("name=\"&lt;a&amp;&quot;b?&gt;\""), std::string::npos) << text;
  EXPECT_NE(text.find("/]]&gt;???\xEF\xBF\xBD\xC3\xA9?.jpg: corrupt: ?[31m\n"), std::string::npos)
      << text;
  EXPECT_NE(text.find("testsuite name=\"?\""), std::string::npos) << text;
}

TEST(Junit, IsBounded) {
  JunitReport report;
  for (size_t i = 0; i < JunitReport::kMostLines + 7; ++i) Add(&report, "/t/a/b.jpg", Corrupt("c"));
  EXPECT_NE(report.Text("/t", false).find("\nand 7 more\n</system-out>"), std::string::npos);
  Add(&report, "1.jpg", {Verdict::kRow, {}});
  EXPECT_NE(report.Text("/t", false).find("name=\"(no label)\"/>"), std::string::npos);
}

}  // namespace
}  // namespace pomona
