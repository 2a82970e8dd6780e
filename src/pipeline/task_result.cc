#include "task_result.h"

#include <nlohmann/json.hpp>

namespace pomona {
namespace {

using nlohmann::json;

// Every number of a result and its name, for both ways.
template <typename Result, typename Use>
void ForEachNumber(Result& result, const Use& use) {
  auto& extraction = result.extraction;
  use("items", result.items);
  use("rows", extraction.counts.rows);
  use("rejects", extraction.counts.rejects);
  use("skips", extraction.counts.skips);
  use("resumed", extraction.counts.resumed);
  use("reused", extraction.counts.reused);
  use("read_seconds", extraction.seconds.read);
  use("decode_seconds", extraction.seconds.decode);
  use("resize_seconds", extraction.seconds.resize);
  use("infer_seconds", extraction.seconds.infer);
  use("reduce_seconds", extraction.seconds.reduce);
  use("store_seconds", extraction.seconds.store);
  use("listings", result.reads.listings);
  use("requests", result.reads.requests);
  use("retries", result.reads.retries);
  use("bytes", result.reads.bytes);
  use("request_seconds", result.reads.seconds);
  use("rows_written", result.rows_written);
}

}  // namespace

std::string TaskResult::ToText() const {
  json text = {{"rejects_by_reason", extraction.rejects_by_reason},
               {"skips_by_reason", extraction.skips_by_reason},
               {"rows_by_fragment", extraction.rows_by_fragment},
               {"image_times", extraction.seconds.images.steps},
               {"checksums", checksums},
               {"notes", notes}};
  ForEachNumber(*this, [&](const char* name, auto value) {
    if (value != 0) text[name] = value;
  });
  return text.dump(-1, ' ', false, json::error_handler_t::replace);
}

arrow::Result<TaskResult> TaskResult::Parse(std::string_view text) {
  TaskResult result;
  try {
    const json parsed = json::parse(text);
    result.extraction.rejects_by_reason = parsed.at("rejects_by_reason");
    result.extraction.skips_by_reason = parsed.at("skips_by_reason");
    result.extraction.rows_by_fragment = parsed.at("rows_by_fragment");
    result.extraction.seconds.images.steps = parsed.at("image_times");
    result.checksums = parsed.at("checksums");
    result.notes = parsed.at("notes");
    ForEachNumber(result, [&](const char* name, auto& value) {
      if (parsed.contains(name)) value = parsed[name];
    });
  } catch (const json::exception&) {
    return arrow::Status::Invalid("this is no task's result: ", text.substr(0, 200));
  }
  return result;
}

}  // namespace pomona
