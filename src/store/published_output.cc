#include "pomona/published_output.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <string_view>
#include <utility>

#include "layout.h"
#include "part_reader.h"
#include "published_files.h"
#include "run_files.h"
#include "tasks.h"

namespace pomona {
namespace {

using nlohmann::json;

constexpr int kReadsAtOnce = 8;

std::string InfoPath(const OutputFolder& folder, const std::string& run_id) {
  return folder.Path(run_id) + '/' + PartName(0, "json");
}

// What run_info tells. Errors: of anything that is not there, or of another type.
arrow::Status TakeInfo(const PublishedFiles& files, const std::string& path, PublishedRun* run) {
  ARROW_ASSIGN_OR_RAISE(const json info, ReadObject(files, path, &run->info));
  try {
    info.at("input").get_to(run->input);
    const json& counts = info.at("counts");
    counts.at("listed").get_to(run->listed);
    counts.at("rows").get_to(run->rows);
    counts.at("rejects").get_to(run->rejects);
    counts.at("skips").get_to(run->skips);
    info.at("rejects_by_reason").get_to(run->rejects_by_reason);
    info.at("skips_by_reason").get_to(run->skips_by_reason);
    info.at("seconds").at("total").get_to(run->seconds);
    info.at("images_per_second").get_to(run->images_per_second);
  } catch (const json::exception&) {
    return arrow::Status::Invalid(files.Path(path), ": no run_info of a run");
  }
  return arrow::Status::OK();
}

void ReadInfo(const PublishedFiles& files, PublishedRun* run) {
  run->problem = TakeInfo(files, InfoPath(kRunInfo, run->run_id), run).message();
}

arrow::Result<std::vector<double>> ReadVariance(const PublishedFiles& files,
                                                const std::string& run_id) {
  const std::string path = InfoPath(kModelInfo, run_id);
  ARROW_ASSIGN_OR_RAISE(const json info, ReadObject(files, path));
  try {
    return info.at("variance_by_component").get<std::vector<double>>();
  } catch (const json::exception&) {
    return arrow::Status::Invalid(files.Path(path), ": no model_info of a run");
  }
}

}  // namespace

PublishedOutput::PublishedOutput(std::unique_ptr<PublishedFiles> files, CancelToken cancel)
    : files_(std::move(files)), cancel_(cancel) {}

PublishedOutput::~PublishedOutput() = default;

arrow::Result<std::unique_ptr<PublishedOutput>> PublishedOutput::Open(const std::string& output,
                                                                      const S3Options& s3,
                                                                      CancelToken cancel) {
  ARROW_ASSIGN_OR_RAISE(PublishedFiles files, PublishedFiles::Open(output, s3, cancel));
  return std::unique_ptr<PublishedOutput>(
      new PublishedOutput(std::make_unique<PublishedFiles>(std::move(files)), cancel));
}

const std::string& PublishedOutput::location() const { return files_->output(); }

arrow::Result<std::vector<PublishedRun>> PublishedOutput::Runs() const {
  ARROW_ASSIGN_OR_RAISE(std::vector<PublishedRun> runs, FindRuns(*files_));
  std::erase_if(runs, [](const PublishedRun& run) { return !run.published_ns; });
  if (runs.empty()) return arrow::Status::Invalid("no run is published in ", location());
  const auto read = [&](size_t i, int) {
    ReadInfo(*files_, &runs[i]);
    return arrow::Status::OK();
  };
  ARROW_RETURN_NOT_OK(ParallelFor(runs.size(), kReadsAtOnce, cancel_, read));
  return runs;
}

arrow::Result<PublishedRun> PublishedOutput::Run(const std::string& run_id) const {
  ARROW_ASSIGN_OR_RAISE(const std::string id, FindRunId(*files_, run_id));
  ARROW_ASSIGN_OR_RAISE(PublishedRun run, FindRun(*files_, id));
  if (!run.published_ns) {
    return arrow::Status::Invalid("no run ", id, " is published in ", location());
  }
  ReadInfo(*files_, &run);
  return run;
}

arrow::Result<RunContents> PublishedOutput::Contents(const std::string& run_id) const {
  RunContents contents;
  ARROW_ASSIGN_OR_RAISE(contents.run, Run(run_id));
  if (!contents.run.problem.empty()) return arrow::Status::Invalid(contents.run.problem);
  const std::string& id = contents.run.run_id;
  ARROW_ASSIGN_OR_RAISE(contents.variance, ReadVariance(*files_, id));
  ARROW_ASSIGN_OR_RAISE(const auto parts, Parts(id, kMetadata.kind, kMetadata.name));
  for (const std::string& part : parts) {
    ARROW_ASSIGN_OR_RAISE(const auto reader, OpenCsvPart(*files_, part, /*dimensions=*/0));
    RowBlock block;
    do {
      ARROW_RETURN_NOT_OK(cancel_.Check());
      ARROW_RETURN_NOT_OK(reader->Read(&block));
      for (const std::string& label : block.labels) ++contents.rows_by_label[label];
    } while (block.rows() > 0);
  }
  return contents;
}

arrow::Result<std::vector<std::string>> PublishedOutput::Parts(const std::string& run_id,
                                                               std::string_view kind,
                                                               std::string_view name) const {
  ARROW_RETURN_NOT_OK(CheckRunId(run_id));
  return files_->Parts(OutputFolder{kind, name}.Path(run_id));
}

arrow::Result<std::shared_ptr<arrow::Buffer>> PublishedOutput::Read(
    const std::string& below) const {
  ARROW_ASSIGN_OR_RAISE(const auto file, files_->OpenFile(below));
  const auto read = [&]() -> arrow::Result<std::shared_ptr<arrow::Buffer>> {
    ARROW_ASSIGN_OR_RAISE(const int64_t size, file->GetSize());
    return file->ReadAt(0, size);
  };
  auto bytes = read();
  if (!bytes.ok()) return files_->Explain(below, bytes.status());
  return bytes;
}

}  // namespace pomona
