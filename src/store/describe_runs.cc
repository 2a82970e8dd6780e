#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>
#include <ctime>
#include <string>
#include <utility>

#include "pomona/printable.h"
#include "pomona/published_output.h"

namespace pomona {
namespace {

constexpr size_t kBarWidth = 24;
constexpr size_t kMostComponents = 10;
constexpr size_t kMostLabels = 20;

std::string Number(const char* format, double value) {
  char text[64];
  std::snprintf(text, sizeof text, format, value);
  return text;
}

std::string Percent(double share) { return Number("%.1f %%", 100 * share); }

std::string TimeText(const std::optional<int64_t>& time) {
  const std::time_t seconds = time.value_or(0) / 1'000'000'000;
  std::tm local = {};
  if (!time || !localtime_r(&seconds, &local)) return "?";
  char text[64];
  return {text, std::strftime(text, sizeof text, "%Y-%m-%d %H:%M", &local)};
}

std::string RightAligned(const std::string& text, size_t width) {
  return std::string(width - std::min(width, text.size()), ' ') + text;
}

std::string LeftAligned(std::string text, size_t width) {
  text.resize(std::max(width, text.size()), ' ');
  return text;
}

// Its share of the largest; what is there at all is seen.
std::string Bar(double value, double largest) {
  if (!(value > 0) || !(largest > 0)) return std::string(kBarWidth, ' ');
  const auto length = static_cast<size_t>(std::ceil(kBarWidth * std::min(1.0, value / largest)));
  return LeftAligned(std::string(length, '#'), kBarWidth);
}

std::string ByReason(const std::map<std::string, int64_t>& counts) {
  std::string text;
  for (const auto& [reason, count] : counts) {
    text += (text.empty() ? ": " : ", ") + Printable(reason) + ' ' + std::to_string(count);
  }
  return text;
}

std::string Facts(const PublishedRun& run) {
  std::string text = "run " + run.run_id + ", published " + TimeText(run.published_ns) + '\n';
  const auto line = [&](const char* name, const std::string& value) {
    text += LeftAligned(name, 10) + value + '\n';
  };
  std::string images = std::to_string(run.rows) + " in " + Number("%.1f s", run.seconds);
  if (run.images_per_second > 0) images += Number(" (%.0f images/s)", run.images_per_second);
  line("input", Printable(run.input));
  line("images", images);
  line("rejects", std::to_string(run.rejects) + ByReason(run.rejects_by_reason));
  line("skips", std::to_string(run.skips) + ByReason(run.skips_by_reason));
  line("size", BytesText(run.bytes) + " in " + std::to_string(run.files) + " files");
  return text;
}

std::string Variance(const std::vector<double>& variance) {
  const size_t shown = std::min(variance.size(), kMostComponents);
  std::string lines;
  double sum = 0, all = 0;
  for (const double share : variance) all += share;
  for (size_t i = 0; i < shown; ++i) {
    sum += variance[i];
    lines += RightAligned(std::to_string(i + 1), 4) + RightAligned(Percent(variance[i]), 9) + "  " +
             Bar(variance[i], variance.front()) + RightAligned(Percent(sum), 9) + '\n';
  }
  return "\nvariance  " + std::to_string(variance.size()) + " components explain " + Percent(all) +
         '\n' + lines;
}

// The most frequent ones.
std::string Labels(const std::map<std::string, int64_t>& rows_by_label) {
  std::vector<std::pair<int64_t, std::string_view>> labels;
  for (const auto& [label, rows] : rows_by_label) labels.emplace_back(-rows, label);
  std::ranges::sort(labels);
  const size_t shown = std::min(labels.size(), kMostLabels);
  std::string text = "\nlabels    " + std::to_string(labels.size()) + '\n';
  for (const auto& [minus_rows, label] : std::span(labels).first(shown)) {
    text += RightAligned(std::to_string(-minus_rows), 9) + "  " +
            Bar(static_cast<double>(-minus_rows), static_cast<double>(-labels.front().first)) +
            "  " + (label.empty() ? "(none)" : Printable(label)) + '\n';
  }
  if (shown == labels.size()) return text;
  return text + "           and " + std::to_string(labels.size() - shown) + " more\n";
}

}  // namespace

std::string BytesText(int64_t bytes) {
  constexpr const char* kUnits[] = {"kB", "MB", "GB", "TB"};
  if (bytes < 1000) return std::to_string(bytes) + " B";
  auto value = static_cast<double>(bytes) / 1000;
  const char* const* unit = kUnits;
  // Not 1000.0 kB.
  while (value >= 999.95 && unit + 1 < std::end(kUnits)) {
    value /= 1000;
    ++unit;
  }
  return Number("%.1f ", value) + *unit;
}

std::string Describe(std::span<const PublishedRun> runs) {
  constexpr size_t kColumns = 6;
  using Row = std::array<std::string, kColumns>;
  std::vector<Row> rows = {{"run", "published", "images", "rejects", "seconds", "size"}};
  for (const PublishedRun& run : runs) {
    const bool known = run.problem.empty();
    rows.push_back({run.run_id, TimeText(run.published_ns), known ? std::to_string(run.rows) : "?",
                    known ? std::to_string(run.rejects) : "?",
                    known ? Number("%.1f", run.seconds) : "?", BytesText(run.bytes)});
  }
  Row widest;
  for (const Row& row : rows) {
    for (size_t i = 0; i < kColumns; ++i) {
      if (row[i].size() > widest[i].size()) widest[i] = row[i];
    }
  }
  std::string text;
  for (const Row& row : rows) {
    text += LeftAligned(row[0], widest[0].size()) + "  " + LeftAligned(row[1], widest[1].size());
    for (size_t i = 2; i < kColumns; ++i) text += "  " + RightAligned(row[i], widest[i].size());
    text += '\n';
  }
  return text;
}

std::string Describe(const RunContents& contents) {
  return Facts(contents.run) + Variance(contents.variance) + Labels(contents.rows_by_label);
}

}  // namespace pomona
