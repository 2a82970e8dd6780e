#include "s3_output.h"

#include <algorithm>
#include <filesystem>
#include <iterator>
#include <utility>

#include "guarded.h"
#include "pomona/location.h"
#include "refusal.h"
#include "sha256.h"
#include "tasks.h"

namespace pomona {
namespace {

namespace fs = std::filesystem;

constexpr const char* kJournal = "_pomona/publishing";  // the run that is being uploaded
constexpr int kUploadsAtOnce = 8;

std::string SuccessOf(const OutputFolder& folder, const std::string& run_id) {
  return folder.Path(run_id) + '/' + std::string(kSuccess);
}

}  // namespace

arrow::Result<std::unique_ptr<Output>> S3Output::Open(const std::string& uri,
                                                      const S3Options& options,
                                                      CancelToken cancel) {
  ARROW_ASSIGN_OR_RAISE(auto folder, S3Folder::Open(uri, options, cancel));
  ARROW_ASSIGN_OR_RAISE(const std::string cache, CacheFolder());
  const std::string name = Sha256().Add(folder->uri()).Hex().substr(0, 16);
  const std::string local = fs::path(cache) / "outputs" / name;
  return std::unique_ptr<Output>(new S3Output(std::move(folder), local));
}

S3Output::S3Output(std::unique_ptr<S3Folder> folder, std::string local)
    : folder_(std::move(folder)), local_(std::move(local)), lease_(*folder_, local_) {}

arrow::Status S3Output::Lock(bool fresh, CancelToken cancel) {
  ARROW_ASSIGN_OR_RAISE(work_, WorkFolder::Open(local_));
  const arrow::Status locked = Guarded([&]() -> arrow::Status {
    ARROW_RETURN_NOT_OK(lease_.Take(cancel));
    folder_->connection().Reached();
    ARROW_RETURN_NOT_OK(RollBackUnfinished());
    return work_->Clear(fresh);
  });
  if (!locked.ok()) lease_.Release();
  return locked;
}

arrow::Status S3Output::Begin(const std::string& run_id) {
  ARROW_ASSIGN_OR_RAISE(const bool exists, published().Exists(SuccessOf(kRunInfo, run_id)));
  if (exists) return RunExists(run_id, location());
  return work_->Begin(run_id);
}

arrow::Status S3Output::Upload(CancelToken cancel, const Poll& poll) {
  if (uploaded_.empty()) ARROW_RETURN_NOT_OK(folder_->Put(kJournal, work_->run_id()));
  const std::string root = work_->StagedRoot();
  std::vector<std::string> below;  // paths of the files
  std::error_code error;
  for (fs::recursive_directory_iterator entry(root, error), end; !error && entry != end;
       entry.increment(error)) {
    // A folder is complete only once all are here.
    if (!entry->is_regular_file() || entry->path().filename() == kSuccess) continue;
    const std::string path = entry->path().lexically_relative(root);
    if (uploaded_.insert(path).second) below.push_back(path);
  }
  if (error) return arrow::Status::IOError("cannot list ", root, ": ", error.message());
  const auto upload = [&](size_t i, int) {
    return folder_->PutFile(root + '/' + below[i], below[i], cancel);
  };
  return ParallelFor(below.size(), kUploadsAtOnce, cancel, upload, [&] { poll(folder_->bytes()); });
}

arrow::Status S3Output::Publish(const std::vector<OutputFolder>& folders, CancelToken cancel,
                                const Poll& poll) {
  ARROW_RETURN_NOT_OK(work_->Seal(folders));
  ARROW_RETURN_NOT_OK(Upload(cancel, poll));
  for (const OutputFolder& folder : folders) {
    if (!lease_.held()) {
      return Refuse(RunRefusal::kOutputBusy, "another run has taken over the output " + location());
    }
    ARROW_RETURN_NOT_OK(folder_->Put(SuccessOf(folder, work_->run_id()), ""));
  }
  // The run is published whatever becomes of this; what stays behind is removed by the next one.
  (void)RemoveJournal();
  lease_.Release();
  work_->CleanUp();
  return arrow::Status::OK();
}

void S3Output::Abandon() {
  if (!lease_.held()) return;
  // The journal stays where it is still needed; the next run reads it.
  if (RollBackUnfinished().ok()) (void)RemoveJournal();
  lease_.Release();
}

arrow::Status S3Output::RollBackUnfinished() {
  ARROW_ASSIGN_OR_RAISE(const std::string run_id, folder_->ReadText(kJournal));
  if (run_id.empty()) return arrow::Status::OK();
  ARROW_RETURN_NOT_OK(CheckJournal(location() + '/' + kJournal, run_id));
  ARROW_ASSIGN_OR_RAISE(const bool is_published, published().Exists(SuccessOf(kRunInfo, run_id)));
  if (is_published) return arrow::Status::OK();
  // No std::views::reverse: see LocalOutput::RollBack().
  for (auto folder = std::rbegin(kAllFolders); folder != std::rend(kAllFolders); ++folder) {
    ARROW_RETURN_NOT_OK(folder_->RemoveFolder((*folder)->Path(run_id)));
  }
  return folder_->Put(kJournal, "");
}

arrow::Status S3Output::RemoveJournal() const {
  ARROW_ASSIGN_OR_RAISE(const auto entries, published().List(std::string(kWorkFolder)));
  const bool alone = std::ranges::all_of(entries, [](const arrow::fs::FileInfo& entry) {
    return entry.IsFile() && entry.path().ends_with(kJournal);
  });
  // The folder goes with it, unless it holds something else; Arrow would leave a mark of it.
  return alone ? folder_->RemoveFolder(std::string(kWorkFolder)) : folder_->RemoveFile(kJournal);
}

}  // namespace pomona
