// What a check found, in the format that CI systems show as tests.
#pragma once

#include <arrow/status.h>

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "pomona/check.h"

namespace pomona {

// JUnit's XML: a test case for each label, whose output names the label's rejects. Where these are
// too many, the cases of labels with rejects have failed; else they are skipped, as what is wrong
// with them is allowed. So there are failures if and only if `pomona check` exits with 3.
//
// Memory: grows with the number of labels, each of which keeps its first kMostLines rejects.
class JunitReport {
 public:
  static constexpr size_t kMostLines = 100;

  void Add(const CheckResult& result);

  // `name`: of the suite, as the input's. Whatever names hold, it is well-formed XML 1.0 in UTF-8.
  std::string Text(const std::string& name, bool passed) const;

  // What would keep Write() from this file, as far as can be told before there is anything to write.
  static arrow::Status CheckWritable(const std::string& file);

  // Writes it to a local file, whole or not at all. Errors: IOError, also where a link, a pipe or the
  // like has this name.
  arrow::Status Write(const std::string& file, const std::string& name, bool passed) const;

 private:
  struct Label {
    int64_t images = 0;
    std::map<std::string, int64_t> rejects;  // by reason
    std::vector<std::string> lines;
  };
  std::map<std::string, Label> labels_;  // of images
};

}  // namespace pomona
