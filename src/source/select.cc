#include <fnmatch.h>

#include <algorithm>
#include <limits>

#include "pomona/source.h"

namespace pomona {
namespace {

constexpr const char* kAppleLabels = "Apple*";
constexpr size_t kMiniItems = 300;

bool Matches(const std::string& glob, const std::string& text) {
  return fnmatch(glob.c_str(), text.c_str(), 0) == 0;
}

bool MatchesAny(const std::vector<std::string>& globs, const std::string& text) {
  return std::any_of(globs.begin(), globs.end(),
                     [&](const std::string& glob) { return Matches(glob, text); });
}

}  // namespace

bool IsApple(const Item& item) { return Matches(kAppleLabels, std::string(item.label())); }

bool MatchesGlobs(const Item& item, const RunOptions& options) {
  if (options.include.empty() && options.exclude.empty()) return true;
  const std::string path(item.relative_path());
  return (options.include.empty() || MatchesAny(options.include, path)) &&
         !MatchesAny(options.exclude, path);
}

size_t ItemLimit(const RunOptions& options) {
  size_t limit = std::numeric_limits<size_t>::max();
  if (options.mode == Mode::kMini) limit = kMiniItems;
  if (options.limit > 0) limit = std::min(limit, static_cast<size_t>(options.limit));
  return limit;
}

std::vector<Item> Select(std::vector<Item> items, const RunOptions& options) {
  const bool only_apples =
      options.mode == Mode::kApples ||
      (options.mode == Mode::kMini && std::any_of(items.begin(), items.end(), IsApple));
  std::erase_if(items, [&](const Item& item) {
    return (only_apples && !IsApple(item)) || !MatchesGlobs(item, options);
  });
  items.resize(std::min(items.size(), ItemLimit(options)));
  return items;
}

}  // namespace pomona
