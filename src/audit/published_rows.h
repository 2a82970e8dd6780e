// The rows of a published run, as an audit needs them all at once.
#pragma once

#include <arrow/result.h>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "pomona/cancel.h"
#include "pomona/cpu.h"
#include "pomona/pca.h"
#include "row_file.h"
#include "short_vectors.h"
#include "store/checksums.h"
#include "store/image_properties.h"
#include "store/published_files.h"

namespace pomona::audit {

// Texts one behind another.
class Texts {
 public:
  void Add(std::string_view text) {
    all_ += text;
    ends_.push_back(all_.size());
  }
  void Add(const Texts& others) {
    for (const size_t end : others.ends_) ends_.push_back(all_.size() + end);
    all_ += others.all_;
  }
  std::string_view operator[](size_t i) const {
    const size_t begin = i == 0 ? 0 : ends_[i - 1];
    return std::string_view(all_).substr(begin, ends_[i] - begin);
  }

 private:
  std::string all_;
  std::vector<size_t> ends_;
};

// By row, in the order of their paths.
struct PublishedRows {
  size_t size() const { return norms.size(); }
  std::string_view relative_path(size_t row) const { return paths[row].substr(roots[row]); }
  const std::string& label(size_t row) const { return label_names[labels[row]]; }
  std::vector<int64_t> LabelSizes() const;  // images of each

  Texts paths;
  std::vector<uint32_t> roots;           // bytes of the path above the tree
  std::vector<ImageProperties> images;   // what their files hold
  std::vector<uint32_t> labels;          // places in
  std::vector<std::string> label_names;  // in the order of their first rows
  std::vector<double> norms;             // squared lengths of the features
  std::vector<float> short_vectors;      // x dimensions
  size_t dimensions = 0;                 // of a short vector
  std::vector<double> residual;          // what of a row lies outside the PCA's space
  std::vector<double> mahalanobis;       // and how far from its mean it lies inside
};

// The checksums of a run that has what an audit reads. Errors: Invalid, with the cure; IOError.
arrow::Result<Checksums> ReadRecorded(const PublishedFiles& files, const std::string& run_id);

// The PCA that was published with a run. Errors: Invalid where it is not as it was published; IOError.
arrow::Result<Pca> ReadPublishedPca(const PublishedFiles& files, const Checksums& checksums,
                                    const std::string& run_id);

// Reads them, and stores the features in `features`. `poll`: hears on the calling thread how many rows
// of how many were read. Errors: Invalid where files are not as they were
// published; Cancelled; IOError.
arrow::Result<PublishedRows> ReadPublishedRows(const PublishedFiles& files,
                                               const Checksums& checksums,
                                               const std::string& run_id, const Pca& pca,
                                               const RowFile& features, int threads, Cpu cpu,
                                               CancelToken cancel,
                                               const std::function<void(int64_t, int64_t)>& poll);

}  // namespace pomona::audit
