// The tasks of a run, for another process than the one that planned it.
#include <utility>

#include "guarded.h"
#include "model.h"
#include "pomona/executor.h"
#include "run_tasks.h"

namespace pomona {
namespace {

class Worker : public TaskWorker {
 public:
  static arrow::Result<std::unique_ptr<TaskWorker>> Open(const JobText& job,
                                                         const std::string& weights,
                                                         CancelToken cancel) {
    std::unique_ptr<Worker> worker(new Worker);
    ARROW_ASSIGN_OR_RAISE(worker->output_, OpenOutput(job.output, job.s3, cancel));
    ARROW_RETURN_NOT_OK(worker->output_->Join(job.run_id, /*together=*/false));
    ARROW_ASSIGN_OR_RAISE(worker->plan_, Plan::Read(worker->output_->work(), job.run_id));
    if (worker->plan_.digest != job.plan_digest) {
      return arrow::Status::Invalid("the run ", job.run_id, " in ", job.output,
                                    " is another one by now than this task is of");
    }
    RunOptions& options = worker->plan_.options;
    options.s3 = job.s3;
    options.weights = weights;
    options.threads = 1;
    const auto open_source = [worker = worker.get(), cancel] {
      return OpenTree(worker->plan_.input, worker->plan_.options.s3, cancel);
    };
    worker->tasks_ = std::make_unique<RunTasks>(
        worker->plan_, *worker->output_, open_source,
        [worker = worker.get()] { return worker->MakeTheEngine(); }, cancel);
    return worker;
  }

  arrow::Result<std::string> Run(const std::string& stage, int64_t task) override {
    return Guarded([&]() -> arrow::Result<std::string> {
      ARROW_ASSIGN_OR_RAISE(const TaskStage parsed, TaskStage::Parse(stage));
      ARROW_ASSIGN_OR_RAISE(const TaskResult result,
                            tasks_->Run(parsed, static_cast<size_t>(task)));
      return result.ToText();
    });
  }

 private:
  Worker() = default;

  arrow::Result<std::unique_ptr<Engine>> MakeTheEngine() {
    ARROW_ASSIGN_OR_RAISE(weights_, OpenWeights(plan_.options));
    ARROW_ASSIGN_OR_RAISE(auto engine, MakeEngine(*weights_, plan_.options));
    ARROW_RETURN_NOT_OK(plan_.CheckModel(IdentityOf(*weights_), engine->name()));
    return engine;
  }

  Plan plan_;
  std::unique_ptr<Output> output_;
  std::shared_ptr<const Weights> weights_;
  std::unique_ptr<RunTasks> tasks_;
};

}  // namespace

arrow::Result<std::unique_ptr<TaskWorker>> TaskWorker::Open(const std::string& job,
                                                            const std::string& weights,
                                                            CancelToken cancel) {
  return Guarded([&]() -> arrow::Result<std::unique_ptr<TaskWorker>> {
    ARROW_ASSIGN_OR_RAISE(const JobText parsed, JobText::Parse(job));
    return Worker::Open(parsed, weights, cancel);
  });
}

}  // namespace pomona
