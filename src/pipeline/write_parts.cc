#include "write_parts.h"

#include <arrow/array.h>
#include <arrow/builder.h>

#include <algorithm>
#include <functional>
#include <span>
#include <utility>

#include "item_tables.h"
#include "pomona/engine.h"
#include "pomona/sink.h"
#include "store/item_record.h"
#include "store/layout.h"

namespace pomona {

// The rows of one part, in order.
struct PartRows {
  std::vector<StoredFragment> fragments;
  std::vector<Item> items;              // that the rows were made of
  std::vector<ImageProperties> images;  // of these
  std::shared_ptr<arrow::StringArray> paths;
  std::shared_ptr<arrow::StringArray> labels;
};

namespace {

// Rows handed to a sink at once: bounds the memory of projections and of CSV text.
constexpr size_t kBlockRows = 512;

size_t FragmentsAPart(const RunOptions& options) {
  return static_cast<size_t>(options.part_rows / options.fragment_items);
}

arrow::Result<PartRows> OpenPart(const ExtractedRun& run, size_t part) {
  PartRows rows;
  arrow::StringBuilder paths, labels;
  const size_t begin = part * FragmentsAPart(run.options);
  const size_t end = std::min(run.fragments.size(), begin + FragmentsAPart(run.options));
  for (size_t f = begin; f < end; ++f) {
    ARROW_ASSIGN_OR_RAISE(StoredFragment stored, run.OpenFragment(f));
    ARROW_ASSIGN_OR_RAISE(std::vector<Item> items, run.items.Read(run.fragments[f].items));
    for (const int32_t row : stored.report().rows) {
      Item& item = items[static_cast<size_t>(row)];
      ARROW_RETURN_NOT_OK(paths.Append(item.path));
      ARROW_RETURN_NOT_OK(labels.Append(item.label()));
      rows.items.push_back(std::move(item));
    }
    const std::vector<ImageProperties>& images = stored.report().images;
    rows.images.insert(rows.images.end(), images.begin(), images.end());
    rows.fragments.push_back(std::move(stored));
  }
  ARROW_RETURN_NOT_OK(paths.Finish(&rows.paths));
  ARROW_RETURN_NOT_OK(labels.Finish(&rows.labels));
  return rows;
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

// Hands the features of a part to `use`, block by block, in order.
arrow::Status ForEachBlock(const PartRows& rows, int dimensions,
                           const std::function<arrow::Status(std::span<const float>)>& use) {
  const size_t block = kBlockRows * static_cast<size_t>(dimensions);
  for (const StoredFragment& stored : rows.fragments) {
    const std::span<const float> features = stored.features();
    for (size_t at = 0; at < features.size(); at += block) {
      ARROW_RETURN_NOT_OK(use(features.subspan(at, std::min(block, features.size() - at))));
      stored.Forget(at);
    }
  }
  return arrow::Status::OK();
}

arrow::Result<std::unique_ptr<VectorSink>> MakeSink(const ExtractedRun& run, const PartRows& rows,
                                                    const VectorFormat& format,
                                                    const OutputFolder& folder, size_t part,
                                                    const VectorTable& table) {
  ARROW_ASSIGN_OR_RAISE(auto stream, run.work.CreatePart(folder, part, format.name));
  return format.make_sink(std::move(stream), table, rows.paths, rows.labels);
}

arrow::Status WriteFeatures(const ExtractedRun& run, const PartRows& rows,
                            const VectorFormat& format, size_t part,
                            std::atomic<int64_t>* rows_done) {
  const VectorLayout layout =
      run.options.vectors == VectorLayout::kList ? VectorLayout::kList : VectorLayout::kFixed;
  const VectorTable table{"features", run.dimensions, layout, run.provenance};
  ARROW_ASSIGN_OR_RAISE(auto sink, MakeSink(run, rows, format, *format.features, part, table));
  const auto write = [&](std::span<const float> block) -> arrow::Status {
    *rows_done += std::ssize(block) / run.dimensions;
    return sink->Append(*VectorArray(block, run.dimensions));
  };
  ARROW_RETURN_NOT_OK(ForEachBlock(rows, run.dimensions, write));
  return sink->Finish();
}

// Metadata, and the record of the items.
arrow::Status WriteItems(const ExtractedRun& run, const PartRows& rows, size_t part,
                         int64_t first_row) {
  ARROW_RETURN_NOT_OK(WriteMetadata(run, rows.items, rows.images, part, first_row));
  ItemRecordBuilder record;
  size_t row = 0;
  const auto dimensions = static_cast<size_t>(run.dimensions);
  const auto add = [&](std::span<const float> block) {
    for (size_t at = 0; at < block.size(); at += dimensions) {
      record.Add(rows.items[row], rows.images[row], block.subspan(at, dimensions));
      ++row;
    }
    return arrow::Status::OK();
  };
  ARROW_RETURN_NOT_OK(ForEachBlock(rows, run.dimensions, add));
  ARROW_ASSIGN_OR_RAISE(const std::string path, run.work.ItemRecordPath(part));
  ARROW_RETURN_NOT_OK(record.Write(path, run.recipe));
  return run.work.RecordChecksum(path);
}

}  // namespace

size_t PartCount(const RunOptions& options, size_t fragments) {
  const size_t fragments_a_part = FragmentsAPart(options);
  return (fragments + fragments_a_part - 1) / fragments_a_part;
}

std::vector<int64_t> FirstRows(const RunOptions& options, std::span<const int64_t> fragment_rows) {
  std::vector<int64_t> first_rows;
  int64_t rows = 0;
  for (size_t f = 0; f < fragment_rows.size(); ++f) {
    if (f % FragmentsAPart(options) == 0) first_rows.push_back(rows);
    rows += fragment_rows[f];
  }
  return first_rows;
}

ExtractedRun ExtractedRunOf(const Plan& plan, const ItemSpool& items, WorkFolder& work) {
  return {plan.fragments,
          items,
          work,
          plan.options,
          plan.dimensions,
          {{"pomona.weights_digest", plan.weights_digest},
           {"pomona.preprocessing", plan.preprocessing},
           {"pomona.engine", plan.engine}},
          plan.recipe};
}

size_t ExtractedRun::parts() const { return PartCount(options, fragments.size()); }

arrow::Result<StoredFragment> ExtractedRun::OpenFragment(size_t fragment) const {
  const FragmentRange& range = fragments[fragment].range;
  const std::string path = work.FragmentPath(fragments[fragment]);
  ARROW_RETURN_NOT_OK(work.Fetch(path).status());
  return StoredFragment::Open(path, range);
}

FeatureWriter::FeatureWriter(const ExtractedRun& run, std::span<const int64_t> first_rows,
                             std::atomic<int64_t>* rows_done)
    : run_(run),
      first_rows_(first_rows),
      rows_done_(rows_done),
      formats_(SelectedFormats(run.options.formats)),
      parts_(run.parts()) {
  for (Part& part : parts_) part.to_come = files();
}

FeatureWriter::~FeatureWriter() = default;

arrow::Result<std::shared_ptr<const PartRows>> FeatureWriter::RowsOf(size_t part) {
  Part& shared = parts_[part];
  const std::lock_guard lock(shared.mutex);
  if (!shared.rows) {
    ARROW_ASSIGN_OR_RAISE(PartRows rows, OpenPart(run_, part));
    shared.rows = std::make_shared<const PartRows>(std::move(rows));
  }
  return --shared.to_come == 0 ? std::exchange(shared.rows, nullptr) : shared.rows;
}

arrow::Status FeatureWriter::Write(size_t task) {
  const size_t part = task / files(), file = task % files();
  ARROW_ASSIGN_OR_RAISE(const auto rows, RowsOf(part));
  if (file == formats_.size()) return WriteItems(run_, *rows, part, first_rows_[part]);
  // The last first: text takes the longest to write.
  return WriteFeatures(run_, *rows, **(formats_.rbegin() + file), part, rows_done_);
}

arrow::Status WriteProjections(const ExtractedRun& run, const Pca& pca, size_t part,
                               std::atomic<int64_t>* rows_done) {
  const VectorTable table{"pca_features", pca.components(), run.options.vectors, run.provenance};
  ARROW_ASSIGN_OR_RAISE(const PartRows rows, OpenPart(run, part));
  std::vector<std::unique_ptr<VectorSink>> sinks;
  for (const VectorFormat* format : SelectedFormats(run.options.formats)) {
    ARROW_ASSIGN_OR_RAISE(sinks.emplace_back(),
                          MakeSink(run, rows, *format, *format->pca, part, table));
  }
  std::vector<double> projected;
  const auto write = [&](std::span<const float> block) -> arrow::Status {
    const size_t count = block.size() / static_cast<size_t>(pca.dimensions());
    projected.resize(count * static_cast<size_t>(pca.components()));
    pca.Project(block, projected, run.options.cpu);
    const auto vectors = VectorArray<double>(projected, pca.components());
    for (auto& sink : sinks) ARROW_RETURN_NOT_OK(sink->Append(*vectors));
    *rows_done += static_cast<int64_t>(count * sinks.size());
    return arrow::Status::OK();
  };
  ARROW_RETURN_NOT_OK(ForEachBlock(rows, pca.dimensions(), write));
  for (auto& sink : sinks) ARROW_RETURN_NOT_OK(sink->Finish());
  return arrow::Status::OK();
}

}  // namespace pomona
