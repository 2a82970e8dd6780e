// pomona._core.Extractor.
#pragma once

#include <nanobind/nanobind.h>

#include <memory>

#include "pomona/extractor.h"

namespace pomona::python {

// What Python holds and makes classes of: an Extractor itself is abstract.
struct BoundExtractor {
  std::unique_ptr<Extractor> made;
};

// What names weights: a path, their bytes, or None, for the default ones. The options get a path.
std::shared_ptr<const Weights> WeightsOf(nanobind::handle weights, RunOptions* options);

}  // namespace pomona::python
