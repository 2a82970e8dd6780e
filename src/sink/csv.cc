#include <arrow/io/interfaces.h>

#include <charconv>
#include <utility>

#include "pomona/sink.h"
#include "rows.h"
#include "shortest_float.h"

namespace pomona {
namespace {

constexpr size_t kWriteBytes = 1 << 20;

void AppendText(std::string_view text, std::string* out) {
  if (text.find_first_of(",\"\r\n") == std::string_view::npos) {
    out->append(text);
    return;
  }
  out->push_back('"');
  for (const char c : text) {
    if (c == '"') out->push_back('"');
    out->push_back(c);
  }
  out->push_back('"');
}

class CsvSink final : public VectorSink {
 public:
  CsvSink(std::shared_ptr<arrow::io::OutputStream> out, const VectorTable& table,
          std::shared_ptr<arrow::StringArray> paths, std::shared_ptr<arrow::StringArray> labels)
      : out_(std::move(out)),
        paths_(std::move(paths)),
        labels_(std::move(labels)),
        dimensions_(table.dimensions) {
    buffer_ = "path,label," + table.column + "_string\n";
  }

  arrow::Status Append(const arrow::FixedSizeListArray& vectors) override {
    ARROW_RETURN_NOT_OK(CheckBlock(vectors, dimensions_, rows_left()));
    return ForEachRow<float>(vectors, [&](const float* vector) {
      AppendText(paths_->GetView(row_), &buffer_);
      buffer_.push_back(',');
      AppendText(labels_->GetView(row_), &buffer_);
      buffer_.push_back(',');
      buffer_.push_back('"');
      AppendVectorText({vector, static_cast<size_t>(dimensions_)}, &buffer_);
      buffer_ += "\"\n";
      ++row_;
      return buffer_.size() < kWriteBytes ? arrow::Status::OK() : Flush();
    });
  }

  arrow::Status Finish() override {
    ARROW_RETURN_NOT_OK(CheckComplete(rows_left()));
    ARROW_RETURN_NOT_OK(Flush());
    return out_->Close();
  }

 private:
  int64_t rows_left() const { return paths_->length() - row_; }

  arrow::Status Flush() {
    ARROW_RETURN_NOT_OK(out_->Write(buffer_));
    buffer_.clear();
    return arrow::Status::OK();
  }

  const std::shared_ptr<arrow::io::OutputStream> out_;
  const std::shared_ptr<arrow::StringArray> paths_;
  const std::shared_ptr<arrow::StringArray> labels_;
  const int dimensions_;
  int64_t row_ = 0;  // the next one
  std::string buffer_;
};

}  // namespace

arrow::Result<std::unique_ptr<VectorSink>> MakeCsvSink(std::shared_ptr<arrow::io::OutputStream> out,
                                                       const VectorTable& table,
                                                       std::shared_ptr<arrow::StringArray> paths,
                                                       std::shared_ptr<arrow::StringArray> labels) {
  ARROW_RETURN_NOT_OK(CheckTable(table, *paths, *labels));
  return std::make_unique<CsvSink>(std::move(out), table, std::move(paths), std::move(labels));
}

void AppendVectorText(std::span<const float> vector, std::string* text) {
  const size_t start = text->size();
  text->resize(start + vector.size() * kFloatTextRoom);
  text->resize(WriteFloats(vector, text->data() + start) - text->data());
}

CsvBuilder& CsvBuilder::Field(std::string_view text) {
  Separate();
  AppendText(text, &text_);
  return *this;
}

CsvBuilder& CsvBuilder::Field(int64_t number) {
  Separate();
  text_ += std::to_string(number);
  return *this;
}

CsvBuilder& CsvBuilder::Field(float number) {
  Separate();
  char text[kFloatTextRoom];
  text_.append(text, WriteFloat(number, text));
  return *this;
}

CsvBuilder& CsvBuilder::Field(double number) {
  Separate();
  char text[32];
  text_.append(text, std::to_chars(text, text + sizeof text, number).ptr);
  return *this;
}

void CsvBuilder::EndRow() {
  text_.push_back('\n');
  row_started_ = false;
}

void CsvBuilder::clear() {
  text_.clear();
  row_started_ = false;
}

void CsvBuilder::Separate() {
  if (row_started_) text_.push_back(',');
  row_started_ = true;
}

}  // namespace pomona
