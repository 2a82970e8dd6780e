// The tasks of a run, each a function of the plan, its stage and its number.
#pragma once

#include <arrow/result.h>

#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "image_worker.h"
#include "open_fragment.h"
#include "plan.h"
#include "pomona/cancel.h"
#include "pomona/engine.h"
#include "pomona/executor.h"
#include "pomona/run.h"
#include "pomona/source.h"
#include "store/earlier_run.h"
#include "store/output.h"
#include "task_result.h"
#include "write_parts.h"

namespace pomona {

// In the order in which they are done; all tasks of one before any of the next.
struct TaskStage {
  enum class Kind {
    kExtract,      // a fragment, or a slice of one
    kGather,       // a fragment, of its slices
    kMerge,        // a node of the tree of moments
    kFeatures,     // a part's features, metadata and item records
    kProjections,  // the projections of a part
  };
  Kind kind;
  int level = 0;  // of kMerge

  std::string Name() const;  // "extract", "merge2"
  // Errors: Invalid.
  static arrow::Result<TaskStage> Parse(std::string_view name);
};

// How many tasks the stage has.
size_t TaskCount(const Plan& plan, const TaskStage& stage);

// Where the PCA lies that projections are made with.
std::string PcaPath(const WorkFolder& work, const Plan& plan);

// Tells those who write parts where the rows of each begin; see FirstRows().
arrow::Status ShareFirstRows(const WorkFolder& work, const Plan& plan,
                             std::span<const int64_t> first_rows);

using OpenSource = std::function<arrow::Result<std::unique_ptr<Source>>()>;

// Does tasks one after another. What a task needs it opens when the first one needs it.
//
// Threads: one caller at a time.
class RunTasks {
 public:
  // All outlive this; `output` was joined. `open_source` and `make_engine` are called when the first
  // image is to be made.
  RunTasks(const Plan& plan, Output& output, OpenSource open_source, EngineFactory make_engine,
           CancelToken cancel);

  // Errors: see TaskWorker::Run().
  arrow::Result<TaskResult> Run(const TaskStage& stage, size_t task);

 private:
  arrow::Status Extract(size_t task, TaskResult* result);
  arrow::Status MakeItems(OpenFragment* fragment, size_t begin, size_t end, TaskResult* result);
  arrow::Status Gather(size_t f, TaskResult* result);
  arrow::Result<bool> FindWhole(size_t f, TaskResult* result);
  arrow::Status OpenEngine();
  WorkerSeconds Seconds() const;
  void Reuse(OpenFragment* fragment, size_t begin, size_t end, size_t f, TaskResult* result);
  arrow::Status WriteFeatures(size_t part, TaskResult* result);
  arrow::Status Project(size_t part, TaskResult* result);
  ExtractedRun extracted() const;

  const Plan& plan_;
  Output& output_;
  const OpenSource open_source_;
  const EngineFactory make_engine_;
  const CancelToken cancel_;
  std::unique_ptr<ItemSpool> items_;
  std::unique_ptr<Source> source_;
  std::unique_ptr<Engine> engine_;
  ImageMemory memory_;
  std::vector<std::unique_ptr<ImageWorker>> workers_;
  bool told_of_device_ = false;
  std::unique_ptr<EarlierRun> earlier_;
  std::optional<size_t> reused_for_;  // the fragment that earlier_ was asked for last
  OpenFragment fragment_;             // keeps its buffer
  std::vector<int64_t> first_rows_;   // empty: not fetched yet
  std::optional<Pca> pca_;
};

}  // namespace pomona
