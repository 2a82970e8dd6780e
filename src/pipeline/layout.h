// The folders of the output contract (docs/formats.md).
#pragma once

#include "workspace.h"

namespace pomona {

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

}  // namespace pomona
