// A fitted PCA in the forms that other programs load.
#pragma once

#include <arrow/result.h>

#include <string>
#include <string_view>

#include "pomona/pca.h"

namespace pomona {

// An ONNX model (opset 13, IR version 7), as its file's bytes: `features`, float32 [N, dimensions],
// to `pca_features`, float32 [N, components]. It computes what Pca::Project() does, but in float32:
// the mean is taken off first, and what features are divided by is a part of the components.
std::string PcaToOnnx(const Pca& pca);

// The two files of a folder that Spark MLlib's PCAModel.load() opens (3.x, 4.x).
struct SparkPca {
  std::string metadata;  // of metadata/: a line of JSON
  std::string data;      // of data/: Parquet, one row
};

// Whether a PCAModel can project as this PCA does: it has components and no mean.
bool FitsSpark(const PcaOptions& options);

// From the column `features` to `pca_features`, both MLlib's vectors, in float64; what features are
// divided by is a part of the components. `uid`: the model's name in Spark.
// REQUIRES: FitsSpark(pca.options()).
arrow::Result<SparkPca> PcaToSpark(const Pca& pca, std::string_view uid);

}  // namespace pomona
