#include "parts.h"

#include <arrow/array.h>
#include <arrow/builder.h>

#include <algorithm>
#include <functional>

#include "pomona/sink.h"
#include "store/layout.h"
#include "store/reuse.h"

namespace pomona {
namespace {

// Rows handed to a sink at once: bounds the memory of projections and of CSV text.
constexpr size_t kBlockRows = 512;

// The items that the rows of a part were made of.
arrow::Result<std::vector<const Item*>> ItemsOf(const RunContent& content, size_t part) {
  std::vector<const Item*> items;
  const FragmentRange range = content.Part(part);
  for (size_t f = range.begin; f < range.end; ++f) {
    ARROW_ASSIGN_OR_RAISE(const StoredFragment stored, content.Fragment(f));
    for (const int32_t row : stored.report().rows) {
      items.push_back(&content.items[content.fragments[f].begin + row]);
    }
  }
  return items;
}

struct Labels {
  std::shared_ptr<arrow::StringArray> paths;
  std::shared_ptr<arrow::StringArray> labels;
};

arrow::Result<Labels> LabelsOf(const RunContent& content, size_t part) {
  ARROW_ASSIGN_OR_RAISE(const auto items, ItemsOf(content, part));
  arrow::StringBuilder paths, labels;
  for (const Item* item : items) {
    ARROW_RETURN_NOT_OK(paths.Append(item->path));
    ARROW_RETURN_NOT_OK(labels.Append(item->label()));
  }
  Labels result;
  ARROW_RETURN_NOT_OK(paths.Finish(&result.paths));
  ARROW_RETURN_NOT_OK(labels.Finish(&result.labels));
  return result;
}

// Wraps n x dimensions values, which must outlive the array.
template <typename T>
std::shared_ptr<arrow::FixedSizeListArray> VectorArray(std::span<const T> values, int dimensions) {
  using ArrowType = typename arrow::CTypeTraits<T>::ArrowType;
  const int64_t count = static_cast<int64_t>(values.size());
  auto flat = std::make_shared<arrow::NumericArray<ArrowType>>(
      count, std::make_shared<arrow::Buffer>(reinterpret_cast<const uint8_t*>(values.data()),
                                             count * static_cast<int64_t>(sizeof(T))));
  return std::make_shared<arrow::FixedSizeListArray>(
      arrow::fixed_size_list(flat->type(), dimensions), count / dimensions, flat);
}

// Hands the stored rows of a part to `use`, block by block, in order.
arrow::Status ForEachBlock(const RunContent& content, size_t part, int dimensions,
                           const std::function<arrow::Status(std::span<const float>)>& use) {
  const FragmentRange range = content.Part(part);
  for (size_t f = range.begin; f < range.end; ++f) {
    ARROW_ASSIGN_OR_RAISE(const StoredFragment stored, content.Fragment(f));
    const std::span<const float> features = stored.features();
    const size_t block = kBlockRows * dimensions;
    for (size_t at = 0; at < features.size(); at += block) {
      ARROW_RETURN_NOT_OK(use(features.subspan(at, std::min(block, features.size() - at))));
      stored.Forget(at);
    }
  }
  return arrow::Status::OK();
}

using MakeSink = decltype(&MakeCsvSink);

arrow::Result<std::unique_ptr<VectorSink>> OpenPart(const RunContent& content,
                                                    const OutputFolder& folder, size_t part,
                                                    std::string_view extension, MakeSink make,
                                                    const VectorTable& table) {
  ARROW_ASSIGN_OR_RAISE(auto stream, content.workspace.CreatePart(folder, part, extension));
  ARROW_ASSIGN_OR_RAISE(Labels labels, LabelsOf(content, part));
  return make(std::move(stream), table, std::move(labels.paths), std::move(labels.labels));
}

arrow::Status WriteFeaturesPart(const RunContent& content, const OutputFolder& folder, size_t part,
                                std::string_view extension, MakeSink make, int dimensions,
                                std::atomic<int64_t>* rows_done) {
  const VectorTable table{"features", dimensions, VectorLayout::kList, content.provenance};
  ARROW_ASSIGN_OR_RAISE(auto sink, OpenPart(content, folder, part, extension, make, table));
  ARROW_RETURN_NOT_OK(
      ForEachBlock(content, part, dimensions, [&](std::span<const float> rows) -> arrow::Status {
        *rows_done += static_cast<int64_t>(rows.size()) / dimensions;
        return sink->Append(*VectorArray(rows, dimensions));
      }));
  return sink->Finish();
}

arrow::Status WritePcaPart(const RunContent& content, const Pca& pca, size_t part,
                           std::atomic<int64_t>* rows_done) {
  const VectorTable table{"pca_features", pca.components(), content.options.vectors,
                          content.provenance};
  std::vector<std::unique_ptr<VectorSink>> sinks;
  if (content.options.formats.parquet) {
    ARROW_ASSIGN_OR_RAISE(sinks.emplace_back(),
                          OpenPart(content, kPcaParquet, part, "parquet", MakeParquetSink, table));
  }
  if (content.options.formats.csv) {
    ARROW_ASSIGN_OR_RAISE(sinks.emplace_back(),
                          OpenPart(content, kPcaCsv, part, "csv", MakeCsvSink, table));
  }
  std::vector<double> projected;
  ARROW_RETURN_NOT_OK(ForEachBlock(
      content, part, pca.dimensions(), [&](std::span<const float> rows) -> arrow::Status {
        const size_t count = rows.size() / pca.dimensions();
        projected.resize(count * pca.components());
        pca.Project(rows, projected, content.options.cpu);
        const auto vectors = VectorArray<double>(projected, pca.components());
        for (auto& sink : sinks) ARROW_RETURN_NOT_OK(sink->Append(*vectors));
        *rows_done += static_cast<int64_t>(count * sinks.size());
        return arrow::Status::OK();
      }));
  for (auto& sink : sinks) ARROW_RETURN_NOT_OK(sink->Finish());
  return arrow::Status::OK();
}

arrow::Status WriteMetadataPart(const RunContent& content, size_t part, int dimensions) {
  ARROW_ASSIGN_OR_RAISE(const auto items, ItemsOf(content, part));
  CsvBuilder csv;
  csv.Field("path").Field("label").EndRow();
  for (const Item* item : items) csv.Field(item->path).Field(item->label()).EndRow();
  ARROW_RETURN_NOT_OK(content.workspace.WritePart(kMetadata, part, "csv", csv.text()));

  std::vector<int64_t> checksums;
  ARROW_RETURN_NOT_OK(
      ForEachBlock(content, part, dimensions, [&](std::span<const float> rows) -> arrow::Status {
        for (size_t at = 0; at < rows.size(); at += static_cast<size_t>(dimensions)) {
          checksums.push_back(RowChecksum(items[checksums.size()]->path,
                                          rows.subspan(at, static_cast<size_t>(dimensions))));
        }
        return arrow::Status::OK();
      }));
  ARROW_ASSIGN_OR_RAISE(const std::string record, content.workspace.ItemRecordPath(part));
  ARROW_RETURN_NOT_OK(WriteItemRecord(record, content.recipe, items, checksums));
  return content.workspace.NotePart(record);
}

}  // namespace

size_t RunContent::parts() const {
  const size_t fragments_a_part = options.part_rows / options.fragment_items;
  return (fragments.size() + fragments_a_part - 1) / fragments_a_part;
}

FragmentRange RunContent::Part(size_t part) const {
  const size_t fragments_a_part = options.part_rows / options.fragment_items;
  return {part * fragments_a_part, std::min(fragments.size(), (part + 1) * fragments_a_part), {}};
}

arrow::Result<StoredFragment> RunContent::Fragment(size_t fragment) const {
  const FragmentRange& range = fragments[fragment];
  return StoredFragment::Open(workspace.FragmentPath(fragment, range.key), range);
}

std::vector<Task> FeatureTasks(const RunContent& content, int dimensions,
                               std::atomic<int64_t>* rows_done) {
  std::vector<Task> tasks;
  for (size_t part = 0; part < content.parts(); ++part) {
    if (content.options.formats.csv) {
      tasks.push_back([&content, dimensions, rows_done, part] {
        return WriteFeaturesPart(content, kFeaturesCsv, part, "csv", MakeCsvSink, dimensions,
                                 rows_done);
      });
    }
    if (content.options.formats.parquet) {
      tasks.push_back([&content, dimensions, rows_done, part] {
        return WriteFeaturesPart(content, kFeaturesParquet, part, "parquet", MakeParquetSink,
                                 dimensions, rows_done);
      });
    }
    tasks.push_back(
        [&content, dimensions, part] { return WriteMetadataPart(content, part, dimensions); });
  }
  return tasks;
}

std::vector<Task> PcaTasks(const RunContent& content, const Pca& pca,
                           std::atomic<int64_t>* rows_done) {
  std::vector<Task> tasks;
  for (size_t part = 0; part < content.parts(); ++part) {
    tasks.push_back(
        [&content, &pca, rows_done, part] { return WritePcaPart(content, pca, part, rows_done); });
  }
  return tasks;
}

arrow::Status WriteErrors(const RunContent& content, arrow::io::OutputStream* out) {
  CsvBuilder csv;
  csv.Field("path").Field("label").Field("stage").Field("reason").Field("message").EndRow();
  for (size_t f = 0; f < content.fragments.size(); ++f) {
    ARROW_ASSIGN_OR_RAISE(const StoredFragment stored, content.Fragment(f));
    for (const FragmentReject& rejected : stored.report().rejects) {
      const Item& item = content.items[content.fragments[f].begin + rejected.item];
      csv.Field(item.path)
          .Field(item.label())
          .Field(StageName(rejected.reject.stage))
          .Field(ReasonName(rejected.reject.reason))
          .Field(rejected.reject.message)
          .EndRow();
    }
    ARROW_RETURN_NOT_OK(out->Write(csv.text()));
    csv.clear();
  }
  return out->Close();
}

}  // namespace pomona
