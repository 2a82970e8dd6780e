#include "item_tables.h"

#include <arrow/record_batch.h>
#include <arrow/type.h>

#include <vector>

#include "hex.h"
#include "pomona/sink.h"
#include "sink/row_builder.h"
#include "statistics/columns.h"
#include "store/layout.h"

namespace pomona {
namespace {

// Of all runs, in front of those of statistics.
constexpr int kPlainColumns = 10;

std::shared_ptr<arrow::Schema> ImagesSchema(StatsKind stats) {
  arrow::FieldVector fields = {
      arrow::field("id", arrow::int64()),           arrow::field("path", arrow::utf8()),
      arrow::field("relative_path", arrow::utf8()), arrow::field("label", arrow::utf8()),
      arrow::field("size", arrow::int64()),         arrow::field("width", arrow::int32()),
      arrow::field("height", arrow::int32()),       arrow::field("format", arrow::utf8()),
      arrow::field("mode", arrow::utf8()),          arrow::field("content_sha256", arrow::utf8())};
  for (const std::string& name : StatisticNames(stats)) {
    fields.push_back(arrow::field(name, arrow::float64()));
  }
  if (stats == StatsKind::kFull) fields.push_back(arrow::field("pixels_sha256", arrow::utf8()));
  return arrow::schema(std::move(fields));
}

std::shared_ptr<arrow::Schema> ErrorsSchema() {
  return arrow::schema({arrow::field("path", arrow::utf8()),
                        arrow::field("relative_path", arrow::utf8()),
                        arrow::field("label", arrow::utf8()), arrow::field("size", arrow::int64()),
                        arrow::field("stage", arrow::utf8()), arrow::field("reason", arrow::utf8()),
                        arrow::field("message", arrow::utf8())});
}

// In the columns behind those that all runs have.
arrow::Status AppendStatistics(const ImageStatistics& statistics, StatsKind kind,
                               RowBuilder* rows) {
  int column = kPlainColumns;
  if (kind == StatsKind::kNone) return arrow::Status::OK();
  if (!statistics.Has(kind)) {
    return arrow::Status::UnknownError(
        "internal error: an image without the statistics of this run; please report this");
  }
  for (const double number : StatisticNumbers(statistics, kind)) {
    ARROW_RETURN_NOT_OK(rows->AppendFrom(column++, number));
  }
  if (kind == StatsKind::kBasic) return arrow::Status::OK();
  return rows->AppendFrom(column, std::string_view(Hex(statistics.pixels_sha256)));
}

}  // namespace

arrow::Status WriteMetadata(const ExtractedRun& run, std::span<const Item> items,
                            std::span<const ImageProperties> images, size_t part,
                            int64_t first_row) {
  CsvBuilder csv;
  csv.Field("path").Field("label").EndRow();
  for (const Item& item : items) csv.Field(item.path).Field(item.label()).EndRow();
  ARROW_RETURN_NOT_OK(run.work.WritePart(kMetadata, part, "csv", csv.text()));
  if (!run.options.formats.parquet) return arrow::Status::OK();

  const StatsKind stats = run.options.stats;
  const std::shared_ptr<arrow::Schema> schema = ImagesSchema(stats);
  ARROW_ASSIGN_OR_RAISE(RowBuilder rows, RowBuilder::Make(schema));
  for (size_t i = 0; i < items.size(); ++i) {
    const Item& item = items[i];
    const ImageProperties& image = images[i];
    ARROW_RETURN_NOT_OK(rows.Append(first_row + static_cast<int64_t>(i), item.path,
                                    item.relative_path(), item.label(), item.size, image.width,
                                    image.height, TextOf(image.format), TextOf(image.mode),
                                    Hex(image.content_sha256)));
    ARROW_RETURN_NOT_OK(AppendStatistics(image.statistics, stats, &rows));
  }
  ARROW_ASSIGN_OR_RAISE(auto stream, run.work.CreatePart(kMetadataParquet, part, "parquet"));
  ARROW_ASSIGN_OR_RAISE(const auto table,
                        MakeTableSink(std::move(stream), schema, {"label", "format", "mode"}));
  ARROW_ASSIGN_OR_RAISE(const auto batch, rows.Flush());
  ARROW_RETURN_NOT_OK(table->Append(batch));
  return table->Finish();
}

arrow::Status WriteErrors(const ExtractedRun& run, int64_t rejects, arrow::io::OutputStream* csv,
                          std::shared_ptr<arrow::io::OutputStream> parquet) {
  CsvBuilder text;
  text.Field("path").Field("label").Field("stage").Field("reason").Field("message").EndRow();
  std::unique_ptr<TableSink> table;
  if (parquet) {
    ARROW_ASSIGN_OR_RAISE(
        table, MakeTableSink(std::move(parquet), ErrorsSchema(), {"label", "stage", "reason"}));
  }
  ARROW_ASSIGN_OR_RAISE(RowBuilder rows, RowBuilder::Make(ErrorsSchema()));
  const auto flush = [&]() -> arrow::Status {
    ARROW_ASSIGN_OR_RAISE(const auto batch, rows.Flush());
    return table->Append(batch);
  };
  for (size_t f = 0; f < run.fragments.size() && rejects > 0; ++f) {
    ARROW_ASSIGN_OR_RAISE(const StoredFragment stored, run.OpenFragment(f));
    if (stored.report().rejects.empty()) continue;
    rejects -= std::ssize(stored.report().rejects);
    ARROW_ASSIGN_OR_RAISE(const std::vector<Item> items, run.items.Read(run.fragments[f].items));
    for (const FragmentReject& rejected : stored.report().rejects) {
      const Item& item = items[static_cast<size_t>(rejected.item)];
      const Reject& reject = rejected.reject;
      const std::string_view stage = StageName(reject.stage), reason = ReasonName(reject.reason);
      text.Field(item.path).Field(item.label()).Field(stage).Field(reason).Field(reject.message);
      text.EndRow();
      if (!table) continue;
      ARROW_RETURN_NOT_OK(rows.Append(item.path, item.relative_path(), item.label(), item.size,
                                      stage, reason, reject.message));
    }
    ARROW_RETURN_NOT_OK(csv->Write(text.text()));
    text.clear();
    if (rows.rows() >= run.options.part_rows) ARROW_RETURN_NOT_OK(flush());
  }
  ARROW_RETURN_NOT_OK(csv->Write(text.text()));
  ARROW_RETURN_NOT_OK(csv->Close());
  if (!table) return arrow::Status::OK();
  ARROW_RETURN_NOT_OK(flush());
  return table->Finish();
}

}  // namespace pomona
