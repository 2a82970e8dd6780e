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

constexpr int kUploadsAtOnce = 8;

// How old the certainty may be that the output is ours. Nobody takes over what changed less than
// kLockPatience ago.
constexpr S3Lease::Clock::duration kRecently = 2 * kHeartbeat;

// What runs leave in the work folder, there.
constexpr std::string_view kSharedNames[] = {"publishing", "items", "fragments", "run"};

std::string Below(const std::string& name) { return std::string(kWorkFolder) + '/' + name; }

}  // namespace

arrow::Result<std::unique_ptr<Output>> S3Output::Open(const std::string& uri,
                                                      const S3Options& options, CancelToken cancel,
                                                      OutputFolders folders) {
  ARROW_ASSIGN_OR_RAISE(auto folder, S3Folder::Open(uri, options, cancel, folders));
  ARROW_ASSIGN_OR_RAISE(const std::string cache, CacheFolder());
  const std::string name = Sha256().Add(folder->uri()).Hex().substr(0, 16);
  const std::string local = fs::path(cache) / "outputs" / name;
  return std::unique_ptr<Output>(new S3Output(std::move(folder), local));
}

S3Output::S3Output(std::unique_ptr<S3Folder> folder, std::string local)
    : folder_(std::move(folder)),
      local_(std::move(local)),
      shared_(*folder_),
      lease_(*folder_, local_) {}

arrow::Status S3Output::Lock(CancelToken cancel) {
  ARROW_ASSIGN_OR_RAISE(work_, WorkFolder::Open(local_));
  const arrow::Status locked = Guarded([&]() -> arrow::Status {
    ARROW_RETURN_NOT_OK(lease_.Take(cancel));
    ARROW_RETURN_NOT_OK(RollBackUnfinished());
    // A run that is planned lies there, not here.
    ARROW_RETURN_NOT_OK(work_->ClearRun());
    return shared_.Learn();
  });
  if (!locked.ok()) lease_.Release();
  // What others left of an unfinished run is found where it is asked for.
  if (!shared_.empty()) work_->ShareBy(&shared_, /*send=*/false);
  return locked;
}

arrow::Status S3Output::Clear(bool fresh) {
  if (fresh && !shared_.empty()) {
    ARROW_RETURN_NOT_OK(folder_->RemoveFolder(std::string(kWorkFolder)));
    ARROW_RETURN_NOT_OK(shared_.Learn());
  }
  return work_->Clear(fresh);
}

arrow::Status S3Output::Join(const std::string& run_id, bool) {
  ARROW_ASSIGN_OR_RAISE(const std::string temporary, TemporaryRoot());
  ARROW_ASSIGN_OR_RAISE(scratch_, ScratchFolder::Make(temporary));
  local_ = scratch_->path();
  const std::string work = local_ + '/' + std::string(kWorkFolder);
  ARROW_ASSIGN_OR_RAISE(work_, WorkFolder::Join(local_, work + kStaged));
  ARROW_RETURN_NOT_OK(MakeFolders(work));
  ARROW_RETURN_NOT_OK(work_->Clear(/*fresh=*/true));
  ARROW_RETURN_NOT_OK(shared_.Learn());
  work_->ShareBy(&shared_, /*send=*/true);
  return work_->Begin(run_id);
}

arrow::Status S3Output::OpenForOthers() {
  work_->ShareBy(&shared_, /*send=*/true);
  is_shared_ = true;
  // They upload their parts: from now on there is something to roll back.
  ARROW_RETURN_NOT_OK(lease_.Confirm());
  return folder_->Put(kJournal, work_->run_id());
}

arrow::Status S3Output::Deliver(CancelToken cancel) {
  ARROW_ASSIGN_OR_RAISE(const std::vector<std::string> files, FilesBelow(work_->StagedRoot()));
  for (const std::string& file : files) {
    const std::string local = work_->StagedRoot() + '/' + file;
    ARROW_RETURN_NOT_OK(folder_->PutFile(local, file, cancel));
    ARROW_RETURN_NOT_OK(RemoveAll(local));
  }
  return arrow::Status::OK();
}

void S3Output::Leave() {
  lease_.Release();
  if (!scratch_ && work_) (void)work_->ClearRun();
  work_.reset();
  scratch_.reset();
}

arrow::Status S3Output::Begin(const std::string& run_id) {
  ARROW_ASSIGN_OR_RAISE(const bool exists, published().Exists(SuccessOf(kRunInfo, run_id)));
  if (exists) return RunExists(run_id, location());
  const OutputFolders folders = published().folders();
  const auto check = [&](size_t i, int) -> arrow::Status {
    const std::string folder = folders[i]->Path(run_id);
    ARROW_ASSIGN_OR_RAISE(const auto inside, published().List(folder, /*with_subfolders=*/true));
    // Objects that only mark folders do no harm.
    const bool taken = std::ranges::any_of(inside, [](const auto& it) { return it.IsFile(); });
    return taken ? FolderExists(published().Path(folder), run_id) : arrow::Status::OK();
  };
  ARROW_RETURN_NOT_OK(ParallelFor(folders.size(), kUploadsAtOnce, {}, check));
  return work_->Begin(run_id);
}

arrow::Status S3Output::Upload(CancelToken cancel, const Poll& poll) {
  if (uploaded_.empty()) {
    ARROW_RETURN_NOT_OK(lease_.Confirm());
    ARROW_RETURN_NOT_OK(folder_->Put(kJournal, work_->run_id()));
  }
  const std::string root = work_->StagedRoot();
  ARROW_ASSIGN_OR_RAISE(const std::vector<std::string> staged, FilesBelow(root));
  std::vector<std::string> below;  // paths of the files
  for (const std::string& path : staged) {
    // A folder is complete only once all are here.
    if (!path.ends_with(kSuccess) && uploaded_.insert(path).second) below.push_back(path);
  }
  const auto upload = [&](size_t i, int) -> arrow::Status {
    ARROW_RETURN_NOT_OK(lease_.Confirm(kRecently));
    return folder_->PutFile(root + '/' + below[i], below[i], cancel);
  };
  return ParallelFor(below.size(), kUploadsAtOnce, cancel, upload, [&] { poll(folder_->bytes()); });
}

arrow::Status S3Output::Publish(const std::vector<OutputFolder>& folders, CancelToken cancel,
                                const Poll& poll, const std::function<void()>& published) {
  ARROW_RETURN_NOT_OK(work_->Seal(folders));
  ARROW_RETURN_NOT_OK(Upload(cancel, poll));
  ARROW_RETURN_NOT_OK(lease_.Confirm());
  if (is_shared_) ARROW_RETURN_NOT_OK(RemoveStrangers(folders));
  for (const OutputFolder& folder : folders) {
    ARROW_RETURN_NOT_OK(lease_.Confirm(kRecently));
    ARROW_RETURN_NOT_OK(folder_->Put(SuccessOf(folder, work_->run_id()), ""));
  }
  published();
  // The run is published whatever becomes of this; what stays behind is removed by the next one.
  (void)RemoveWork();
  lease_.Release();
  work_->CleanUp();
  return arrow::Status::OK();
}

arrow::Status S3Output::WriteCard(std::string_view text) {
  ARROW_RETURN_NOT_OK(lease_.Confirm(kRecently));
  return text.empty() ? folder_->RemoveFile(kCardName) : folder_->Put(kCardName, text);
}

void S3Output::Abandon() {
  // What another run has by now is not ours to remove.
  if (!lease_.Confirm().ok()) return;
  // The journal stays where it is still needed; the next run reads it. Others may bring parts yet.
  if (RollBackUnfinished().ok()) {
    (void)(is_shared_ ? folder_->Put(kJournal, work_->run_id()) : folder_->RemoveFile(kJournal));
  }
  (void)work_->ClearRun();
  work_->Withdraw();
  Leave();
}

arrow::Status S3Output::Remove(const std::string& run_id) {
  ARROW_RETURN_NOT_OK(lease_.Confirm());
  ARROW_RETURN_NOT_OK(folder_->Put(kJournal, run_id));
  // Of a folder, any object may go first.
  ARROW_RETURN_NOT_OK(folder_->RemoveFile(SuccessOf(kRunInfo, run_id)));
  return RollBack(run_id);
}

// What attempts that came too late for an earlier run of this id left in its folders.
arrow::Status S3Output::RemoveStrangers(const std::vector<OutputFolder>& folders) {
  const Checksums ours = work_->checksums();
  const size_t root = location().size() + 1;
  for (const OutputFolder& folder : folders) {
    ARROW_ASSIGN_OR_RAISE(const auto entries, published().List(folder.Path(work_->run_id())));
    for (const arrow::fs::FileInfo& entry : entries) {
      const std::string below = entry.path().substr(root);
      if (!entry.IsFile() || ours.contains(below) || uploaded_.contains(below)) continue;
      ARROW_RETURN_NOT_OK(folder_->RemoveFile(below));
    }
  }
  return arrow::Status::OK();
}

arrow::Status S3Output::RollBackUnfinished() {
  ARROW_ASSIGN_OR_RAISE(const std::string run_id, folder_->ReadText(kJournal));
  if (run_id.empty()) return arrow::Status::OK();
  ARROW_RETURN_NOT_OK(CheckJournal(location() + '/' + kJournal, run_id));
  met_interrupted_ = true;
  ARROW_ASSIGN_OR_RAISE(const bool is_published, published().Exists(SuccessOf(kRunInfo, run_id)));
  if (is_published) return folder_->Put(kJournal, "");
  std::vector<std::string> folders;
  const OutputFolders all = published().folders();
  for (const OutputFolder* folder : all) folders.push_back(folder->Path(run_id));
  ARROW_RETURN_NOT_OK(folder_->AbortUploads(folders));
  return RollBack(run_id);
}

// The run's existence ends first.
arrow::Status S3Output::RollBack(const std::string& run_id) {
  // No std::views::reverse: see LocalOutput::RollBack().
  const OutputFolders folders = folder_->files().folders();
  for (auto folder = std::rbegin(folders); folder != std::rend(folders); ++folder) {
    ARROW_RETURN_NOT_OK(folder_->RemoveFolder((*folder)->Path(run_id)));
  }
  return folder_->Put(kJournal, "");
}

// The folder goes with all that a run leaves in it, unless it holds something else.
arrow::Status S3Output::RemoveWork() {
  if (shared_.empty() && !is_shared_) return folder_->RemoveFile(kJournal);
  ARROW_ASSIGN_OR_RAISE(const auto entries, published().List(std::string(kWorkFolder)));
  for (const arrow::fs::FileInfo& entry : entries) {
    if (std::ranges::find(kSharedNames, entry.base_name()) == std::end(kSharedNames)) {
      return folder_->RemoveFile(kJournal);
    }
  }
  return folder_->RemoveFolder(std::string(kWorkFolder));
}

arrow::Status S3Output::SharedFolder::Send(const std::string& path, const std::string& name) {
  return folder_.PutFile(path, Below(name), {});
}

arrow::Result<bool> S3Output::SharedFolder::Fetch(const std::string& name, const std::string& path,
                                                  bool known) {
  if (known && !known_.contains(name)) return false;
  return folder_.GetFile(Below(name), path);
}

arrow::Result<std::shared_ptr<arrow::io::RandomAccessFile>> S3Output::SharedFolder::Open(
    const std::string& name) {
  return folder_.files().OpenFile(Below(name));
}

arrow::Result<std::set<std::string>> S3Output::SharedFolder::List() {
  ARROW_ASSIGN_OR_RAISE(const auto entries, folder_.files().List(std::string(kWorkFolder),
                                                                 /*with_subfolders=*/true));
  const size_t root = folder_.uri().size() + 1 + kWorkFolder.size() + 1;
  std::set<std::string> names;
  for (const arrow::fs::FileInfo& entry : entries) {
    if (entry.IsFile()) names.insert(entry.path().substr(root));
  }
  return names;
}

arrow::Status S3Output::SharedFolder::Learn() {
  ARROW_ASSIGN_OR_RAISE(known_, List());
  return arrow::Status::OK();
}

}  // namespace pomona
