// The folders of the output contract (docs/formats.md), and what is in them.
#pragma once

#include <algorithm>
#include <array>
#include <cstdio>
#include <span>
#include <string>
#include <string_view>

namespace pomona {

// One folder of the output contract.
struct OutputFolder {
  std::string_view kind;  // "features/parquet"
  std::string_view name;  // "features", published as <kind>/<name>_<run id>

  // Of one that lies in another, with which it is published and removed: <kind>/<name>_<run id>/<inner>.
  std::string_view inner = {};

  // Below the output.
  std::string Path(std::string_view run_id) const {
    std::string path = std::string(kind).append("/").append(name).append("_").append(run_id);
    return inner.empty() ? path : path.append("/").append(inner);
  }
};

// Stands in each folder of a run that is complete.
inline constexpr std::string_view kSuccess = "_SUCCESS";

// Its path below the output.
inline std::string SuccessOf(const OutputFolder& folder, std::string_view run_id) {
  return folder.Path(run_id).append("/").append(kSuccess);
}

// Of an output, for what is unfinished; readers that follow the convention of '_' never see it.
inline constexpr std::string_view kWorkFolder = "_pomona";

// In there, by its path below the output: names the run whose folders are being published, or
// removed.
inline constexpr const char* kJournal = "_pomona/publishing";

// Of an output, beside its folders; see dataset_card.h.
inline constexpr const char* kCardName = "README.md";

inline std::string PartName(size_t part, std::string_view extension) {
  char name[32];
  std::snprintf(name, sizeof name, "part-%05zu.", part);
  return name + std::string(extension);
}

// In kRunInfo; see item_record.h.
inline std::string ItemRecordName(size_t part) { return "_items-" + PartName(part, "safetensors"); }

inline constexpr OutputFolder kFeaturesParquet{"features/parquet", "features"};
inline constexpr OutputFolder kFeaturesCsv{"features/csv", "features"};
inline constexpr OutputFolder kPcaParquet{"pca/parquet", "pca"};
inline constexpr OutputFolder kPcaCsv{"pca/csv", "pca"};
inline constexpr OutputFolder kMetadata{"metadata", "metadata"};
inline constexpr OutputFolder kMetadataParquet{"metadata/parquet", "metadata"};
inline constexpr OutputFolder kModelInfo{"model_info", "model_info"};
inline constexpr OutputFolder kVariance{"model_info", "variance"};
inline constexpr OutputFolder kPcaModel{"model_info", "pca_model"};
inline constexpr OutputFolder kSparkPcaMetadata{"model_info", "spark_pca", "metadata"};
inline constexpr OutputFolder kSparkPcaData{"model_info", "spark_pca", "data"};
inline constexpr OutputFolder kSparkPca{"model_info", "spark_pca"};
inline constexpr OutputFolder kPcaOnnx{"model_info", "pca_onnx"};
inline constexpr OutputFolder kErrors{"errors", "errors"};
inline constexpr OutputFolder kErrorsParquet{"errors/parquet", "errors"};
inline constexpr OutputFolder kReport{"report", "report"};
inline constexpr OutputFolder kRunInfo{"run_info", "run_info"};

// What is published under one run id: in this order, which ends with run_info, whose _SUCCESS says
// that all of them are there; inner folders before the one that they lie in.
using OutputFolders = std::span<const OutputFolder* const>;

// Of a run.
inline constexpr const OutputFolder* kRunFolders[] = {
    &kFeaturesParquet,  &kFeaturesCsv,  &kPcaParquet, &kPcaCsv,   &kMetadata,
    &kMetadataParquet,  &kModelInfo,    &kVariance,   &kPcaModel, &kPcaOnnx,
    &kSparkPcaMetadata, &kSparkPcaData, &kSparkPca,   &kErrors,   &kErrorsParquet,
    &kReport,           &kRunInfo};

// Of an audit, which is published in this folder of an OUTPUT as runs are in OUTPUT, under the id of
// the run that it is about.
inline constexpr std::string_view kAuditFolder = "audit";
inline constexpr OutputFolder kDuplicates{"duplicates", "duplicates"};
inline constexpr OutputFolder kDuplicatesParquet{"duplicates/parquet", "duplicates"};
inline constexpr OutputFolder kSplitLeaks{"split_leaks", "split_leaks"};
inline constexpr OutputFolder kSplitLeaksParquet{"split_leaks/parquet", "split_leaks"};
inline constexpr OutputFolder kOutliers{"outliers", "outliers"};
inline constexpr OutputFolder kOutliersParquet{"outliers/parquet", "outliers"};
inline constexpr OutputFolder kLabelIssues{"label_issues", "label_issues"};
inline constexpr OutputFolder kLabelIssuesParquet{"label_issues/parquet", "label_issues"};
inline constexpr OutputFolder kImageIssues{"image_issues", "image_issues"};
inline constexpr OutputFolder kImageIssuesParquet{"image_issues/parquet", "image_issues"};
// Of which kImageIssues has two columns each, in this order.
inline constexpr std::array<std::string_view, 9> kImageIssueNames = {"dark",
                                                                     "light",
                                                                     "odd_aspect_ratio",
                                                                     "low_information",
                                                                     "exact_duplicates",
                                                                     "near_duplicates",
                                                                     "blurry",
                                                                     "grayscale",
                                                                     "odd_size"};
inline std::string ScoreColumn(std::string_view issue) { return std::string(issue) + "_score"; }
inline std::string VerdictColumn(std::string_view issue) {
  return "is_" + std::string(issue) + "_issue";
}
inline constexpr OutputFolder kNeighbours{"neighbours", "neighbours"};
inline constexpr OutputFolder kNeighboursParquet{"neighbours/parquet", "neighbours"};
inline constexpr const OutputFolder* kAuditFolders[] = {
    &kDuplicates,  &kDuplicatesParquet,  &kSplitLeaks,  &kSplitLeaksParquet,
    &kOutliers,    &kOutliersParquet,    &kLabelIssues, &kLabelIssuesParquet,
    &kImageIssues, &kImageIssuesParquet, &kNeighbours,  &kNeighboursParquet,
    &kRunInfo};

// In kReport.
inline constexpr std::string_view kReportName = "report.html";

// Whether a path, which may be anybody's, is that of one of the folders of this id.
inline bool IsFolderOfRun(std::string_view path, std::string_view run_id, OutputFolders folders) {
  return std::ranges::any_of(folders,
                             [&](const OutputFolder* of) { return of->Path(run_id) == path; });
}

// The same of a file in one of them.
inline bool IsFileOfRun(std::string_view path, std::string_view run_id, OutputFolders folders) {
  const size_t slash = path.rfind('/');
  if (slash == path.npos) return false;
  const std::string_view name = path.substr(slash + 1);
  return !name.empty() && name != "." && name != ".." && !IsFolderOfRun(path, run_id, folders) &&
         IsFolderOfRun(path.substr(0, slash), run_id, folders);
}

}  // namespace pomona
