// Paths, and text that may have them in it, between Python and the library.
#pragma once

#include <nanobind/nanobind.h>

#include <string>
#include <utility>

namespace pomona::python {

// Its bytes are those of os.fsencode(): to Python, names that are no UTF-8 have surrogates in them.
struct Path : std::string {
  Path() = default;
  explicit Path(std::string bytes) : std::string(std::move(bytes)) {}

  // Of str, bytes or os.PathLike. Errors: TypeError for another object.
  static Path Of(nanobind::handle object) {
    PyObject* bytes = nullptr;
    if (!PyUnicode_FSConverter(object.ptr(), &bytes)) throw nanobind::python_error();
    const auto owned = nanobind::steal<nanobind::bytes>(bytes);
    return Path({owned.c_str(), owned.size()});
  }
};

}  // namespace pomona::python

template <>
struct nanobind::detail::type_caster<pomona::python::Path> {
  NB_TYPE_CASTER(pomona::python::Path, const_name("str"))

  bool from_python(handle object, uint8_t, cleanup_list*) noexcept {
    try {
      value = pomona::python::Path::Of(object);
      return true;
    } catch (const python_error&) {
      return false;
    }
  }

  static handle from_cpp(const pomona::python::Path& path, rv_policy, cleanup_list*) noexcept {
    return PyUnicode_DecodeFSDefaultAndSize(path.data(), static_cast<Py_ssize_t>(path.size()));
  }
};
