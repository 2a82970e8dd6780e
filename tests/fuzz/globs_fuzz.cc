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
  const std::string path = EscapeName(text.substr(std::min(newline + 1, size)));
  const Item item{"/tree/" + path, 6};
  RunOptions taken, left_out, all;
  taken.hidden = left_out.hidden = all.hidden = true;
  taken.include = {glob};
  left_out.exclude = {glob};
  all.include = {glob, "*"};
  const auto takes = [&](const RunOptions& options) {
    return PathFilter::Make(options)->TakesFile(item.relative_path());
  };
  const auto parsed = Glob::Parse(glob);
  if (parsed.ok()) {
    EXPECT(takes(taken) != takes(left_out));
    EXPECT(takes(all));
    // What is left out with its folder would not have been taken.
    for (size_t slash = 0; (slash = path.find('/', slash)) != std::string::npos; ++slash) {
      const std::string start = path.substr(0, slash + 1);
      EXPECT(!parsed->Matches(path) || parsed->MatchesSome(start));
      EXPECT(parsed->Matches(path) || !parsed->MatchesAll(start));
    }
    EXPECT(!parsed->Matches(path) || path.starts_with(parsed->literal_start()));
  }
  EXPECT(item.label().size() < item.path.size());
  return 0;
}
