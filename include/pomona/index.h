// The features of a published run, to be searched for those that are nearest to others.
#pragma once

#include <arrow/result.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "pomona/audit.h"
#include "pomona/cpu.h"
#include "pomona/options.h"
#include "pomona/pca.h"

namespace pomona {

struct IndexOptions {
  std::string run_id;  // empty: the run published last
  int threads = 0;     // see ThreadCount()
  Cpu cpu = Cpu::kBest;
  S3Options s3;
};

// A published image, and how far it is from another one.
struct Neighbour {
  uint32_t row = 0;     // its place in the order of the published paths
  double distance = 0;  // 1 - cosine of their features, in float64

  bool operator==(const Neighbour&) const = default;
};

// Memory: some 700 bytes an image and its path; the features lie in a file of this machine without a
// name, 5 KiB an image, in the folder for temporary files ($TMPDIR). The run itself is not needed any
// more once it is open.
// Threads: safe to share.
class Index {
 public:
  // Reads a run, local or on S3. `hooks`: hear of the stage "read".
  // Errors: Invalid where there is no such run, or its files are not those that were published;
  // Cancelled; IOError.
  static arrow::Result<std::unique_ptr<Index>> Open(const std::string& output,
                                                    const IndexOptions& options,
                                                    const AuditHooks& hooks = {});
  virtual ~Index() = default;

  virtual const std::string& run_id() const = 0;
  virtual const FeatureOrigin& origin() const = 0;  // what the features were made with
  virtual int dimensions() const = 0;               // of a row of features
  virtual size_t size() const = 0;                  // images

  // REQUIRES of these: row < size().
  virtual std::string_view path(uint32_t row) const = 0;  // as published
  virtual std::string_view label(uint32_t row) const = 0;

  // The image of this path, as published; nothing where there is none.
  virtual std::optional<uint32_t> Find(std::string_view path) const = 0;

  // The images that are nearest to each query, that first, of equally near ones in the order of
  // their paths: what comparing each with each gives, query after query, min(count, size()) each. A
  // row of zeros is at a distance of 1 from all.
  // queries: n x dimensions(), finite, row-major. `hooks`: hear of the stage "search".
  // Errors: Invalid; Cancelled; IOError of the file.
  virtual arrow::Result<std::vector<Neighbour>> Search(std::span<const float> queries, int count,
                                                       const AuditHooks& hooks = {}) const = 0;

  // The same of a published image, which is none of them itself: min(count, size() - 1).
  virtual arrow::Result<std::vector<Neighbour>> SearchOthers(
      uint32_t row, int count, const AuditHooks& hooks = {}) const = 0;
};

}  // namespace pomona
