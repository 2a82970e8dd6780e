#include "run_files.h"

#include <algorithm>
#include <filesystem>
#include <functional>
#include <map>
#include <set>
#include <tuple>
#include <utility>

#include "checksums.h"
#include "layout.h"

namespace pomona {
namespace {

namespace fs = std::filesystem;

void AddFile(const arrow::fs::FileInfo& file, const OutputFolder& folder, PublishedRun* run) {
  if (!file.IsFile()) return;
  ++run->files;
  run->bytes += file.size();
  if (folder.name != kRunInfo.name || file.base_name() != kSuccess) return;
  run->published_ns = file.mtime().time_since_epoch().count();
}

// Not by the checksums: they are the first to go. Hidden files are a system's leftovers.
bool IsOurs(const arrow::fs::FileInfo& entry, const std::string& path, const std::string& run_id,
            OutputFolders folders) {
  const std::string name = entry.base_name();
  if (entry.IsDirectory()) return IsFolderOfRun(path, run_id, folders);
  return entry.IsFile() &&
         (name.starts_with("part-") || name.starts_with("_items-") || name == kSuccess ||
          name == kChecksumsName || name == kReportName || name.starts_with('.'));
}

}  // namespace

arrow::Result<std::vector<PublishedRun>> FindRuns(const PublishedFiles& files) {
  // What lies in another one is listed with it.
  std::set<std::string> kinds;
  for (const OutputFolder* folder : files.folders()) kinds.emplace(folder->kind);
  std::erase_if(kinds, [&](const std::string& kind) {
    return kinds.contains(fs::path(kind).parent_path().string());
  });
  std::map<std::string, PublishedRun> found;
  for (const std::string& kind : kinds) {
    // With what is in the folders of all runs, rather than to ask for each of them.
    ARROW_ASSIGN_OR_RAISE(const auto listed, files.List(kind, true));
    for (const arrow::fs::FileInfo& file : listed) {
      const std::string above =
          fs::path(file.path()).lexically_relative(files.output()).parent_path();
      for (const OutputFolder* folder : files.folders()) {
        const std::string prefix = std::string(folder->kind).append("/").append(folder->name) + '_';
        if (!above.starts_with(prefix)) continue;
        const std::string rest = above.substr(prefix.size());
        const std::string id = rest.substr(0, rest.find('/'));
        if (above == folder->Path(id) && CheckRunId(id).ok()) AddFile(file, *folder, &found[id]);
      }
    }
  }
  std::vector<PublishedRun> runs;
  for (auto& [id, run] : found) {
    run.run_id = id;
    runs.push_back(std::move(run));
  }
  std::ranges::sort(runs, std::greater(),
                    [](const PublishedRun& run) { return std::tie(run.published_ns, run.run_id); });
  return runs;
}

arrow::Result<PublishedRun> FindRun(const PublishedFiles& files, const std::string& run_id,
                                    std::string* stranger) {
  ARROW_RETURN_NOT_OK(CheckRunId(run_id));
  PublishedRun run;
  run.run_id = run_id;
  for (const OutputFolder* folder : files.folders()) {
    const std::string path = folder->Path(run_id);
    ARROW_ASSIGN_OR_RAISE(const auto listed, files.List(path));
    for (const arrow::fs::FileInfo& entry : listed) {
      AddFile(entry, *folder, &run);
      const std::string below = path + '/' + entry.base_name();
      if (stranger && !IsOurs(entry, below, run_id, files.folders())) *stranger = below;
    }
  }
  return run;
}

}  // namespace pomona
