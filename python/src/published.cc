// The runs of an output, read and removed.
#include "pomona/published_output.h"

#include <arrow/array.h>
#include <nanobind/stl/map.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/unique_ptr.h>
#include <nanobind/stl/vector.h>

#include <memory>
#include <string>
#include <utility>

#include "arrow_bridge.h"
#include "bind.h"
#include "errors.h"
#include "options.h"
#include "path.h"

namespace nb = nanobind;

namespace pomona::python {
namespace {

// What a call without the GIL gives.
template <typename Function>
auto Released(Function function) {
  auto result = [&] {
    const nb::gil_scoped_release release;
    return function();
  }();
  return ValueOf(std::move(result));
}

}  // namespace

void BindPublished(nb::module_& module) {
  nb::class_<PublishedRun>(module, "PublishedRun", "What the files and run_info of a run tell.")
      .def_ro("run_id", &PublishedRun::run_id)
      .def_ro("published_ns", &PublishedRun::published_ns, "Since 1970.")
      .def_ro("files", &PublishedRun::files)
      .def_ro("bytes", &PublishedRun::bytes)
      .def_ro("info", &PublishedRun::info, "run_info, JSON.")
      .def_ro("problem", &PublishedRun::problem,
              "Why the counts are not known; empty where they are.")
      .def_ro("rows", &PublishedRun::rows)
      .def_ro("rejects", &PublishedRun::rejects)
      .def_ro("seconds", &PublishedRun::seconds)
      .def_prop_ro("size", [](const PublishedRun& self) { return BytesText(self.bytes); });

  nb::class_<RunContents>(module, "RunContents", "The same and what its tables show.")
      .def_ro("run", &RunContents::run)
      .def_ro("variance", &RunContents::variance, "Share of the total, by component.")
      .def_ro("rows_by_label", &RunContents::rows_by_label)
      .def("__str__", [](const RunContents& self) { return Describe(self); });

  nb::class_<PublishedOutput>(module, "PublishedOutput", "An output that is read.")
      .def(nb::new_([](const Path& output, const nb::dict& s3) {
             const S3Options options = OptionsOf(s3).s3;
             return Released([&] { return PublishedOutput::Open(output, options); });
           }),
           nb::arg("output"), nb::arg("s3"))
      .def_prop_ro("location", [](const PublishedOutput& self) { return Path(self.location()); })
      .def("runs",
           [](const PublishedOutput& self) { return Released([&] { return self.Runs(); }); })
      .def(
          "run",
          [](const PublishedOutput& self, const std::string& run_id) {
            return Released([&] { return self.Run(run_id); });
          },
          nb::arg("run_id"))
      .def(
          "contents",
          [](const PublishedOutput& self, const std::string& run_id) {
            return Released([&] { return self.Contents(run_id); });
          },
          nb::arg("run_id"))
      .def(
          "parts",
          [](const PublishedOutput& self, const std::string& run_id, const std::string& kind,
             const std::string& name) {
            return Released([&] { return self.Parts(run_id, kind, name); });
          },
          nb::arg("run_id"), nb::arg("kind"), nb::arg("name"))
      .def(
          "read",
          [](const PublishedOutput& self, const std::string& below) {
            auto bytes = Released([&] { return self.Read(below); });
            const int64_t size = bytes->size();
            return ExportArray(std::make_shared<arrow::UInt8Array>(size, std::move(bytes)));
          },
          nb::arg("below"), "The bytes of a file, as an Arrow array.");

  module.def(
      "describe_runs",
      [](const std::vector<PublishedRun>& runs) {
        return Describe(std::span<const PublishedRun>(runs));
      },
      nb::arg("runs"));
  module.def(
      "delete_run",
      [](const Path& output, const std::string& run_id, const nb::dict& s3) {
        const S3Options options = OptionsOf(s3).s3;
        arrow::Status status;
        {
          const nb::gil_scoped_release release;
          status = DeleteRun(output, run_id, options);
        }
        ThrowIfFailed(status);
      },
      nb::arg("output"), nb::arg("run_id"), nb::arg("s3"));
}

}  // namespace pomona::python
