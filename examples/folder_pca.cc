// Prints where each image of a folder lies on the first two principal components of their features.
#include <arrow/api.h>
#include <pomona/extractor.h>
#include <pomona/pca.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <vector>

arrow::Status Print(const std::filesystem::path& folder) {
  std::vector<std::string> paths;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(folder)) {
    if (entry.is_regular_file()) paths.push_back(entry.path());
  }
  std::ranges::sort(paths);
  std::vector<pomona::Image> images;
  for (const auto& path : paths) images.push_back({.content = {}, .path = path});

  const pomona::RunOptions options;  // the defaults of `pomona run`
  ARROW_ASSIGN_OR_RAISE(const auto weights, pomona::OpenWeights(options));
  ARROW_ASSIGN_OR_RAISE(const auto extractor, pomona::Extractor::Make(*weights, options));
  ARROW_ASSIGN_OR_RAISE(const auto table, extractor->Extract(images));

  // Files that are no image, or a bad one, are null here and have no values.
  const auto& features = dynamic_cast<const arrow::ListArray&>(*table->GetColumnByName("features"));
  const auto& values = dynamic_cast<const arrow::FloatArray&>(*features.values());
  const std::span rows(values.raw_values(), static_cast<size_t>(values.length()));
  pomona::Moments moments(extractor->features());
  moments.Add(rows);
  ARROW_ASSIGN_OR_RAISE(const auto pca, pomona::Pca::Fit(moments, {.components = 2}));
  std::vector<double> projected(2 * static_cast<size_t>(moments.count()));
  pca.Project(rows, projected);

  const double* point = projected.data();
  for (size_t i = 0; i < paths.size(); ++i) {
    if (features.IsNull(static_cast<int64_t>(i))) continue;
    std::printf("%.17g\t%.17g\t%s\n", point[0], point[1], paths[i].c_str());
    point += 2;
  }
  return arrow::Status::OK();
}

int main(int argc, char** argv) {
  const arrow::Status status =
      argc == 2 ? Print(argv[1]) : arrow::Status::Invalid("usage: folder_pca FOLDER");
  if (!status.ok()) std::fprintf(stderr, "%s\n", status.message().c_str());
  return status.ok() ? 0 : 1;
}
