#include <algorithm>
#include <iterator>
#include <limits>
#include <utility>

#include "pomona/source.h"

namespace pomona {
namespace {

constexpr std::string_view kAppleLabels = "Apple";
constexpr size_t kMiniItems = 300;

// Names that no user gave.
constexpr std::string_view kLeftovers[] = {
    "lost+found",                                 // ext2 to ext4
    "__MACOSX",                                   // zip files made by macOS
    "$RECYCLE.BIN", "System Volume Information",  // Windows, on any volume
    "Thumbs.db",    "desktop.ini",                // and in any folder
    "@eaDir",       "#recycle",
    "#snapshot",                           // Synology
    "@Recycle",     "@Recently-Snapshot",  // QNAP
};

bool IsHiddenName(std::string_view name) {
  if (name.starts_with('.')) return name != "." && name != "..";  // which keys on S3 may hold
  return std::ranges::find(kLeftovers, name) != std::end(kLeftovers);
}

// That matches the path, and none but it.
std::string GlobOf(std::string_view path) {
  std::string glob;
  while (!path.empty()) {
    const std::string_view before = path;
    TakeCharacter(&path);
    const std::string_view character = before.substr(0, before.size() - path.size());
    // A longer one with a backslash, \xE9, is read in both alike.
    if (character == "*" || character == "?" || character == "[" || character == "\\") glob += '\\';
    glob += character;
  }
  return glob;
}

}  // namespace

bool IsHidden(std::string_view relative_path) {
  for (size_t begin = 0; begin <= relative_path.size();) {
    const size_t end = std::min(relative_path.find('/', begin), relative_path.size());
    if (IsHiddenName(relative_path.substr(begin, end - begin))) return true;
    begin = end + 1;
  }
  return false;
}

arrow::Result<PathFilter> PathFilter::Make(const RunOptions& options) {
  PathFilter filter;
  for (const std::string& text : options.include) {
    ARROW_ASSIGN_OR_RAISE(Glob glob, Glob::Parse(text));
    filter.include_.push_back({std::move(glob)});
  }
  for (const std::string& text : options.exclude) {
    ARROW_ASSIGN_OR_RAISE(Glob glob, Glob::Parse(text));
    filter.exclude_.push_back({std::move(glob)});
  }
  filter.take_hidden_ = options.hidden;
  return filter;
}

bool PathFilter::LeavesOut(std::string_view relative_path) {
  const bool hidden = !take_hidden_ && IsHidden(relative_path);
  hidden_count_ += hidden;
  return hidden;
}

bool PathFilter::TakesFile(std::string_view relative_path) {
  if (LeavesOut(relative_path)) return false;
  if (example_.empty() || example_.ends_with("/*")) example_ = GlobOf(relative_path);
  const auto matches = [&](std::vector<Rule>& rules) {
    bool any = false;
    for (Rule& rule : rules) {
      if (any && rule.met) continue;
      const bool matched = rule.glob.Matches(relative_path);
      rule.met = rule.met || matched;
      any = any || matched;
    }
    return any;
  };
  const bool excluded = matches(exclude_);
  return (include_.empty() || matches(include_)) && !excluded;
}

bool PathFilter::EntersFolder(std::string_view relative_path) {
  if (LeavesOut(relative_path)) return false;
  const std::string start = std::string(relative_path) + '/';
  if (example_.empty()) example_ = GlobOf(start) + '*';
  for (Rule& rule : exclude_) {
    if (rule.glob.MatchesAll(start)) {
      rule.met = true;
      return false;
    }
  }
  return include_.empty() ||
         std::ranges::any_of(include_, [&](const Rule& r) { return r.glob.MatchesSome(start); });
}

std::string PathFilter::Narrow(const std::string& relative_path) const {
  const std::string start = relative_path + '/';
  std::string common;
  bool first = true;
  for (const Rule& rule : include_) {
    if (!rule.glob.MatchesSome(start)) continue;
    const std::string& other = rule.glob.literal_start();
    if (first) common = other;
    first = false;
    common.erase(std::ranges::mismatch(common, other).in1, common.end());
  }
  return common.starts_with(start) ? common.substr(0, common.rfind('/')) : relative_path;
}

std::vector<std::string> PathFilter::Unmatched() const {
  std::vector<std::string> options;
  const auto add = [&](const char* option, const std::vector<Rule>& rules) {
    for (const Rule& rule : rules) {
      if (!rule.met) options.push_back(std::string(option) + " '" + rule.glob.text() + "'");
    }
  };
  add("--include", include_);
  add("--exclude", exclude_);
  return options;
}

bool IsApple(const Item& item) { return item.label().starts_with(kAppleLabels); }

size_t ItemLimit(const RunOptions& options) {
  size_t limit = std::numeric_limits<size_t>::max();
  if (options.mode == Mode::kMini) limit = kMiniItems;
  if (options.limit > 0) limit = std::min(limit, static_cast<size_t>(options.limit));
  return limit;
}

namespace {

void LeaveOutOutput(const PathFilter& filter, std::vector<Item>* items) {
  if (filter.output.empty()) return;
  const std::string below = EscapeName(filter.output) + '/';
  std::erase_if(*items, [&](const Item& item) { return item.path.starts_with(below); });
}

// Whether any label matches Apple* is known once one does, or all is listed: until then the first of
// all are kept.
arrow::Status ListMini(Source& source, size_t limit, PathFilter* filter, const TakeItems& take) {
  std::vector<Item> first, apples;
  bool wanted = true;  // by the taker
  ARROW_RETURN_NOT_OK(source.List(filter, [&](std::vector<Item> items) {
    LeaveOutOutput(*filter, &items);
    for (Item& item : items) {
      if (IsApple(item)) {
        if (apples.size() < limit) apples.push_back(std::move(item));
      } else if (first.size() < limit) {
        first.push_back(std::move(item));
      }
    }
    wanted = take({});
    return wanted && apples.size() < limit;
  }));
  if (wanted) take(std::move(apples.empty() ? first : apples));
  return arrow::Status::OK();
}

}  // namespace

arrow::Status ListSelected(Source& source, const RunOptions& options, PathFilter* filter,
                           const TakeItems& take) {
  const size_t limit = ItemLimit(options);
  if (options.mode == Mode::kMini) return ListMini(source, limit, filter, take);
  size_t count = 0;
  return source.List(filter, [&](std::vector<Item> items) {
    LeaveOutOutput(*filter, &items);
    if (options.mode == Mode::kApples) {
      std::erase_if(items, [](const Item& item) { return !IsApple(item); });
    }
    items.resize(std::min(items.size(), limit - count));
    count += items.size();
    return take(std::move(items)) && count < limit;
  });
}

arrow::Result<std::vector<Item>> ListAll(Source& source, const RunOptions& options) {
  ARROW_ASSIGN_OR_RAISE(PathFilter filter, PathFilter::Make(options));
  std::vector<Item> all;
  ARROW_RETURN_NOT_OK(ListSelected(source, options, &filter, [&](std::vector<Item> items) {
    std::ranges::move(items, std::back_inserter(all));
    return true;
  }));
  return all;
}

}  // namespace pomona
