// Moments and PCA.
#include <arrow/array.h>
#include <arrow/buffer_builder.h>
#include <arrow/builder.h>
#include <arrow/type.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/pair.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "arrow_bridge.h"
#include "bind.h"
#include "errors.h"
#include "path.h"
#include "pca_model.h"
#include "pomona/options.h"
#include "pomona/pca_forms.h"
#include "pomona/sink.h"

namespace nb = nanobind;

namespace pomona::python {
namespace {

using Matrix = nb::ndarray<nb::numpy, double, nb::ndim<2>>;
using Vector = nb::ndarray<nb::numpy, double, nb::ndim<1>>;

// Of properties that return an array with an owner of its own, rather than a view of the object.
constexpr auto kOwned = nb::rv_policy::automatic;

std::vector<double>* Copy(std::span<const double> values) {
  return new std::vector<double>(values.begin(), values.end());
}

nb::capsule Owner(std::vector<double>* values) {
  return nb::capsule(values, [](void* p) noexcept { delete static_cast<std::vector<double>*>(p); });
}

Vector ToNumpy(std::span<const double> values) {
  std::vector<double>* copy = Copy(values);
  return Vector(copy->data(), {copy->size()}, Owner(copy));
}

Matrix ToNumpy(std::span<const double> values, size_t rows, size_t columns) {
  std::vector<double>* copy = Copy(values);
  return Matrix(copy->data(), {rows, columns}, Owner(copy));
}

// Of arrays as Python hands them in: contiguous, on this machine.
using Numbers = nb::ndarray<const double, nb::c_contig, nb::device::cpu>;

std::vector<double> ToVector(const Numbers& numbers) {
  return {numbers.data(), numbers.data() + numbers.size()};
}

std::span<const std::byte> View(const nb::bytes& bytes) {
  return std::as_bytes(std::span(bytes.c_str(), bytes.size()));
}

nb::bytes ToBytes(const std::string& text) { return nb::bytes(text.data(), text.size()); }

arrow::Status CheckFinite(const Rows& rows) {
  size_t first = 0;
  for (const auto& block : rows.blocks()) {
    if (block.empty()) continue;  // without a dimension, perhaps
    ARROW_RETURN_NOT_OK(pomona::CheckFinite(block, rows.dimensions(), first));
    first += block.size() / rows.dimensions();
  }
  return arrow::Status::OK();
}

void AddRows(Moments* moments, const Rows& rows) {
  if (rows.count() > 0 && rows.dimensions() != moments->dimensions()) {
    throw nb::value_error(("rows of " + std::to_string(rows.dimensions()) + " numbers, not of " +
                           std::to_string(moments->dimensions()))
                              .c_str());
  }
  arrow::Status status;
  {
    const nb::gil_scoped_release release;
    status = CheckFinite(rows);
    if (status.ok()) {
      for (const auto& block : rows.blocks()) moments->Add(block);
    }
  }
  ThrowIfFailed(status);
}

// The library calls the number of components as the program's option; here it is a parameter.
arrow::Status InItsWords(const arrow::Status& status) {
  constexpr std::string_view kOption = "--pca-components";
  std::string message = status.message();
  const size_t at = message.find(kOption);
  if (at == std::string::npos) return status;
  return status.WithMessage(message.replace(at, kOption.size(), "n_components"));
}

void FitMoments(PcaModel& self, const Moments& moments) {
  arrow::Result<Pca> fitted;
  {
    const nb::gil_scoped_release release;
    fitted = Pca::Fit(moments, self.options, {}, ThreadCount(0));
  }
  ThrowIfFailed(InItsWords(fitted.status()));
  self.fitted = *std::move(fitted);
}

void FitRows(PcaModel& self, nb::handle data) {
  const Rows rows(data);
  Moments moments(rows.dimensions());
  AddRows(&moments, rows);
  FitMoments(self, moments);
}

nb::object Transform(const PcaModel& self, nb::handle data) {
  const Pca& pca = self.get();
  const Rows rows(data);
  if (rows.count() > 0 && rows.dimensions() != pca.dimensions()) {
    throw nb::value_error(("rows of " + std::to_string(rows.dimensions()) +
                           " numbers; this PCA was fitted on " + std::to_string(pca.dimensions()))
                              .c_str());
  }
  const size_t components = pca.components();
  if (rows.from_arrow() && rows.count() * components > INT32_MAX) {
    throw nb::value_error((std::to_string(rows.count()) + " rows at once: at most " +
                           std::to_string(INT32_MAX / components) +
                           " fit into one list array; transform them in pieces")
                              .c_str());
  }
  std::vector<double> out(rows.count() * components);
  arrow::Status finite;
  {
    const nb::gil_scoped_release release;
    finite = CheckFinite(rows);
    size_t done = 0;
    for (const auto& block : rows.blocks()) {
      if (!finite.ok()) break;
      const size_t count = block.size() / pca.dimensions();
      pca.Project(block, std::span(out).subspan(done * components, count * components));
      done += count;
    }
  }
  ThrowIfFailed(finite);
  if (!rows.from_arrow()) return nb::cast(ToNumpy(out, rows.count(), components));
  arrow::TypedBufferBuilder<int32_t> offsets;
  for (int64_t row = 0; row <= rows.count(); ++row) {
    ThrowIfFailed(offsets.Append(static_cast<int32_t>(row * components)));
  }
  const auto count = static_cast<int64_t>(out.size());
  const auto values =
      std::make_shared<arrow::DoubleArray>(count, arrow::Buffer::FromVector(std::move(out)));
  return ExportArray(
      std::make_shared<arrow::ListArray>(arrow::list(arrow::field("element", arrow::float64())),
                                         rows.count(), ValueOf(offsets.Finish()), values));
}

}  // namespace

void BindReduce(nb::module_& module) {
  nb::class_<Moments>(module, "Moments", "What pomona.Moments is made of.")
      .def(
          "__init__",
          [](Moments* self, int n_features) {
            if (n_features < 1) throw nb::value_error("n_features: at least 1 is expected");
            new (self) Moments(n_features);
          },
          nb::arg("n_features"))
      .def("_add", [](Moments& self, nb::handle rows) { AddRows(&self, Rows(rows)); })
      .def("_merge",
           [](Moments& self, const Moments& other) {
             if (self.dimensions() != other.dimensions()) {
               throw nb::value_error("moments of different numbers of features");
             }
             self.Merge(other);
           })
      .def_prop_ro("count", &Moments::count, "Rows seen.")
      .def_prop_ro("n_features", &Moments::dimensions)
      .def_prop_ro(
          "mean", [](const Moments& self) { return ToNumpy(self.mean()); }, kOwned, "[n_features]")
      .def(
          "to_bytes", [](const Moments& self) { return ToBytes(self.Serialize()); },
          "A safetensors file of all it holds.")
      .def("__getstate__", [](const Moments& self) { return ToBytes(self.Serialize()); })
      .def("__setstate__", [](Moments& self, const nb::bytes& bytes) {
        new (&self) Moments(ValueOf(Moments::Deserialize(View(bytes))));
      });

  nb::class_<PcaModel>(module, "PCA", "What pomona.PCA is made of.")
      .def(
          "__init__",
          [](PcaModel* self, int components, bool center, bool standardize) {
            new (self) PcaModel{{components, center, standardize}, {}};
          },
          nb::arg("n_components"), nb::kw_only(), nb::arg("center"), nb::arg("standardize"))
      .def("_fit",
           [](PcaModel& self, nb::handle data) {
             if (nb::isinstance<Moments>(data)) {
               FitMoments(self, nb::cast<const Moments&>(data));
             } else {
               FitRows(self, data);
             }
           })
      .def("_transform", &Transform)
      .def(
          "_save",
          [](const PcaModel& self, nb::handle path) {
            ThrowIfFailed(self.get().Save(Path::Of(path)));
          },
          nb::arg("path"))
      .def_static(
          "_load", [](nb::handle path) { return PcaModel::Of(ValueOf(Pca::Load(Path::Of(path)))); },
          nb::arg("path"))
      .def_static(
          "_of",
          [](const Numbers& components, const Numbers& mean, const Numbers& variance,
             double total_variance, int64_t rows, bool center) {
            PcaParts parts;
            parts.basis = ToVector(components);
            parts.mean = ToVector(mean);
            parts.variance = ToVector(variance);
            parts.total_variance = total_variance;
            parts.rows = rows;
            parts.center = center;
            return PcaModel::Of(ValueOf(Pca::FromParts(std::move(parts))));
          },
          nb::kw_only(), nb::arg("components"), nb::arg("mean"), nb::arg("variance"),
          nb::arg("total_variance"), nb::arg("rows"), nb::arg("center"),
          "Of one that was fitted elsewhere.")
      .def("_onnx", [](const PcaModel& self) { return ToBytes(PcaToOnnx(self.get())); })
      .def(
          "_spark",
          [](const PcaModel& self,
             const std::string& uid) -> std::optional<std::pair<nb::bytes, nb::bytes>> {
            if (!FitsSpark(self.get().options())) return std::nullopt;
            const SparkPca spark = ValueOf(PcaToSpark(self.get(), uid));
            return std::pair(ToBytes(spark.metadata), ToBytes(spark.data));
          },
          nb::arg("uid"), "The texts of Spark's metadata and data; None where it has no such PCA.")
      .def(
          "to_bytes", [](const PcaModel& self) { return ToBytes(self.get().Serialize()); },
          "What save() writes.")
      .def("__getstate__", [](const PcaModel& self) { return ToBytes(self.get().Serialize()); })
      .def("__setstate__",
           [](PcaModel& self, const nb::bytes& bytes) {
             new (&self) PcaModel(PcaModel::Of(ValueOf(Pca::Deserialize(View(bytes)))));
           })
      .def_prop_ro("n_components", [](const PcaModel& self) { return self.options.components; })
      .def_prop_ro("center", [](const PcaModel& self) { return self.options.center; })
      .def_prop_ro("standardize", [](const PcaModel& self) { return self.options.standardize; })
      .def_prop_ro("n_components_", [](const PcaModel& self) { return self.get().components(); })
      .def_prop_ro(
          "n_determined_", [](const PcaModel& self) { return self.get().determined(); },
          "How many of the components the rows determine; the others are arbitrary.")
      .def_prop_ro("n_features_in_", [](const PcaModel& self) { return self.get().dimensions(); })
      .def_prop_ro("n_samples_", [](const PcaModel& self) { return self.get().rows(); })
      .def_prop_ro("total_variance_",
                   [](const PcaModel& self) { return self.get().total_variance(); })
      .def_prop_ro(
          "mean_", [](const PcaModel& self) { return ToNumpy(self.get().mean()); }, kOwned)
      .def_prop_ro(
          "scale_",
          [](const PcaModel& self) -> std::optional<Vector> {
            if (self.get().scale().empty()) return std::nullopt;
            return ToNumpy(self.get().scale());
          },
          kOwned, "What features are divided by; None unless standardize.")
      .def_prop_ro(
          "components_",
          [](const PcaModel& self) {
            const Pca& pca = self.get();
            return ToNumpy(pca.basis(), pca.components(), pca.dimensions());
          },
          kOwned, "n_components x n_features")
      .def_prop_ro(
          "explained_variance_",
          [](const PcaModel& self) { return ToNumpy(self.get().variance()); }, kOwned)
      .def_prop_ro(
          "explained_variance_ratio_",
          [](const PcaModel& self) { return ToNumpy(self.get().ExplainedVarianceRatio()); },
          kOwned);

  module.def(
      "vector_text",
      [](nb::handle vectors) {
        const Rows rows(vectors);
        arrow::StringBuilder builder;
        std::string text;
        for (const auto& block : rows.blocks()) {
          for (size_t at = 0; at < block.size(); at += rows.dimensions()) {
            text.clear();
            AppendVectorText(block.subspan(at, rows.dimensions()), &text);
            ThrowIfFailed(builder.Append(text));
          }
        }
        return ExportArray(ValueOf(builder.Finish()));
      },
      nb::arg("vectors"), "The vectors' numbers as they stand in CSV.");
}

}  // namespace pomona::python
