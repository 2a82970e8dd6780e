#include "pomona/audit.h"

#include <algorithm>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <utility>

#include "check_threads.h"
#include "duplicates.h"
#include "guarded.h"
#include "image_issues.h"
#include "json.h"
#include "label_issues.h"
#include "neighbours.h"
#include "outliers.h"
#include "pomona/pca.h"
#include "pomona/version.h"
#include "published_rows.h"
#include "row_file.h"
#include "stopwatch.h"
#include "store/audit_state.h"
#include "store/checksums.h"
#include "store/output.h"
#include "store/run_files.h"
#include "tables.h"
#include "tiles.h"

namespace pomona {
namespace {

using audit::DuplicateGroup;
using audit::LabelVerdict;
using audit::Neighbours;
using audit::OutlierScores;
using audit::PublishedRows;

// What an audit finds.
struct Findings {
  std::vector<DuplicateGroup> duplicates;
  OutlierScores outliers;
  std::vector<LabelVerdict> labels;
  std::optional<Neighbours> neighbours;  // where they were asked for
  std::optional<audit::ImageIssueJudge> issues;
};

arrow::Status Check(const AuditOptions& options) {
  if (!(options.near > 0 && options.near <= 1)) {
    return arrow::Status::Invalid("near: a cosine above 0 and up to 1, not ", options.near);
  }
  ARROW_RETURN_NOT_OK(CheckThreads(options.threads));
  if (options.neighbours < 1) {
    return arrow::Status::Invalid("neighbours: at least 1, not ", options.neighbours);
  }
  if (options.knn < 0) {
    return arrow::Status::Invalid("knn: at least 1, or 0 for no such table, not ", options.knn);
  }
  return ResolveCpu(options.cpu).status();
}

arrow::Result<Findings> Find(const PublishedRows& rows, const audit::RowFile& features,
                             const AuditOptions& options, int threads, const AuditHooks& hooks) {
  Findings found;
  const audit::Tiles tiles(rows.short_vectors, rows.dimensions);
  const auto tell = [&](std::string_view stage) {
    return [&hooks, stage, total = static_cast<int64_t>(tiles.size())](int64_t done) {
      if (hooks.progress) hooks.progress(stage, done, total);
    };
  };
  ARROW_ASSIGN_OR_RAISE(found.duplicates, FindDuplicates(rows, tiles, features, options, threads,
                                                         hooks.cancel, tell("compare")));
  found.outliers = audit::ScoreOutliers(rows.residual, rows.mahalanobis);
  ARROW_ASSIGN_OR_RAISE(found.labels, audit::JudgeLabels(rows, tiles, options.neighbours, threads,
                                                         options.cpu, hooks.cancel, tell("vote")));
  if (options.knn > 0) {
    ARROW_ASSIGN_OR_RAISE(found.neighbours,
                          FindNeighbours(rows, tiles, features, options.knn, threads, options.cpu,
                                         hooks.cancel, tell("search")));
  }
  found.issues.emplace(rows, found.duplicates);
  return found;
}

// "1 group", "2 groups".
std::string Counted(int64_t count, const std::string& what) {
  return std::to_string(count) + ' ' + what + (count == 1 ? "" : "s");
}

// The parts of the data set, and the rules for them that say nothing.
void CountSplits(const PublishedRows& rows, const std::vector<SplitRule>& rules,
                 AuditSummary* summary) {
  std::set<std::string> splits;
  std::vector<const SplitRule*> unmet;
  for (const SplitRule& rule : rules) unmet.push_back(&rule);
  for (size_t row = 0; row < rows.size(); ++row) {
    const std::string_view path = rows.relative_path(row);
    splits.insert(SplitOf(path, rules));
    std::erase_if(unmet, [&](const SplitRule* rule) { return rule->glob.Matches(path); });
  }
  splits.erase("");
  summary->splits = std::ssize(splits);
  for (const SplitRule* rule : unmet) {
    summary->notes.push_back("no image matches the split '" + rule->glob.text() + '=' + rule->name +
                             "'");
  }
}

// Labels with so few images that those of others always vote on them.
void CountSmallLabels(const PublishedRows& rows, int neighbours, AuditSummary* summary) {
  const std::vector<int64_t> sizes = rows.LabelSizes();
  int64_t all = 0, small = 0, least = neighbours;
  for (size_t label = 0; label < sizes.size(); ++label) {
    if (rows.label_names[label].empty()) continue;
    ++all;
    if (sizes[label] < 2 || sizes[label] > neighbours) continue;  // one alone is not judged
    ++small;
    least = std::min(least, sizes[label]);
  }
  if (small == 0 || all < 2) return;
  summary->notes.push_back("labels with 2 to " + std::to_string(neighbours) +
                           " images: " + std::to_string(small) + " of " + std::to_string(all) +
                           "; with more than " + Counted(least - 1, "neighbour") +
                           " their label issues mean little");
}

void Count(const PublishedRows& rows, const Findings& found, const AuditOptions& options,
           AuditSummary* summary) {
  CountSplits(rows, options.splits, summary);
  CountSmallLabels(rows, options.neighbours, summary);
  summary->groups = std::ssize(found.duplicates);
  for (const DuplicateGroup& group : found.duplicates) {
    summary->duplicates += std::ssize(group.members);
    summary->same_bytes +=
        std::ranges::count_if(group.members, &DuplicateGroup::Member::same_bytes);
    summary->same_pixels += std::ranges::count_if(
        group.members,
        [](const DuplicateGroup::Member& m) { return m.same_pixels && !m.same_bytes; });
    summary->label_conflicts += group.label_conflict;
    summary->split_leaks += group.split_leak;
  }
  summary->outliers = std::ranges::count_if(
      found.outliers.scores, [](double score) { return score < OutlierScores::kIssue; });
  summary->label_issues = std::ranges::count_if(found.labels, &LabelVerdict::is_issue);
  summary->stats = rows.size() > 0 ? StatsKind::kFull : StatsKind::kNone;
  for (size_t row = 0; row < rows.size(); ++row) {
    const auto issues = found.issues->Judge(row);
    for (size_t i = 0; i < issues.size(); ++i) {
      if (!issues[i].is_issue) continue;
      summary->image_issues[std::string(kImageIssueNames[i])] += *issues[i].is_issue;
    }
    for (const StatsKind less : {StatsKind::kBasic, StatsKind::kNone}) {
      if (!rows.images[row].statistics.Has(summary->stats)) summary->stats = less;
    }
  }
}

// `run`: the checksum of the checksums of the run that was audited.
std::string InfoJson(const AuditSummary& summary, const AuditOptions& options,
                     const std::string& run) {
  nlohmann::ordered_json splits = nlohmann::ordered_json::array();
  for (const SplitRule& rule : options.splits) splits.push_back(rule.glob.text() + '=' + rule.name);
  const nlohmann::ordered_json chosen = {{"near", options.near},
                                         {"neighbours", options.neighbours},
                                         {"knn", options.knn},
                                         {"split", splits}};
  const nlohmann::ordered_json info = {{"run_id", summary.run_id},
                                       {kAuditedRun, run},
                                       {"options", chosen},
                                       {"counts",
                                        {{"rows", summary.rows},
                                         {"groups", summary.groups},
                                         {"duplicates", summary.duplicates},
                                         {"same_bytes", summary.same_bytes},
                                         {"same_pixels", summary.same_pixels},
                                         {"label_conflicts", summary.label_conflicts},
                                         {"split_leaks", summary.split_leaks},
                                         {"outliers", summary.outliers},
                                         {"label_issues", summary.label_issues},
                                         {"image_issues", summary.image_issues}}},
                                       {"stats", StatsName(summary.stats)},
                                       {"versions", {{"pomona", kVersion}}}};
  return JsonText(info, 2) + "\n";
}

// What is audited, and where.
struct Run {
  const PublishedFiles& files;
  const std::string& id;
  std::string checksum;  // of its checksums, as it was when the audit began
};

arrow::Status CheckUnchanged(const Run& run) {
  const auto now = run.files.Sha256Of(ChecksumsPath(run.id));
  if (now.ok() && *now == run.checksum) return arrow::Status::OK();
  return arrow::Status::Invalid("the run ", run.id, " in ", run.files.output(),
                                " was removed or made anew while it was audited; try again");
}

// An earlier audit of the run goes when all is written that takes its place. REQUIRES: the output is
// locked.
arrow::Status Publish(const Run& run, const PublishedRows& rows, const Findings& found,
                      const std::string& info, Output& output, AuditSummary* summary,
                      CancelToken cancel) {
  WorkFolder& work = output.work();
  ARROW_RETURN_NOT_OK(work.Begin(run.id));
  ARROW_RETURN_NOT_OK(WriteDuplicates(rows, found.duplicates, work));
  ARROW_RETURN_NOT_OK(WriteSplitLeaks(rows, found.duplicates, work));
  ARROW_RETURN_NOT_OK(WriteOutliers(rows, found.outliers, work));
  ARROW_RETURN_NOT_OK(WriteLabelIssues(rows, found.labels, work));
  ARROW_RETURN_NOT_OK(WriteImageIssues(rows, *found.issues, work));
  if (found.neighbours) ARROW_RETURN_NOT_OK(WriteNeighbours(rows, *found.neighbours, work));
  ARROW_RETURN_NOT_OK(work.WritePart(kRunInfo, 0, "json", info));
  std::vector<OutputFolder> folders;
  for (const OutputFolder* folder : kAuditFolders) {
    if (!found.neighbours && folder->name == kNeighbours.name) continue;
    folders.push_back(*folder);
    summary->folders.push_back(std::string(kAuditFolder) + '/' + folder->Path(run.id));
  }
  ARROW_RETURN_NOT_OK(cancel.Check());
  ARROW_RETURN_NOT_OK(CheckUnchanged(run));
  // Or what is left of one.
  ARROW_ASSIGN_OR_RAISE(const PublishedRun earlier, FindRun(output.published(), run.id));
  if (earlier.files > 0) ARROW_RETURN_NOT_OK(output.Remove(run.id));
  return output.Publish(folders, cancel, [](int64_t) {}, [] {});
}

arrow::Result<AuditSummary> AuditRun(const std::string& output, const AuditOptions& options,
                                     const AuditHooks& hooks) {
  const CancelToken cancel = hooks.cancel;
  ARROW_RETURN_NOT_OK(Check(options));
  Stopwatch watch;
  AuditSummary summary;
  const int threads = ThreadCount(options.threads);
  ARROW_ASSIGN_OR_RAISE(const PublishedFiles files,
                        PublishedFiles::Open(output, options.s3, cancel));
  ARROW_ASSIGN_OR_RAISE(summary.run_id, FindRunId(files, options.run_id));
  Run run{files, summary.run_id, {}};
  ARROW_ASSIGN_OR_RAISE(const Checksums checksums, audit::ReadRecorded(files, run.id));
  ARROW_ASSIGN_OR_RAISE(run.checksum, files.Sha256Of(ChecksumsPath(run.id)));
  ARROW_ASSIGN_OR_RAISE(const Pca pca, audit::ReadPublishedPca(files, checksums, run.id));

  ARROW_ASSIGN_OR_RAISE(const auto audits, OpenAudits(output, options.s3, cancel));
  ARROW_RETURN_NOT_OK(audits->Lock(cancel));
  const auto audited = Guarded([&]() -> arrow::Status {
    ARROW_RETURN_NOT_OK(audits->Clear(/*fresh=*/true));
    PublishedRows rows;
    Findings found;
    {
      ARROW_ASSIGN_OR_RAISE(const auto features,
                            audit::RowFile::Create(audits->work().MomentsPath("rows", "audit"),
                                                   static_cast<size_t>(pca.dimensions())));
      const auto tell = [&](int64_t done, int64_t total) {
        if (hooks.progress) hooks.progress("read", done, total);
      };
      ARROW_ASSIGN_OR_RAISE(rows, ReadPublishedRows(files, checksums, run.id, pca, features,
                                                    threads, options.cpu, cancel, tell));
      ARROW_ASSIGN_OR_RAISE(found, Find(rows, features, options, threads, hooks));
    }
    summary.rows = static_cast<int64_t>(rows.size());
    Count(rows, found, options, &summary);
    return Publish(run, rows, found, InfoJson(summary, options, run.checksum), *audits, &summary,
                   cancel);
  });
  if (!audited.ok()) {
    (void)audits->Clear(/*fresh=*/true);
    audits->Abandon();
    return audited;
  }
  watch.Lap(&summary.seconds);
  return summary;
}

// "image issues: 2 dark, 1 odd_size", and what would tell more.
std::string DescribeIssues(const AuditSummary& summary) {
  std::string issues;
  for (const auto& [name, count] : summary.image_issues) {
    if (count > 0) issues += (issues.empty() ? "" : ", ") + std::to_string(count) + ' ' + name;
  }
  const std::string found = "image issues: " + (issues.empty() ? "none" : issues);
  if (summary.stats == StatsKind::kFull) return found;
  return found + "; a run with --stats full, and an audit of that, tell the rest";
}

}  // namespace

arrow::Result<SplitRule> ParseSplitRule(std::string_view text) {
  const size_t sign = text.rfind('=');
  if (sign == text.npos || sign == 0 || sign + 1 == text.size()) {
    return arrow::Status::Invalid("split: '", text,
                                  "': expected GLOB=NAME, such as 'holdout/*=test'");
  }
  arrow::Result<Glob> glob = Glob::Parse(text.substr(0, sign));
  if (!glob.ok()) {
    return arrow::Status::Invalid("split: '", text, "': ", glob.status().message());
  }
  return SplitRule{*std::move(glob), std::string(text.substr(sign + 1))};
}

std::string SplitOf(std::string_view relative_path, const std::vector<SplitRule>& rules) {
  for (const SplitRule& rule : rules) {
    if (rule.glob.Matches(relative_path)) return rule.name;
  }
  for (size_t slash; (slash = relative_path.find('/')) != relative_path.npos;) {
    std::string folder(relative_path.substr(0, slash));
    std::ranges::transform(folder, folder.begin(),
                           [](char c) { return c >= 'A' && c <= 'Z' ? char(c - 'A' + 'a') : c; });
    if (folder == "train" || folder == "training") return "train";
    if (folder == "test") return "test";
    if (folder == "val" || folder == "validation") return "val";
    relative_path.remove_prefix(slash + 1);
  }
  return "";
}

std::string Describe(const AuditSummary& summary) {
  std::string notes;
  for (const std::string& note : summary.notes) notes += '\n' + note;
  return "run " + summary.run_id + ": " + Counted(summary.rows, "image") + "\n" +
         Counted(summary.groups, "group") +
         " of duplicates: " + Counted(summary.duplicates, "image") + ", " +
         std::to_string(summary.same_bytes) + " with the same bytes as another" +
         (summary.stats == StatsKind::kFull
              ? ", " + std::to_string(summary.same_pixels) + " more with the same pixels; "
              : "; ") +
         Counted(summary.label_conflicts, "group") + " with conflicting labels, " +
         (summary.splits > 1 ? std::to_string(summary.split_leaks) + " in more than one split\n"
                             : "no splits to compare\n") +
         Counted(summary.outliers, "outlier") + ", " +
         Counted(summary.label_issues, "label issue") + "\n" + DescribeIssues(summary) + notes;
}

arrow::Result<AuditSummary> Audit(const std::string& output, const AuditOptions& options,
                                  const AuditHooks& hooks) {
  return Guarded([&] { return AuditRun(output, options, hooks); });
}

}  // namespace pomona
