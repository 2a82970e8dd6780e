// Globs over paths: the input is a glob and, after a newline, a path.
#include <algorithm>
#include <string>

#include "expect.h"
#include "pomona/source.h"

using namespace pomona;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string text(reinterpret_cast<const char*>(data), size);
  const size_t newline = std::min(text.find('\n'), size);
  const std::string glob = text.substr(0, newline);
  const Item item{"/tree/" + text.substr(std::min(newline + 1, size)), 6};
  RunOptions taken, left_out, all;
  taken.include = {glob};
  left_out.exclude = {glob};
  all.include = {glob, "*"};
  EXPECT(MatchesGlobs(item, taken) != MatchesGlobs(item, left_out));
  EXPECT(MatchesGlobs(item, all));
  EXPECT(item.label().size() <= item.relative_path().size());
  return 0;
}
