#include "audit_section.h"
#include "disk.h"
#include "picture_files.h"
#include "pomona/report.h"
#include "report.h"
#include "store/audit_state.h"

namespace pomona {

arrow::Result<std::string> MakeReport(const std::string& output, const ReportOptions& options,
                                      CancelToken cancel) {
  ARROW_ASSIGN_OR_RAISE(const PublishedFiles files,
                        PublishedFiles::Open(output, options.s3, cancel));
  ARROW_ASSIGN_OR_RAISE(const std::string run_id, FindRunId(files, options.run_id));
  const RunTables tables({files}, run_id);
  ARROW_ASSIGN_OR_RAISE(const nlohmann::json run_info, tables.ReadRunInfo());
  const std::string file = options.file.empty() ? "report_" + run_id + ".html" : options.file;
  ARROW_RETURN_NOT_OK(CheckReplaceable(file));
  PictureFiles pictures(options.s3, cancel);
  const auto read = [&](const std::string& path, FileBytes* bytes) {
    return pictures.Read(path, bytes);
  };
  const int threads = ThreadCount(options.threads);
  ARROW_ASSIGN_OR_RAISE(
      auto sections,
      GatherReport({tables, options.kind, options.images, read, threads, cancel, {}}));
  const bool images = options.images && options.kind == ReportKind::kFull;
  ARROW_ASSIGN_OR_RAISE(const AuditState audit, FindAudit(files, run_id));
  if (audit == AuditState::kOfThisRun) {
    ARROW_ASSIGN_OR_RAISE(
        Section section,
        GatherAudit(files.Audits(), run_id, images ? read : ReadPicture(), threads, cancel));
    sections.push_back(std::move(section));
  }
  sections.push_back(MakingSection(run_info));
  ARROW_RETURN_NOT_OK(
      ReplaceFile(file, [&](OutputFile& out) { return WriteReport(run_id, sections, &out); }));
  return file;
}

}  // namespace pomona
