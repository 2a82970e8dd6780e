// A fragment: a fixed run of consecutive items, and what became of them, in one file.
#pragma once

#include <arrow/result.h>

#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "image_properties.h"
#include "pomona/item.h"
#include "pomona/pca.h"
#include "pomona/safetensors.h"

namespace pomona {

// The items begin..end (of the run's selected items) of one fragment.
struct FragmentRange {
  size_t begin = 0;
  size_t end = 0;
  // Digest of all that its result depends on: the items' paths below the root, sizes, times and
  // states, the weights, the engine, the preprocessing. A stored fragment with this key need not be
  // made again, wherever the tree was.
  std::string key;

  size_t size() const { return end - begin; }
};

// The range of the items that begin at `begin`. `recipe` names everything beside them that their
// results depend on.
FragmentRange RangeOf(std::span<const Item> items, size_t begin, const std::string& recipe);

struct FragmentReject {
  int32_t item;  // position in the fragment
  Reject reject;
};

// What became of a fragment's items. Items in neither `rows`, `rejects` nor `skips` do not exist.
struct FragmentReport {
  std::vector<int32_t> rows;  // positions in the fragment of the images with features, ascending
  std::vector<FragmentReject> rejects;   // ascending
  std::map<std::string, int64_t> skips;  // number by reason
  std::vector<ImageProperties> images;   // of the rows, in their order

  int64_t skip_count() const;
};

// features: report.rows.size() x moments.dimensions().
arrow::Status WriteFragment(const std::string& path, const FragmentRange& range,
                            const FragmentReport& report, std::span<const float> features,
                            const Moments& moments);

// The same for a fragment that is not finished: nothing is said of the items in neither
// report.rows nor report.rejects.
// features: report.rows.size() x dimensions.
arrow::Status WritePartialFragment(const std::string& path, const FragmentRange& range,
                                   const FragmentReport& report, std::span<const float> features,
                                   int dimensions);

// Where the finished items of the fragment that belongs at `fragment_path` are until all are.
std::string PartialPath(const std::string& fragment_path);

// A fragment can be made in so many slices, each by another process: the results of its items
// SliceBegin(size, s)..SliceBegin(size, s + 1) are in the partial fragment SlicePath(path, s), with
// its skips, until all are put together.
inline constexpr int kSlices = 8;
inline size_t SliceBegin(size_t size, int slice) { return size * slice / kSlices; }
std::string SlicePath(const std::string& fragment_path, int slice);

// A fragment read back; its features are mapped, not loaded.
class StoredFragment {
 public:
  // Errors: Invalid where the file does not hold the fragment that `range` asks for.
  static arrow::Result<StoredFragment> Open(const std::string& path, const FragmentRange& range);
  static arrow::Result<StoredFragment> OpenPartial(const std::string& path,
                                                   const FragmentRange& range);

  // Reads everything. Errors: Invalid where it differs from what was written.
  arrow::Status Verify() const;

  const FragmentReport& report() const { return report_; }
  std::span<const float> features() const { return features_; }

  // Gives the memory back under the first `count` features, which were read; they can be read
  // again.
  void Forget(size_t count) const;
  arrow::Result<Moments> ReadMoments() const;

 private:
  static arrow::Result<StoredFragment> OpenAny(const std::string& path, const FragmentRange& range,
                                               bool partial);

  std::shared_ptr<const SafetensorsFile> file_;
  FragmentReport report_;
  std::span<const float> features_;
};

}  // namespace pomona
