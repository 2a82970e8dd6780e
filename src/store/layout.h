// The folders of the output contract (docs/formats.md), and what is in them.
#pragma once

#include <algorithm>
#include <cstdio>
#include <string>
#include <string_view>

namespace pomona {

// One folder of the output contract.
struct OutputFolder {
  std::string kind;  // "features/parquet"
  std::string name;  // "features", published as <kind>/<name>_<run id>

  // Below the output.
  std::string Path(const std::string& run_id) const { return kind + '/' + name + '_' + run_id; }
};

inline std::string PartName(size_t part, std::string_view extension) {
  char name[32];
  std::snprintf(name, sizeof name, "part-%05zu.", part);
  return name + std::string(extension);
}

// In kRunInfo; see reuse.h.
inline std::string ItemRecordName(size_t part) { return "_items-" + PartName(part, "safetensors"); }

inline const OutputFolder kFeaturesParquet{"features/parquet", "features"};
inline const OutputFolder kFeaturesCsv{"features/csv", "features"};
inline const OutputFolder kPcaParquet{"pca/parquet", "pca"};
inline const OutputFolder kPcaCsv{"pca/csv", "pca"};
inline const OutputFolder kMetadata{"metadata", "metadata"};
inline const OutputFolder kModelInfo{"model_info", "model_info"};
inline const OutputFolder kVariance{"model_info", "variance"};
inline const OutputFolder kPcaModel{"model_info", "pca_model"};
inline const OutputFolder kErrors{"errors", "errors"};
inline const OutputFolder kRunInfo{"run_info", "run_info"};

inline const OutputFolder* const kAllFolders[] = {
    &kFeaturesParquet, &kFeaturesCsv, &kPcaParquet, &kPcaCsv, &kMetadata,
    &kModelInfo,       &kVariance,    &kPcaModel,   &kErrors, &kRunInfo};

// Whether a path, which may be anybody's, is that of a file in one of the run's folders.
inline bool IsFileOfRun(std::string_view path, const std::string& run_id) {
  const size_t slash = path.rfind('/');
  if (slash == path.npos) return false;
  const std::string_view folder = path.substr(0, slash), name = path.substr(slash + 1);
  return !name.empty() && name != "." && name != ".." &&
         std::ranges::any_of(kAllFolders,
                             [&](const OutputFolder* of) { return of->Path(run_id) == folder; });
}

}  // namespace pomona
