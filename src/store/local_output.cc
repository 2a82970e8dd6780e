#include "local_output.h"

#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <filesystem>
#include <iterator>
#include <set>

#include "disk.h"

namespace pomona {
namespace {

namespace fs = std::filesystem;

// What this makes in the work folder beside what WorkFolder does.
constexpr const char* kRolledBack = "/withdrawn";  // a folder of a run that died meanwhile
constexpr const char* kProbe = "/probe";           // see TryMoves()
constexpr const char* kCard = "/card";             // the next one, until it is whole

}  // namespace

arrow::Status LocalOutput::Lock(CancelToken) {
  for (const OutputFolder* folder : folders_) {
    ARROW_RETURN_NOT_OK(CheckFolders(path_, std::string(folder->kind)));
  }
  ARROW_ASSIGN_OR_RAISE(work_, WorkFolder::Open(path_));
  ARROW_RETURN_NOT_OK(RollBackUnfinished());
  return TryMoves();
}

// Parts are staged in a folder of our own, so that those of two attempts at one task do not meet,
// and one that comes too late finds no place to go to.
arrow::Status LocalOutput::Join(const std::string& run_id, bool together) {
  const std::string work = path_ + '/' + std::string(kWorkFolder);
  ARROW_ASSIGN_OR_RAISE(const bool there, Exists(work));
  if (!there) {
    return arrow::Status::Invalid(work,
                                  ": no run is under way there; OUTPUT has to be on a file "
                                  "system that every machine sees under the same path");
  }
  for (const char* folder : {kScratch, kStaged}) {
    ARROW_RETURN_NOT_OK(CheckFolders(path_, std::string(kWorkFolder) + folder));
  }
  if (together) {
    ARROW_ASSIGN_OR_RAISE(shared_, FolderLock::Share(work));
  }
  ARROW_RETURN_NOT_OK(MakeFolders(work + kScratch));
  ARROW_ASSIGN_OR_RAISE(scratch_, ScratchFolder::Make(work + kScratch));
  ARROW_ASSIGN_OR_RAISE(work_, WorkFolder::Join(path_, scratch_->path()));
  return work_->Begin(run_id);
}

void LocalOutput::Leave() {
  work_.reset();
  scratch_.reset();
  shared_.reset();
}

void LocalOutput::Abandon() {
  work_->Withdraw();
  Leave();
}

arrow::Status LocalOutput::Deliver(CancelToken cancel) {
  const fs::path target = path_ + '/' + std::string(kWorkFolder) + kStaged;
  ARROW_ASSIGN_OR_RAISE(const std::vector<std::string> files, FilesBelow(work_->StagedRoot()));
  for (const std::string& file : files) {
    ARROW_RETURN_NOT_OK(cancel.Check());
    std::error_code error;
    fs::rename(work_->StagedRoot() + '/' + file, target / file, error);
    if (error) return DiskError("bring a part to", target / file, error.value());
  }
  return arrow::Status::OK();
}

arrow::Status LocalOutput::Begin(const std::string& run_id) {
  ARROW_ASSIGN_OR_RAISE(const bool is_published, Exists(PublishedFolder(kRunInfo, run_id)));
  if (is_published) return RunExists(run_id, path_);
  for (const OutputFolder* folder : folders_) {
    const std::string path = PublishedFolder(*folder, run_id);
    ARROW_ASSIGN_OR_RAISE(const bool taken, Exists(path));
    if (taken) return FolderExists(path, run_id);
  }
  return work_->Begin(run_id);
}

arrow::Status LocalOutput::Publish(const std::vector<OutputFolder>& folders, CancelToken,
                                   const Poll&, const std::function<void()>& published) {
  ARROW_RETURN_NOT_OK(work_->Seal(folders));
  for (const OutputFolder& folder : folders) ARROW_RETURN_NOT_OK(MakeFolders(KindFolder(folder)));
  ARROW_RETURN_NOT_OK(WriteJournal(work_->run_id()));
  const arrow::Status moved = Move(folders);
  if (!moved.ok()) {
    (void)RollBack(work_->run_id());  // if this fails as well, the next run does it
    return moved;
  }
  published();
  // The run is published whatever becomes of this; what stays behind is removed by the next one.
  (void)RemoveAll(path_ + '/' + kJournal);
  for (const char* name : {kRolledBack, kProbe, kCard}) (void)RemoveAll(work_->path() + name);
  work_->CleanUp();
  return arrow::Status::OK();
}

arrow::Status LocalOutput::WriteCard(std::string_view text) {
  const std::string card = path_ + '/' + kCardName, written = work_->path() + kCard;
  ARROW_RETURN_NOT_OK(RemoveAll(written));  // whatever it is
  arrow::Status status = text.empty() ? RemoveAll(card) : WriteSmallFile(written, text);
  if (status.ok() && !text.empty() && rename(written.c_str(), card.c_str()) != 0) {
    status = DiskError("replace", card, errno);
  }
  (void)RemoveAll(written);
  ARROW_RETURN_NOT_OK(status);
  return SyncFolder(path_);
}

// Each folder is durable in its place before the next one moves, so that the last never stands
// there without the others.
arrow::Status LocalOutput::Move(const std::vector<OutputFolder>& folders) const {
  for (const OutputFolder& folder : folders) {
    if (!folder.inner.empty()) continue;  // moves with the one that it lies in
    std::error_code error;
    const std::string published = PublishedFolder(folder, work_->run_id());
    fs::rename(work_->StagedFolder(folder), published, error);
    if (error) return DiskError("publish", published, error.value());
    ARROW_RETURN_NOT_OK(SyncFolder(KindFolder(folder)));
  }
  return arrow::Status::OK();
}

arrow::Status LocalOutput::Remove(const std::string& run_id) {
  ARROW_RETURN_NOT_OK(WriteJournal(run_id));
  return RollBack(run_id);
}

// From here on, whoever finds the journal knows whose folders to roll back.
arrow::Status LocalOutput::WriteJournal(const std::string& run_id) const {
  ARROW_RETURN_NOT_OK(WriteSmallFile(published().Path(kJournal), run_id + '\n'));
  return SyncFolder(work_->path());
}

// A journal without its line end was not flushed, so nothing was moved after it.
arrow::Status LocalOutput::RollBackUnfinished() {
  const std::string journal = published().Path(kJournal);
  ARROW_ASSIGN_OR_RAISE(const bool died_publishing, Exists(journal));
  if (!died_publishing) return arrow::Status::OK();
  ARROW_ASSIGN_OR_RAISE(const std::string text, published().Read(kJournal));
  if (text.ends_with('\n')) {
    const std::string run_id = text.substr(0, text.size() - 1);
    ARROW_RETURN_NOT_OK(CheckJournal(journal, run_id));
    met_interrupted_ = true;
    ARROW_ASSIGN_OR_RAISE(const bool is_published, Exists(PublishedFolder(kRunInfo, run_id)));
    if (!is_published) return RollBack(run_id);
  }
  return RemoveAll(journal);
}

// The run's existence ends first, and the journal last.
arrow::Status LocalOutput::RollBack(const std::string& run_id) const {
  const std::string bin = work_->path() + kRolledBack;
  // No std::views::reverse: clang 14 of Debian 12 cannot compile it with GCC's library.
  for (auto folder = std::rbegin(folders_); folder != std::rend(folders_); ++folder) {
    ARROW_RETURN_NOT_OK(RemoveAll(bin));
    const std::string published = PublishedFolder(**folder, run_id);
    std::error_code error;
    fs::rename(published, bin, error);
    if (error == std::errc::no_such_file_or_directory) continue;
    if (error) return DiskError("roll back", published, error.value());
    ARROW_RETURN_NOT_OK(SyncFolder(KindFolder(**folder)));
  }
  ARROW_RETURN_NOT_OK(RemoveAll(bin));
  return RemoveAll(published().Path(kJournal));
}

// Publishing moves folders, and is tried before hours of work depend on it. What a kill leaves of
// it is an empty folder, which the next try takes away.
arrow::Status LocalOutput::TryMoves() const {
  std::set<std::string> places;  // where the folders will stand, or above
  for (const OutputFolder* folder : folders_) {
    std::string place = path_;
    for (const fs::path& name : fs::path(folder->kind)) {
      ARROW_ASSIGN_OR_RAISE(const bool there, Exists(place + '/' + name.string()));
      if (!there) break;
      place += '/' + name.string();
    }
    places.insert(std::move(place));
  }
  const std::string probe = work_->path() + kProbe;
  ARROW_RETURN_NOT_OK(RemoveAll(probe));
  for (const std::string& place : places) {
    if (mkdir(probe.c_str(), 0777) != 0 && errno != EEXIST) {
      return DiskError("create the folder", probe, errno);
    }
    const std::string moved = place + "/_pomona-probe";
    if (rename(probe.c_str(), moved.c_str()) != 0) {
      const arrow::Status status = DiskError("move a folder to", moved, errno);
      rmdir(probe.c_str());
      return status.WithMessage(status.message(),
                                "; a run is published by renaming folders, so all of OUTPUT has to "
                                "be on one file system that can do that");
    }
    if (rmdir(moved.c_str()) != 0) return DiskError("remove", moved, errno);
  }
  return arrow::Status::OK();
}

std::string LocalOutput::PublishedFolder(const OutputFolder& folder,
                                         const std::string& run_id) const {
  return path_ + '/' + folder.Path(run_id);
}

std::string LocalOutput::KindFolder(const OutputFolder& folder) const {
  return path_ + '/' + std::string(folder.kind);
}

}  // namespace pomona
