// The runs that are published in an output: which there are, what they hold, and how one is removed.
#pragma once

#include <arrow/buffer.h>
#include <arrow/result.h>

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "pomona/cancel.h"
#include "pomona/options.h"

namespace pomona {

// A run as its files and its run_info tell.
struct PublishedRun {
  std::string run_id;
  // When its last file was written, since 1970; nothing where it is not published.
  std::optional<int64_t> published_ns;
  int64_t files = 0;
  int64_t bytes = 0;  // of all of them
  std::string info;   // run_info, JSON as it stands

  // Why what follows, which run_info tells, is not known; empty where it is.
  std::string problem;
  std::string input;
  int64_t listed = 0;  // rows + rejects + skips
  int64_t rows = 0;
  int64_t rejects = 0;
  int64_t skips = 0;
  std::map<std::string, int64_t> rejects_by_reason;
  std::map<std::string, int64_t> skips_by_reason;
  double seconds = 0;
  double images_per_second = 0;
};

// The same and what its tables show at a glance.
struct RunContents {
  PublishedRun run;
  std::vector<double> variance;                  // share of the total, by component
  std::map<std::string, int64_t> rows_by_label;  // in bytewise order
};

class PublishedFiles;

// An output, local or on S3, that is read.
//
// Threads: safe to share.
// Errors: those of one file name its whole path; Invalid where there is no run to read.
class PublishedOutput {
 public:
  // Errors: those of a path or URI that leads nowhere.
  static arrow::Result<std::unique_ptr<PublishedOutput>> Open(const std::string& output,
                                                              const S3Options& s3 = {},
                                                              CancelToken cancel = {});
  ~PublishedOutput();
  PublishedOutput(const PublishedOutput&) = delete;
  PublishedOutput& operator=(const PublishedOutput&) = delete;

  // As users know it: an absolute path or a URI.
  const std::string& location() const;

  // The published runs, the newest first. One that is damaged is there, with its problem.
  arrow::Result<std::vector<PublishedRun>> Runs() const;

  // The run of this id, or the one published last where it is empty.
  arrow::Result<PublishedRun> Run(const std::string& run_id) const;

  // Memory: grows with the number of labels, not of images. Errors also where run_info, the
  // variance or the metadata cannot be read.
  arrow::Result<RunContents> Contents(const std::string& run_id) const;

  // The parts of a table of a run in the order of their rows, by their paths below the output;
  // none where the run has not this table. `kind` and `name`: those of a folder of the output
  // contract, "features/parquet" and "features".
  arrow::Result<std::vector<std::string>> Parts(const std::string& run_id, std::string_view kind,
                                                std::string_view name) const;

  // A whole file.
  arrow::Result<std::shared_ptr<arrow::Buffer>> Read(const std::string& below) const;

 private:
  PublishedOutput(std::unique_ptr<PublishedFiles> files, CancelToken cancel);

  const std::unique_ptr<PublishedFiles> files_;
  const CancelToken cancel_;
};

// What `pomona show` prints, of the runs of an output or of one of them: lines in which names are
// Printable(). Times are those of the process' time zone.
std::string Describe(std::span<const PublishedRun> runs);
std::string Describe(const RunContents& contents);

// "24.3 MB".
std::string BytesText(int64_t bytes);

// What DeleteRun() would remove, without what run_info tells. The run may not be published, as after
// a removal that was interrupted. Errors: Invalid where there is nothing of a run of this id, or
// where its folders hold what is none of its files; IOError.
arrow::Result<PublishedRun> RunToDelete(const std::string& output, const std::string& run_id,
                                        const S3Options& s3 = {}, CancelToken cancel = {});

// Removes a run: the folders that are named after it, run_info first, so that it does not count as
// published from then on. What an interrupted call leaves is removed by the next one, and by the
// next run in this output. Unfinished work of other runs stays.
//
// Errors: those of RunToDelete(); RunRefusal::kOutputBusy where a run is writing to the output.
arrow::Status DeleteRun(const std::string& output, const std::string& run_id,
                        const S3Options& s3 = {}, CancelToken cancel = {});

}  // namespace pomona
