// Images -> features for callers who bring the images themselves: Python and Spark.
#pragma once

#include <arrow/record_batch.h>
#include <arrow/result.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>

#include "pomona/device.h"
#include "pomona/options.h"
#include "pomona/run.h"
#include "pomona/weights.h"

namespace pomona {

// The pixels of a decoded image.
struct Pixels {
  int width = 0;
  int height = 0;
  std::span<const uint8_t> rgb;  // height x width x 3, row-major, no padding
};

// One image to extract features from. Refers to the caller's memory.
struct Image {
  // The bytes of a file, or pixels; nothing: the local file at `path` is read.
  std::variant<std::monostate, std::span<const uint8_t>, Pixels> content;

  // The file's path, by which outputs know the image (see EscapeName()) and the label is found. May
  // be empty where the content is given; path and label are null then.
  std::string_view path;
};

// Carries batches of images from bytes to features on threads of its own.
//
// Threads: one caller at a time; others wait. A forked child works with threads of its own,
// whatever the parent was doing.
class Extractor {
 public:
  // Takes engine, cpu and threads from the options.
  // Errors: the engines'.
  static arrow::Result<std::unique_ptr<Extractor>> Make(const Weights& weights,
                                                        const RunOptions& options);

  // The same of features that can be compared with others, made with `origin`: pictures are decoded
  // as they were for these, whatever the options say.
  // Errors: also Invalid, with the cure, where the weights are others.
  static arrow::Result<std::unique_ptr<Extractor>> MakeFor(const FeatureOrigin& origin,
                                                           const Weights& weights,
                                                           const RunOptions& options);

  virtual ~Extractor() = default;

  virtual int features() const = 0;
  virtual const ModelIdentity& model() const = 0;
  virtual std::string_view engine() const = 0;
  virtual std::optional<DeviceUse> device_use() const = 0;  // see Engine
  virtual std::string preprocessing() const = 0;            // as outputs record it

  // A row for each image, in order, of the columns
  //   path, label: string              null where the image has no path
  //   verdict: string                  "ok", "reject" or "skip" (no image, by name and bytes)
  //   features: list<element: float>   null unless ok
  //   stage, reason, message: string   null unless rejected; a skip has its reason only
  // Errors: only what concerns no single image: Cancelled by the hooks, out of memory, IOError
  // where the storage fails, UnknownError where the hooks call it again.
  virtual arrow::Result<std::shared_ptr<arrow::RecordBatch>> Extract(
      std::span<const Image> images, const RunHooks& hooks = {}) = 0;
};

// The weights that the options name, or the default ones.
arrow::Result<std::shared_ptr<const Weights>> OpenWeights(const RunOptions& options);

// The columns of Extractor::Extract().
std::shared_ptr<arrow::Schema> ExtractorSchema();

}  // namespace pomona
