#include "task_result.h"

#include "json.h"

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
  use("read_bytes", extraction.seconds.read_bytes);
  use("listings", result.reads.listings);
  use("requests", result.reads.requests);
  use("retries", result.reads.retries);
  use("bytes", result.reads.bytes);
  use("request_seconds", result.reads.seconds);
  use("rows_written", result.rows_written);
}

// The same of durations.
template <typename Result, typename Use>
void ForEachDurations(Result& result, const Use& use) {
  auto& seconds = result.extraction.seconds;
  use("read", seconds.read);
  use("decode", seconds.decode);
  use("resize", seconds.resize);
  use("infer", seconds.infer);
  use("reduce", seconds.reduce);
  use("store", seconds.store);
  use("image", seconds.images);
  use("first_byte", result.reads.first_byte);
  use("request", result.reads.whole);
}

}  // namespace

std::string TaskResult::ToText() const {
  json text = {{"rejects_by_reason", extraction.rejects_by_reason},
               {"skips_by_reason", extraction.skips_by_reason},
               {"rows_by_fragment", extraction.rows_by_fragment},
               {"checksums", checksums},
               {"notes", notes}};
  ForEachNumber(*this, [&](const char* name, auto value) {
    if (value != 0) text[name] = value;
  });
  json& durations = text["durations"] = json::object();
  ForEachDurations(*this, [&](const char* name, const Durations& each) {
    if (each.count() != 0) durations[name] = {each.nanoseconds(), each.Steps()};
  });
  return JsonText(text);
}

arrow::Result<TaskResult> TaskResult::Parse(std::string_view text) {
  TaskResult result;
  try {
    const json parsed = ParseJson(text);
    result.extraction.rejects_by_reason = parsed.at("rejects_by_reason");
    result.extraction.skips_by_reason = parsed.at("skips_by_reason");
    result.extraction.rows_by_fragment = parsed.at("rows_by_fragment");
    result.checksums = parsed.at("checksums");
    result.notes = parsed.at("notes");
    ForEachNumber(result, [&](const char* name, auto& value) {
      if (parsed.contains(name)) value = parsed[name];
    });
    const json& durations = parsed.at("durations");
    ForEachDurations(result, [&](const char* name, Durations& each) {
      if (!durations.contains(name)) return;
      const json& told = durations[name];
      each = Durations::From(told.at(1), told.at(0));
    });
  } catch (const json::exception&) {
    return arrow::Status::Invalid("this is no task's result: ", text.substr(0, 200));
  }
  return result;
}

}  // namespace pomona
