// pomona._core.Extractor.
#pragma once

#include <memory>

#include "pomona/extractor.h"

namespace pomona::python {

// What Python holds and makes classes of: an Extractor itself is abstract.
struct BoundExtractor {
  std::unique_ptr<Extractor> made;
};

}  // namespace pomona::python
