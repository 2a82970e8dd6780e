// The features that the original pipeline computed with Keras on its cluster.
#pragma once

#include <arrow/api.h>
#include <arrow/io/file.h>
#include <parquet/arrow/reader.h>

#include <filesystem>
#include <map>
#include <string>
#include <vector>

namespace pomona {

// File name -> features, of a Parquet file with the columns path and features.
inline std::map<std::string, std::vector<float>> ReadReferenceFeatures(const std::string& path) {
  const auto file = arrow::io::ReadableFile::Open(path).ValueOrDie();
  const auto reader = parquet::arrow::OpenFile(file, arrow::default_memory_pool()).ValueOrDie();
  const auto table = reader->ReadTable().ValueOrDie()->CombineChunks().ValueOrDie();
  const auto& paths =
      static_cast<const arrow::StringArray&>(*table->GetColumnByName("path")->chunk(0));
  const auto& lists =
      static_cast<const arrow::ListArray&>(*table->GetColumnByName("features")->chunk(0));
  const auto& values = static_cast<const arrow::FloatArray&>(*lists.values());
  std::map<std::string, std::vector<float>> rows;
  for (int64_t i = 0; i < table->num_rows(); ++i) {
    const float* row = values.raw_values() + lists.value_offset(i);
    rows[std::filesystem::path(paths.GetString(i)).filename()] = {row, row + lists.value_length(i)};
  }
  return rows;
}

}  // namespace pomona
