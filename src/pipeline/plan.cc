#include "plan.h"

#include <arrow/buffer.h>
#include <arrow/io/file.h>

#include <algorithm>
#include <utility>

#include "disk.h"
#include "json.h"
#include "model.h"
#include "pomona/location.h"
#include "sha256.h"

namespace pomona {
namespace {

using nlohmann::json;

constexpr const char* kFormat = "pomona-plan-3";

// But for what belongs to a machine, and for what has its default.
json OptionsToJson(const RunOptions& options) {
  json texts = json::object();
  for (const RunOptionSpec& spec : RunOptionSpecs()) {
    const std::string_view name = spec.name;
    if (name == "weights" || name == "threads" || name == "cpu" || name == "shard" ||
        name == "metrics" || name == "pca") {
      continue;
    }
    if (spec.get(options) != spec.get({})) texts[spec.name] = spec.Texts(options);
  }
  return texts;
}

arrow::Result<RunOptions> OptionsFromJson(const json& texts) {
  RunOptions options;
  for (const RunOptionSpec& spec : RunOptionSpecs()) {
    if (!texts.contains(spec.name)) continue;
    for (const json& text : texts[spec.name]) {
      ARROW_RETURN_NOT_OK(spec.set(&options, text.get<std::string>()));
    }
  }
  return options;
}

bool IsDigest(std::string_view text) {
  return text.size() == 64 && std::ranges::all_of(text, [](char c) {
           return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
         });
}

std::string ToText(const Plan& plan) {
  json listed = json::array();
  for (const ListedFragment& fragment : plan.fragments) {
    const ItemSpool::Block& block = fragment.items;
    listed.push_back({block.offset, block.bytes, block.items, block.digest, fragment.range.key});
  }
  return JsonText(json{{"format", kFormat},
                       {"run_id", plan.run_id},
                       {"input", EscapeName(plan.input)},
                       {"options", OptionsToJson(plan.options)},
                       {"fragment_items", plan.options.fragment_items},
                       {"part_rows", plan.options.part_rows},
                       {"engine", plan.engine},
                       {"weights_digest", plan.weights_digest},
                       {"preprocessing", plan.preprocessing},
                       {"recipe", plan.recipe},
                       {"dimensions", plan.dimensions},
                       {"earlier_run", plan.earlier_run},
                       {"unlabelled", plan.unlabelled},
                       {"slices", plan.slices},
                       {"fragments", listed}});
}

arrow::Result<Plan> Parse(const std::string& text) {
  Plan plan;
  try {
    const json parsed = ParseJson(text);
    if (parsed.at("format") != kFormat) return arrow::Status::Invalid("another version's plan");
    plan.run_id = parsed.at("run_id");
    plan.input = UnescapeName(parsed.at("input").get<std::string>());
    ARROW_ASSIGN_OR_RAISE(plan.options, OptionsFromJson(parsed.at("options")));
    plan.options.fragment_items = parsed.at("fragment_items");
    plan.options.part_rows = parsed.at("part_rows");
    plan.engine = parsed.at("engine");
    plan.weights_digest = parsed.at("weights_digest");
    plan.preprocessing = parsed.at("preprocessing");
    plan.recipe = parsed.at("recipe");
    plan.dimensions = parsed.at("dimensions");
    plan.earlier_run = parsed.at("earlier_run");
    plan.unlabelled = parsed.at("unlabelled");
    plan.slices = parsed.at("slices");
    size_t begin = 0;
    for (const json& fragment : parsed.at("fragments")) {
      ListedFragment listed;
      listed.items = {fragment.at(0), fragment.at(1), fragment.at(2), fragment.at(3)};
      if (listed.items.items < 1 || listed.items.items > plan.options.fragment_items ||
          listed.items.bytes < 0 || listed.items.offset < 0 ||
          !IsDigest(fragment.at(4).get<std::string>())) {
        return arrow::Status::Invalid("a damaged plan");
      }
      const size_t end = begin + static_cast<size_t>(listed.items.items);
      listed.range = {begin, end, fragment.at(4)};
      listed.number = plan.fragments.size();
      plan.fragments.push_back(std::move(listed));
      begin = end;
    }
  } catch (const json::exception&) {
    return arrow::Status::Invalid("a damaged plan");
  }
  ARROW_RETURN_NOT_OK(CheckRunId(plan.run_id));
  ARROW_RETURN_NOT_OK(Validate(plan.options));
  if (plan.dimensions < 1 || (plan.slices != 1 && plan.slices != kSlices)) {
    return arrow::Status::Invalid("a damaged plan");
  }
  if (!plan.earlier_run.empty()) ARROW_RETURN_NOT_OK(CheckRunId(plan.earlier_run));
  return plan;
}

}  // namespace

int64_t Plan::items() const {
  return fragments.empty() ? 0 : static_cast<int64_t>(fragments.back().range.end);
}

arrow::Status Plan::CheckModel(const ModelIdentity& model, std::string_view engine_name) const {
  if (model.digest != weights_digest) {
    return arrow::Status::Invalid("the weights on this machine are others (", model.digest,
                                  ") than those of the run ", run_id, " (", weights_digest, ")");
  }
  const std::string pictures = model.preprocessing->RecordedName(options.decode);
  if (pictures != preprocessing) {
    return arrow::Status::Invalid("the weights on this machine want other pictures (", pictures,
                                  ") than those of the run ", run_id, " (", preprocessing, ")");
  }
  if (RecipeOf(model.digest, pictures, engine_name) == recipe) return arrow::Status::OK();
  return arrow::Status::Invalid("the run ", run_id,
                                " was planned by another version or engine of Pomona than this "
                                "machine's; install the same on all");
}

arrow::Result<std::vector<Item>> Plan::ItemsOf(const ListedFragment& fragment,
                                               const ItemSpool& spool) const {
  ARROW_ASSIGN_OR_RAISE(std::vector<Item> items, spool.Read(fragment.items));
  const bool local = !IsS3Uri(input);
  std::string root = local ? EscapeName(input) : input;
  if (!root.ends_with('/')) root += '/';
  for (const Item& item : items) {
    const std::string_view path = item.path;
    const bool leaves = local && (path.find("/../") != path.npos || path.ends_with("/.."));
    if (path.starts_with(root) && !leaves) continue;
    return arrow::Status::Invalid(path, ": is not below INPUT ", root,
                                  ", though the run was planned with it; start the run again");
  }
  return items;
}

arrow::Status Plan::Write(const WorkFolder& work) {
  const std::string text = ToText(*this);
  digest = Sha256().Add(text).Hex();
  ARROW_RETURN_NOT_OK(ReplaceFile(work.PlanPath(), [&](OutputFile& file) {
    return file.Write(text.data(), static_cast<int64_t>(text.size()));
  }));
  return work.Share(work.PlanPath());
}

arrow::Result<Plan> Plan::Read(const WorkFolder& work, const std::string& run_id) {
  const std::string path = work.PlanPath();
  ARROW_ASSIGN_OR_RAISE(const bool there, work.Fetch(path));
  if (!there) {
    return arrow::Status::KeyError(path, ": there is no plan of the run ", run_id,
                                   "; it was published, or OUTPUT is not the same folder on every "
                                   "machine");
  }
  ARROW_ASSIGN_OR_RAISE(const auto file, arrow::io::ReadableFile::Open(path));
  ARROW_ASSIGN_OR_RAISE(const int64_t size, file->GetSize());
  ARROW_ASSIGN_OR_RAISE(const auto bytes, file->ReadAt(0, size));
  auto plan = Parse(bytes->ToString());
  if (!plan.ok()) return arrow::Status::Invalid(path, ": ", plan.status().message());
  if (plan->run_id != run_id) {
    return arrow::Status::Invalid(path, ": is the plan of the run ", plan->run_id, ", not of ",
                                  run_id);
  }
  plan->digest = Sha256().Add(bytes->ToString()).Hex();
  return plan;
}

std::string JobText::ToText() const {
  return JsonText(json{{"output", EscapeName(output)},
                       {"run_id", run_id},
                       {"plan", plan_digest},
                       {"s3_endpoint", s3.endpoint},
                       {"s3_anonymous", s3.anonymous},
                       {"s3_cache", EscapeName(s3.cache)},
                       {"s3_cache_bytes", s3.cache_bytes}});
}

arrow::Result<JobText> JobText::Parse(const std::string& text) {
  JobText job;
  try {
    const json parsed = ParseJson(text);
    job.output = UnescapeName(parsed.at("output").get<std::string>());
    job.run_id = parsed.at("run_id");
    job.plan_digest = parsed.at("plan");
    job.s3.endpoint = parsed.at("s3_endpoint");
    job.s3.anonymous = parsed.at("s3_anonymous");
    job.s3.cache = UnescapeName(parsed.at("s3_cache").get<std::string>());
    job.s3.cache_bytes = parsed.at("s3_cache_bytes");
  } catch (const json::exception&) {
    return arrow::Status::Invalid("this is no description of a job: ", text.substr(0, 200));
  }
  return job;
}

}  // namespace pomona
