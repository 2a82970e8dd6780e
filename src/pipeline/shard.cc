#include "shard.h"

#include <chrono>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "extract_fragments.h"
#include "messages.h"
#include "plan.h"
#include "refusal.h"
#include "stopwatch.h"
#include "store/layout.h"

namespace pomona {
namespace {

constexpr std::chrono::milliseconds kLookEvery{500};

bool IsBusy(const arrow::Status& status) { return RefusalOf(status) == RunRefusal::kOutputBusy; }

JobInput JobOf(const ShardInput& in, Output& output, bool planned) {
  return {in.source, in.input, output,  in.make_engine, in.model, in.options,
          in.hooks,  in.pca,   nullptr, in.metrics,     planned};
}

// Says once what is waited for.
class Wait {
 public:
  explicit Wait(const ShardInput& in) : in_(in) {}
  arrow::Status operator()(const char* what) {
    if (in_.metrics) in_.metrics->HearWaiting();
    if (in_.hooks.log && !std::exchange(told_, true)) in_.hooks.log(what);
    std::this_thread::sleep_for(kLookEvery);
    return in_.hooks.cancel.Check();
  }

 private:
  const ShardInput& in_;
  bool told_ = false;
};

// Nothing more is asked of this one.
void EndOutput(const ShardInput& in, const Output& output) {
  if (in.metrics) in.metrics->EndOutput(output.transfers());
}

// What a run's id being taken means: it is published, or something else stands in its place.
arrow::Result<RunSummary> Taken(const ShardInput& in, const arrow::Status& status) {
  ARROW_ASSIGN_OR_RAISE(const auto output, in.open_output());
  const std::string success = SuccessOf(kRunInfo, in.options.run_id);
  ARROW_ASSIGN_OR_RAISE(const bool published, output->published().Exists(success));
  EndOutput(in, *output);
  if (!published) return status;
  RunSummary summary;
  summary.run_id = in.options.run_id;
  summary.published_elsewhere = true;
  return summary;
}

struct Part {
  std::unique_ptr<Output> output;  // joined
  Plan plan;
};

// Takes part in the run, which is planned where it was not. AlreadyExists: it is published.
arrow::Result<Part> TakePart(const ShardInput& in) {
  Wait wait(in);
  while (true) {
    Part part;
    ARROW_ASSIGN_OR_RAISE(part.output, in.open_output());
    arrow::Status joined = part.output->Join(in.options.run_id, /*together=*/true);
    if (joined.ok()) {
      auto plan = Plan::Read(part.output->work(), in.options.run_id);
      if (plan.ok()) {
        ARROW_RETURN_NOT_OK(part.output->work().Prepare());
        part.plan = *std::move(plan);
        return part;
      }
      part.output->Leave();
      joined = plan.status();
      if (!joined.IsKeyError() && !joined.IsInvalid()) return joined;
    }
    EndOutput(in, *part.output);
    // Without a work folder, a plan, or with another run's, it is for this shard to plan.
    arrow::Status planned = joined;
    if (!IsBusy(joined)) {
      ARROW_ASSIGN_OR_RAISE(const auto output, in.open_output());
      planned = Job(JobOf(in, *output, /*planned=*/false)).PlanForOthers();
      if (!planned.ok() && !IsBusy(planned)) return planned;
    }
    if (IsBusy(planned)) {
      ARROW_RETURN_NOT_OK(wait("waiting for another process to plan or publish a run there"));
    }
  }
}

// Fits, writes and publishes, unless another shard does. `patient`: waits for whoever holds the
// output.
arrow::Result<RunSummary> PublishShards(const ShardInput& in, bool patient) {
  Wait wait(in);
  while (true) {
    ARROW_ASSIGN_OR_RAISE(const auto output, in.open_output());
    auto summary = Job(JobOf(in, *output, /*planned=*/true)).Run();
    if (summary.status().IsAlreadyExists()) return Taken(in, summary.status());
    if (!patient || !IsBusy(summary.status())) return summary;
    ARROW_RETURN_NOT_OK(wait("waiting for the other shards"));
  }
}

}  // namespace

arrow::Result<RunSummary> RunShard(const ShardInput& in) {
  const Shard& shard = in.options.shard;
  if (shard.merge) return PublishShards(in, /*patient=*/false);

  Stopwatch watch;
  auto part = TakePart(in);
  if (part.status().IsAlreadyExists()) return Taken(in, part.status());
  ARROW_RETURN_NOT_OK(part);
  const Plan& plan = part->plan;
  if (plan.input != in.input) {
    return arrow::Status::Invalid("the run ", plan.run_id, " was planned for ", plan.input,
                                  ", not for ", in.input, "; give all shards the same INPUT");
  }
  RunSummary summary;
  summary.run_id = plan.run_id;
  {
    Output& output = *part->output;
    WorkFolder& work = output.work();
    ARROW_ASSIGN_OR_RAISE(const auto engine, in.make_engine());
    ARROW_RETURN_NOT_OK(plan.CheckModel(in.model, engine->name()));
    if (in.options.decode != plan.options.decode) {
      return arrow::Status::Invalid("the run ", plan.run_id, " was planned with --decode ",
                                    DecodeName(plan.options.decode),
                                    "; give the same to all of its shards");
    }
    if (in.options.stats != plan.options.stats) {
      return arrow::Status::Invalid("the run ", plan.run_id, " was planned with --stats ",
                                    StatsName(plan.options.stats),
                                    "; give the same to all of its shards");
    }
    std::unique_ptr<EarlierRun> earlier;
    if (!plan.earlier_run.empty()) {
      earlier = EarlierRun::Open(output.published(), plan.earlier_run, plan.recipe, plan.dimensions,
                                 plan.options.stats);
    }
    ARROW_ASSIGN_OR_RAISE(const auto items, work.OpenItems());
    PlannedFragments mine(plan, *items, static_cast<size_t>(shard.index - 1),
                          static_cast<size_t>(shard.count));
    ExtractionInput input{in.source,
                          *engine,
                          earlier.get(),
                          mine,
                          work,
                          ThreadCount(in.options.threads),
                          in.options,
                          in.hooks,
                          [] { return arrow::Status::OK(); },
                          {},
                          /*listed_here=*/false};
    if (in.metrics) {
      input.measure = [&](const Extraction& so_far) {
        in.metrics->HearExtraction(so_far, in.source.transfers());
        in.metrics->HearWrites(output.transfers());
      };
    }
    Kept kept;
    const auto extraction = ExtractFragments(input, &kept);
    if (!extraction.ok()) return WithCure(extraction.status(), kept, output.folder(), 0);
    if (input.measure) input.measure(*extraction);
    summary.counts = extraction->counts;
    summary.rejects_by_reason = extraction->rejects_by_reason;
    summary.skips_by_reason = extraction->skips_by_reason;
    if (summary.counts.reused > 0) summary.reused_run_id = plan.earlier_run;

    std::vector<std::string> paths;
    for (const ListedFragment& fragment : plan.fragments) {
      paths.push_back(work.FragmentPath(fragment));
    }
    ARROW_ASSIGN_OR_RAISE(summary.fragments_missing, work.CountMissing(paths));
    output.Leave();
    EndOutput(in, output);
  }
  if (summary.fragments_missing == 0) return PublishShards(in, /*patient=*/true);
  watch.Lap(&summary.seconds);
  if (summary.seconds > 0) {
    const Counts& counts = summary.counts;
    summary.images_per_second =
        static_cast<double>(counts.listed - counts.resumed - counts.reused) / summary.seconds;
  }
  return summary;
}

}  // namespace pomona
