// Python objects -> Image -> Extractor -> pyarrow.Table.
#include "pomona/extractor.h"

#include <arrow/array.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/string_view.h>

#include <algorithm>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "arrow_bridge.h"
#include "bind.h"
#include "bound_extractor.h"
#include "errors.h"
#include "hooks.h"
#include "options.h"
#include "path.h"

namespace nb = nanobind;

namespace pomona::python {
namespace {

std::span<const uint8_t> Bytes(std::string_view text) {
  return {reinterpret_cast<const uint8_t*>(text.data()), text.size()};
}

// The images of one call, with everything that they refer to.
class Images {
 public:
  explicit Images(nb::handle images) {
    if (IsArrow(images)) {
      arrays_ = ImportArrow(images);
      for (const auto& array : arrays_) {
        ForEachBinary(*array, [&](std::string_view value, bool is_text) {
          if (is_text) {
            images_.push_back({{}, value});
          } else {
            images_.push_back({Bytes(value), {}});
          }
        });
      }
      return;
    }
    for (nb::handle image : images) Add(image);
  }

  void SetPaths(nb::handle paths) {
    size_t next = 0;
    const auto add = [&](std::string_view path) {
      if (next < images_.size()) images_[next].path = path;
      ++next;
    };
    if (IsArrow(paths)) {
      const auto arrays = ImportArrow(paths);
      for (const auto& array : arrays) {
        ForEachBinary(*array, [&](std::string_view path, bool) { add(path); });
      }
      arrays_.insert(arrays_.end(), arrays.begin(), arrays.end());
    } else if (!paths.is_none()) {
      for (nb::handle path : paths) add(Encode(path));
    } else {
      next = images_.size();
    }
    if (next != images_.size()) {
      throw nb::value_error(
          (std::to_string(next) + " paths for " + std::to_string(images_.size()) + " images")
              .c_str());
    }
  }

  std::span<const Image> images() const { return images_; }

 private:
  // The bytes of a path, kept alive.
  std::string_view Encode(nb::handle path) { return kept_paths_.emplace_back(Path::Of(path)); }

  void Add(nb::handle image) {
    if (nb::isinstance<nb::str>(image) || nb::hasattr(image, "__fspath__")) {
      images_.push_back({{}, Encode(image)});
      return;
    }
    if (nb::isinstance<nb::bytes>(image)) {
      const auto bytes = nb::borrow<nb::bytes>(image);
      kept_.push_back(bytes);
      images_.push_back({Bytes({bytes.c_str(), bytes.size()}), {}});
      return;
    }
    if (nb::isinstance<nb::bytearray>(image) || PyMemoryView_Check(image.ptr())) {
      const nb::bytes bytes(nb::borrow(image));  // a copy: a bytearray may be resized meanwhile
      kept_.push_back(bytes);
      images_.push_back({Bytes({bytes.c_str(), bytes.size()}), {}});
      return;
    }
    nb::ndarray<nb::ro> array;
    if (!nb::try_cast(image, array)) {
      throw nb::type_error(
          "images: each is a path, bytes, a Pillow image, or an array of height x width x 3");
    }
    if (array.dtype() != nb::dtype<uint8_t>() || array.ndim() != 3 || array.shape(2) != 3 ||
        array.size() == 0) {
      throw nb::type_error("images: pixels are arrays of height x width x 3 in uint8, RGB");
    }
    using PixelArray = nb::ndarray<const uint8_t, nb::ndim<3>, nb::c_contig, nb::device::cpu>;
    PixelArray& pixels = pixels_.emplace_back(nb::cast<PixelArray>(image));
    images_.push_back({Pixels{static_cast<int>(pixels.shape(1)),
                              static_cast<int>(pixels.shape(0)),
                              {pixels.data(), pixels.size()}},
                       {}});
  }

  std::vector<Image> images_;
  std::vector<std::shared_ptr<arrow::Array>> arrays_;
  std::vector<nb::object> kept_;
  std::deque<Path> kept_paths_;  // which stay where they are
  std::vector<nb::ndarray<const uint8_t, nb::ndim<3>, nb::c_contig, nb::device::cpu>> pixels_;
};

}  // namespace

std::shared_ptr<const Weights> WeightsOf(nb::handle weights, RunOptions* options) {
  if (nb::isinstance<nb::bytes>(weights)) {
    const auto bytes = nb::borrow<nb::bytes>(weights);
    return ValueOf(Weights::FromFile(ValueOf(
        SafetensorsFile::Copy("weights", std::as_bytes(std::span(bytes.c_str(), bytes.size()))))));
  }
  if (!weights.is_none()) {
    options->weights = Path::Of(weights);
  }
  return ValueOf(OpenWeights(*options));
}

void BindExtractor(nb::module_& module) {
  nb::class_<BoundExtractor>(module, "Extractor", "What pomona.Extractor is made of.")
      .def(
          "__init__",
          [](BoundExtractor* self, nb::handle weights, const nb::dict& given) {
            RunOptions options = OptionsOf(given);
            const auto opened = WeightsOf(weights, &options);
            new (self) BoundExtractor{ValueOf(Extractor::Make(*opened, options))};
          },
          nb::arg("weights").none(), nb::arg("options"))
      .def(
          "_extract",
          [](BoundExtractor& self, nb::handle images, nb::handle paths, nb::object progress) {
            Images input(images);
            input.SetPaths(paths);
            CallHooks hooks(std::move(progress));
            arrow::Result<std::shared_ptr<arrow::RecordBatch>> batch;
            {
              const nb::gil_scoped_release release;
              batch = self.made->Extract(input.images(), hooks.hooks());
            }
            hooks.Rethrow();
            return ExportTable(ValueOf(std::move(batch)));
          },
          nb::arg("images"), nb::arg("paths").none(), nb::arg("progress").none())
      .def_prop_ro(
          "n_features", [](const BoundExtractor& self) { return self.made->features(); },
          "Numbers in a feature vector.")
      .def_prop_ro(
          "engine", [](const BoundExtractor& self) { return self.made->engine(); },
          "Whose arithmetic it is: \"native\", on a GPU too, or \"openvino\".")
      .def_prop_ro(
          "device",
          [](const BoundExtractor& self) {
            const std::optional<DeviceUse> use = self.made->device_use();
            return use && use->trouble.empty() ? use->device : std::string("cpu");
          },
          "What computes now: \"cpu\", or a device's id and name, which no forked process has.")
      .def_prop_ro(
          "weights_digest", [](const BoundExtractor& self) { return self.made->model().digest; },
          "SHA-256 of the weights' tensors, in hex.")
      .def_prop_ro(
          "preprocessing", [](const BoundExtractor& self) { return self.made->preprocessing(); },
          "What is done to a picture before the network sees it, by the name in outputs.");
}

}  // namespace pomona::python
