// The formats of the features and of the PCA.
#pragma once

#include <string_view>
#include <vector>

#include "pomona/options.h"
#include "pomona/sink.h"
#include "store/layout.h"

namespace pomona {

struct VectorFormat {
  std::string_view name;  // as --formats and file names have it
  bool Formats::* selected;
  const OutputFolder* features;
  const OutputFolder* pca;
  decltype(&MakeCsvSink) make_sink;
  int bytes_per_number;  // that a number takes in a file, about
};

inline constexpr VectorFormat kVectorFormats[] = {
    {"parquet", &Formats::parquet, &kFeaturesParquet, &kPcaParquet, &MakeParquetSink, 4},
    {"csv", &Formats::csv, &kFeaturesCsv, &kPcaCsv, &MakeCsvSink, 9},
};

inline std::vector<const VectorFormat*> SelectedFormats(const Formats& formats) {
  std::vector<const VectorFormat*> selected;
  for (const VectorFormat& format : kVectorFormats) {
    if (formats.*format.selected) selected.push_back(&format);
  }
  return selected;
}

}  // namespace pomona
