// pomona.PCA.
#pragma once

#include <nanobind/nanobind.h>

#include <optional>
#include <utility>

#include "pomona/pca.h"

namespace pomona::python {

// What Python sees: not fitted at first.
struct PcaModel {
  PcaOptions options;
  std::optional<Pca> fitted;

  const Pca& get() const {
    if (!fitted) {
      PyErr_SetString(PyExc_AttributeError, "this PCA is not fitted yet; call fit() or load()");
      throw nanobind::python_error();
    }
    return *fitted;
  }

  static PcaModel Of(Pca pca) { return {pca.options(), std::move(pca)}; }
};

}  // namespace pomona::python
