// What a published run says about its images: which are there twice, which leaked from training to
// test, which are unlike all others, which are labelled wrongly, which are dark or blurred.
#pragma once

#include <arrow/result.h>

#include <cstdint>
#include <functional>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "pomona/cancel.h"
#include "pomona/cpu.h"
#include "pomona/glob.h"
#include "pomona/options.h"

namespace pomona {

// Images whose path below INPUT matches belong to this part of a data set.
struct SplitRule {
  Glob glob;
  std::string name;
};

// "GLOB=NAME". Errors: Invalid says what is wrong.
arrow::Result<SplitRule> ParseSplitRule(std::string_view text);

// The part of a data set that an image belongs to: of the first rule that matches; else "train",
// "test" or "val", where the outermost folder of such a name (train, training, test, val, validation,
// whatever their case) says so; else "".
std::string SplitOf(std::string_view relative_path, const std::vector<SplitRule>& rules);

struct AuditOptions {
  std::string run_id;  // empty: the run published last

  // Two images are near duplicates where the cosine of their features is at least this; above 0, at
  // most 1.
  double near = 0.98;

  // How many nearest images vote on a label; at least 1.
  int neighbours = 10;

  // How many nearest images of each are published as a table of their own; 0: none.
  int knn = 0;

  std::vector<SplitRule> splits;

  int threads = 0;  // see ThreadCount()
  Cpu cpu = Cpu::kBest;
  S3Options s3;
};

struct AuditSummary {
  std::string run_id;
  int64_t rows = 0;
  int64_t groups = 0;           // of images that are duplicates of one another
  int64_t duplicates = 0;       // images in them
  int64_t same_bytes = 0;       // of these: with the very file of another
  int64_t same_pixels = 0;      // of these: another file with the very pixels of another
  int64_t label_conflicts = 0;  // of `groups`: with more than one label
  int64_t splits = 0;           // parts of the data set that images are in
  int64_t split_leaks = 0;      // of `groups`: in more than one of them
  int64_t outliers = 0;
  int64_t label_issues = 0;
  StatsKind stats = StatsKind::kNone;           // that all images have
  std::map<std::string, int64_t> image_issues;  // images by issue, where it could be judged
  std::vector<std::string> notes;  // where options or counts say little about these images
  double seconds = 0;
  std::vector<std::string> folders;  // that were published, below the output
};

struct AuditHooks {
  // Called every so often, always on the thread that called Audit(): how far its stage is,
  // "read", "compare", "vote" or "search".
  std::function<void(std::string_view stage, int64_t done, int64_t total)> progress = {};

  CancelToken cancel = {};
};

// What the program prints of it.
std::string Describe(const AuditSummary& summary);

// Audits a run published in `output`, a folder or one on S3, and publishes tables (docs/audit.md)
// below OUTPUT/audit, in place of those of an earlier audit of this run. Of the same run and options
// they are the same bytes, on any threads and CPU.
//
// Memory: some 850 bytes an image and its path twice, 12 bytes for each of its nearest that is
// published, beyond some 10 MiB for each thread. Disk, until it
// is done: 5 KiB an image, in OUTPUT/audit, or on this machine where OUTPUT is on S3.
// Errors: Invalid where there is no such run, an option cannot work, or its files are not those that
// were published; RunRefusal::kOutputBusy where another audit is under way there; Cancelled; IOError.
// Nothing is published then.
arrow::Result<AuditSummary> Audit(const std::string& output, const AuditOptions& options,
                                  const AuditHooks& hooks = {});

// Two rows of features.
struct NearPair {
  uint32_t a = 0;
  uint32_t b = 0;
  double cosine = 0;

  bool operator==(const NearPair&) const = default;
};

// All pairs of rows a < b whose cosine is at least `least`, above 0 and at most 1, in order: those
// that comparing each with each gives. A row of zeros is near none.
// rows: n x dimensions, finite, row-major. Memory: some 500 bytes a row, 10 KiB a dimension, for a
// sample of the rows, up to 100 MiB for its covariance, and the pairs.
// `hooks`: as above, stage "compare".
// Errors: Invalid; Cancelled.
arrow::Result<std::vector<NearPair>> NearPairs(std::span<const float> rows, int dimensions,
                                               double least, int threads = 0,
                                               const AuditHooks& hooks = {}, Cpu cpu = Cpu::kBest);

// The same of a row a of `rows` and a row b of `others`, with the same cosines.
arrow::Result<std::vector<NearPair>> NearPairs(std::span<const float> rows,
                                               std::span<const float> others, int dimensions,
                                               double least, int threads = 0,
                                               const AuditHooks& hooks = {}, Cpu cpu = Cpu::kBest);

}  // namespace pomona
