#include "pomona/junit.h"

#include <string_view>

#include "disk.h"
#include "pomona/item.h"
#include "pomona/location.h"
#include "pomona/printable.h"
#include "pomona/reports.h"

namespace pomona {
namespace {

// Text as content and as the value of an attribute. XML 1.0 has no way to write most control
// characters, nor U+FFFE and U+FFFF.
std::string Xml(std::string_view text) {
  std::string xml;
  const std::string printable = Printable(text);
  for (size_t i = 0; i < printable.size(); ++i) {
    const std::string_view rest = std::string_view(printable).substr(i);
    if (rest.starts_with("\xEF\xBF\xBE") || rest.starts_with("\xEF\xBF\xBF")) {
      xml += '?';
      i += 2;
      continue;
    }
    switch (rest[0]) {
      case '&': xml += "&amp;"; break;
      case '<': xml += "&lt;"; break;
      case '>': xml += "&gt;"; break;
      case '"': xml += "&quot;"; break;
      default: xml += rest[0];
    }
  }
  return xml;
}

std::string Attribute(std::string_view name, std::string_view value) {
  return ' ' + std::string(name) + "=\"" + Xml(value) + '"';
}

}  // namespace

void JunitReport::Add(const CheckResult& result) {
  const Outcome& outcome = result.outcome;
  if (outcome.verdict == Verdict::kSkip) return;
  Label& label = labels_[std::string(result.item->label())];
  ++label.images;
  if (!outcome.reject) return;
  const std::string reason(ReasonName(outcome.reject->reason));
  ++label.rejects[reason];
  if (label.lines.size() < kMostLines) {
    label.lines.push_back(result.item->path + ": " + reason + ": " + outcome.reject->message);
  }
}

std::string JunitReport::Text(const std::string& name, bool passed) const {
  const std::string verdict = passed ? "skipped" : "failure";
  std::string cases;
  int64_t with_rejects = 0;
  for (const auto& [label, found] : labels_) {
    cases += "    <testcase" + Attribute("classname", "pomona.check") +
             Attribute("name", label.empty() ? "(no label)" : label);
    int64_t rejects = 0;
    for (const auto& [reason, count] : found.rejects) rejects += count;
    if (rejects == 0) {
      cases += "/>\n";
      continue;
    }
    ++with_rejects;
    const std::string message = std::to_string(rejects) + " of " + std::to_string(found.images) +
                                " images are rejected" + CountsText(found.rejects);
    cases += ">\n      <" + verdict + Attribute("message", message) +
             (passed ? "" : Attribute("type", "rejects")) + "/>\n      <system-out>";
    for (const std::string& line : found.lines) cases += Xml(line) + '\n';
    const int64_t more = rejects - std::ssize(found.lines);
    if (more > 0) cases += "and " + std::to_string(more) + " more\n";
    cases += "</system-out>\n    </testcase>\n";
  }
  const std::string counts = Attribute("tests", std::to_string(labels_.size())) +
                             Attribute("failures", std::to_string(passed ? 0 : with_rejects)) +
                             Attribute("errors", "0") +
                             Attribute("skipped", std::to_string(passed ? with_rejects : 0));
  return "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites" +
         Attribute("name", "pomona check") + counts + ">\n  <testsuite" + Attribute("name", name) +
         counts + ">\n" + cases + "  </testsuite>\n</testsuites>\n";
}

arrow::Status JunitReport::CheckWritable(const std::string& file) {
  ARROW_ASSIGN_OR_RAISE(const std::string path, LocalPath(file));
  return CheckReplaceable(path);
}

arrow::Status JunitReport::Write(const std::string& file, const std::string& name,
                                 bool passed) const {
  ARROW_ASSIGN_OR_RAISE(const std::string path, LocalPath(file));
  const std::string text = Text(name, passed);
  return ReplaceFile(path, [&](OutputFile& output) {
    return output.Write(text.data(), static_cast<int64_t>(text.size()));
  });
}

}  // namespace pomona
