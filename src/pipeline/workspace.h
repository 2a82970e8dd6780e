// The output folder: one writer at a time, unfinished work out of sight, runs published whole.
#pragma once

#include <arrow/io/interfaces.h>
#include <arrow/result.h>

#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace pomona {

// One folder of the output contract.
struct OutputFolder {
  std::string kind;  // "features/parquet"
  std::string name;  // "features", published as <kind>/<name>_<run id>
};

// Holds OUTPUT for one run. What is unfinished lives in OUTPUT/_pomona, which readers that follow
// the convention of '_' never see: the lock, the fragments done so far, the folders to publish.
//
// Threads: the functions that return paths and streams may be called by any number at once.
class Workspace {
 public:
  // Creates the folders and takes the lock.
  // Errors: RunRefusal::kOutputBusy where another run holds it; Invalid where the run id is
  // published already; IOError.
  static arrow::Result<std::unique_ptr<Workspace>> Open(const std::string& output,
                                                        const std::string& run_id, bool fresh);
  ~Workspace();
  Workspace(const Workspace&) = delete;
  Workspace& operator=(const Workspace&) = delete;

  // Where the fragment with this key is, or will be.
  std::string FragmentPath(size_t index, const std::string& key) const;

  // Where rejects are listed when a run is refused for them.
  std::string RefusedErrorsPath() const;

  // The file part-NNNNN.<extension> of an unpublished folder, which is created.
  arrow::Result<std::string> PartPath(const OutputFolder& folder, size_t part,
                                      std::string_view extension) const;

  // The same, opened for writing. Closing it flushes it to the disk.
  arrow::Result<std::shared_ptr<arrow::io::OutputStream>> CreatePart(
      const OutputFolder& folder, size_t part, std::string_view extension) const;

  arrow::Status WritePart(const OutputFolder& folder, size_t part, std::string_view extension,
                          std::string_view text) const;

  // Writes one file and flushes it to the disk.
  arrow::Status WriteText(const std::string& path, std::string_view text) const;

  // Adds _SUCCESS to the folders and moves them to their places, in the order given; the last one
  // makes the run exist. Then the unfinished work is removed.
  arrow::Status Publish(const std::vector<OutputFolder>& folders);

 private:
  Workspace(std::string output, std::string run_id);
  arrow::Status Lock();
  std::string StagedFolder(const OutputFolder& folder) const;
  std::string PublishedFolder(const OutputFolder& folder) const;

  std::string output_;
  std::string work_;
  std::string run_id_;
  int lock_ = -1;
};

}  // namespace pomona
