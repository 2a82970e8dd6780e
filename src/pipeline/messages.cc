#include "messages.h"

#include <arrow/util/io_util.h>
#include <sys/statvfs.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <string_view>

#include "pomona/refusal.h"

namespace pomona {
namespace {

// `globs`: those that may be mistaken.
std::string HowGlobsMatch(const PathFilter& filter, const std::vector<std::string>& globs) {
  std::string text = "a glob has to match the whole path below INPUT or INPUT/Training";
  if (!filter.example().empty()) text += ", such as '" + filter.example() + "'";
  const auto is_ascii = [](const std::string& glob) {
    return std::ranges::all_of(glob, [](char c) { return static_cast<uint8_t>(c) < 0x80; });
  };
  if (std::ranges::all_of(globs, is_ascii)) return text;
  return text + "; accents are stored in one of two ways that look the same: put * for the letter";
}

std::string HiddenOnes(const PathFilter& filter) {
  return std::to_string(filter.hidden()) + " hidden files and folders";
}

// What an unfinished run leaves to its successor.
std::string KeptText(const Kept& kept) {
  if (kept.items == 0) return "; no images were finished: run the same command again";
  std::string text = "; " + std::to_string(kept.items);
  if (kept.listed > 0) text += " of " + std::to_string(kept.listed);
  return text + " images are kept: the same command resumes";
}

// Adds to an error that says that there is no space how much is asked for.
arrow::Status WithNeed(const arrow::Status& status, const std::string& output, int64_t need) {
  const int error = arrow::internal::ErrnoFromStatus(status);
  if (error != ENOSPC && error != EDQUOT) return status;
  std::string text;
  if (need > 0) text = "; the run takes about " + std::to_string((need >> 20) + 1) + " MiB in all";
  struct statvfs disk;
  if (statvfs(output.c_str(), &disk) == 0) {
    const uint64_t bytes = uint64_t{disk.f_bavail} * disk.f_frsize;
    text += "; " + std::to_string(bytes >> 20) + " MiB are free";
    if (disk.f_files > 0 && disk.f_favail < 100) {
      text += ", but only " + std::to_string(disk.f_favail) + " more files can be created";
    }
  }
  return status.WithMessage(status.message(), text, "; the same command resumes");
}

}  // namespace

void TellOfColumnNames(const std::string& output, const RunHooks& hooks) {
  constexpr std::string_view kColumns[] = {
      "path", "label", "features", "features_string", "pca_features", "pca_features_string"};
  if (!hooks.log) return;
  for (const std::string_view column : kColumns) {
    const size_t begin = output.find('/' + std::string(column) + '=');
    if (begin == output.npos) continue;
    hooks.log("OUTPUT lies in a folder called " +
              output.substr(begin + 1, output.find('/', begin + 1) - begin - 1) +
              ": DuckDB and ClickHouse put that in place of the column '" + std::string(column) +
              "', unless told hive_partitioning = false (use_hive_partitioning = 0)");
  }
}

void TellOfOtherFolders(const Source& source, const std::string& output, const RunHooks& hooks) {
  if (!hooks.log) return;
  const std::string line = TellPassedOver(source, output);
  if (!line.empty()) hooks.log(line);
}

arrow::Status NoFiles(const std::string& input, const PathFilter& filter,
                      const RunOptions& options) {
  std::string text = "no files under " + input;
  if (!filter.example().empty()) {
    text += " that the mode, --include and --exclude select";
    if (!options.include.empty() || !options.exclude.empty()) {
      text += "; " + HowGlobsMatch(filter, options.include);
    }
  }
  if (filter.hidden() > 0) text += "; " + HiddenOnes(filter) + " are left out without --hidden";
  return arrow::Status::Invalid(text);
}

void TellOfFilter(const PathFilter& filter, bool saw_everything, const RunHooks& hooks) {
  if (!hooks.log) return;
  if (filter.hidden() > 0) {
    hooks.log(HiddenOnes(filter) +
              " are left out (.names and what systems leave behind); "
              "--hidden takes them");
  }
  if (!saw_everything) return;
  for (const std::string& option : filter.Unmatched()) {
    hooks.log(option + " matched nothing; " + HowGlobsMatch(filter, {option}));
  }
}

arrow::Status WithCure(const arrow::Status& status, const Kept& kept, const std::string& folder,
                       int64_t space_needed) {
  if (status.ok() || RefusalOf(status)) return status;
  if (status.IsCancelled()) return status.WithMessage("interrupted", KeptText(kept));
  if (status.IsOutOfMemory()) {
    return status.WithMessage(status.message(), "; give the process more memory or lower --threads",
                              KeptText(kept));
  }
  return WithNeed(status, folder, space_needed);
}

}  // namespace pomona
