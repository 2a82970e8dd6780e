// arrow::Status -> Python exceptions, in one place.
#pragma once

#include <arrow/result.h>
#include <nanobind/nanobind.h>

#include <string>
#include <utility>

namespace pomona::python {

// A message with the names of options as Python writes them: pca_components for --pca-components.
std::string InPythonsWords(std::string message);

// Throws what Python should see of a failed status.
void ThrowIfFailed(const arrow::Status& status);

template <typename T>
T ValueOf(arrow::Result<T> result) {
  ThrowIfFailed(result.status());
  return *std::move(result);
}

void BindErrors(nanobind::module_& module);

}  // namespace pomona::python
