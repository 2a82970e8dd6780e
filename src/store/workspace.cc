#include "workspace.h"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <filesystem>
#include <iterator>

#include "published_files.h"

namespace pomona {
namespace {

namespace fs = std::filesystem;

constexpr const char* kWorkFolder = "_pomona";
constexpr const char* kSuccess = "_SUCCESS";

// What a run makes in the folder above, beside the lock; all else there is somebody's.
constexpr const char* kFragments = "/fragments";
constexpr const char* kPublish = "/publish";      // the folders to publish
constexpr const char* kJournal = "/publishing";   // the run that is moving them to their places
constexpr const char* kWithdrawn = "/withdrawn";  // a folder of a run that died meanwhile
constexpr const char* kRefusedErrors = "/errors.csv";
constexpr const char* kProbe = "/probe";  // see TryMoves()
constexpr const char* kOurs[] = {kFragments, kPublish,       kJournal,
                                 kWithdrawn, kRefusedErrors, kProbe};

arrow::Status WriteFile(const std::string& path, std::string_view text) {
  ARROW_ASSIGN_OR_RAISE(const auto file, OutputFile::Create(path));
  ARROW_RETURN_NOT_OK(file->Write(text.data(), static_cast<int64_t>(text.size())));
  return file->Close();
}

arrow::Result<std::vector<std::string>> NamesIn(const std::string& folder) {
  std::vector<std::string> names;
  std::error_code error;
  for (fs::directory_iterator entry(folder, error), end; !error && entry != end;
       entry.increment(error)) {
    names.push_back(entry->path().filename());
  }
  if (error) return DiskError("list", folder, error.value());
  return names;
}

// Whole fragments have this name; while they are written they have others.
bool IsFragment(const std::string& name) { return name.ends_with(".safetensors"); }

}  // namespace

Workspace::Workspace(std::string output)
    : output_(std::move(output)), work_(output_ + "/" + kWorkFolder) {}

arrow::Result<std::unique_ptr<Workspace>> Workspace::Open(const std::string& output, bool fresh) {
  std::unique_ptr<Workspace> workspace(new Workspace(output));
  const std::string& work = workspace->work_;
  ARROW_RETURN_NOT_OK(CheckFolders(output, std::string(kWorkFolder) + kFragments));
  for (const OutputFolder* folder : kAllFolders) {
    ARROW_RETURN_NOT_OK(CheckFolders(output, folder->kind));
  }
  ARROW_ASSIGN_OR_RAISE(workspace->lock_, FolderLock::Take(work));
  ARROW_RETURN_NOT_OK(workspace->WithdrawUnfinished());
  // Parts of a run that did not reach its end are made again from the fragments.
  for (const char* name : {kPublish, kRefusedErrors}) ARROW_RETURN_NOT_OK(RemoveAll(work + name));
  if (fresh) ARROW_RETURN_NOT_OK(RemoveAll(work + kFragments));
  const std::string fragments = work + kFragments;
  ARROW_RETURN_NOT_OK(MakeFolders(fragments));
  ARROW_ASSIGN_OR_RAISE(const std::vector<std::string> names, NamesIn(fragments));
  for (const std::string& name : names) {
    // Those that a run was killed over.
    if (!IsFragment(name)) ARROW_RETURN_NOT_OK(RemoveAll(fragments + '/' + name));
  }
  ARROW_RETURN_NOT_OK(workspace->TryMoves());
  return workspace;
}

// Publishing moves folders, and is tried before hours of work depend on it. What a kill leaves of
// it is an empty folder, which the next try takes away.
arrow::Status Workspace::TryMoves() const {
  std::set<std::string> places;  // where the folders will stand, or above
  for (const OutputFolder* folder : kAllFolders) {
    std::string place = output_;
    for (const fs::path& name : fs::path(folder->kind)) {
      ARROW_ASSIGN_OR_RAISE(const bool there, Exists(place + '/' + name.string()));
      if (!there) break;
      place += '/' + name.string();
    }
    places.insert(std::move(place));
  }
  const std::string probe = work_ + kProbe;
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

arrow::Status Workspace::Begin(const std::string& run_id) {
  run_id_ = run_id;
  ARROW_ASSIGN_OR_RAISE(const bool published, Exists(PublishedFolder(kRunInfo)));
  if (published) {
    return arrow::Status::Invalid("the run ", run_id, " is already published in ", output_,
                                  "; choose another --run-id");
  }
  for (const OutputFolder* folder : kAllFolders) {
    const std::string path = PublishedFolder(*folder);
    ARROW_ASSIGN_OR_RAISE(const bool taken, Exists(path));
    if (taken) {
      return arrow::Status::Invalid(path, " is there already, though no run ", run_id,
                                    " is published; choose another --run-id");
    }
  }
  // The folder of the longest name: better now than after the work if it is too long.
  return NewPath(kModelInfo, "").status();
}

std::string Workspace::FragmentPath(size_t index, const std::string& key) const {
  char name[64];
  std::snprintf(name, sizeof name, "/%06zu-%.16s.safetensors", index, key.c_str());
  return work_ + kFragments + name;
}

arrow::Result<int64_t> Workspace::CountOtherFragments(const std::set<std::string>& wanted) const {
  const std::string folder = work_ + kFragments + '/';
  ARROW_ASSIGN_OR_RAISE(const std::vector<std::string> names, NamesIn(folder));
  return std::ranges::count_if(names, [&](const std::string& name) {
    return IsFragment(name) && !wanted.contains(folder + name);
  });
}

std::string Workspace::RefusedErrorsPath() const { return work_ + kRefusedErrors; }

std::string Workspace::StagedRoot() const { return work_ + kPublish; }

std::string Workspace::JournalPath() const { return work_ + kJournal; }

std::string Workspace::StagedFolder(const OutputFolder& folder) const {
  return StagedRoot() + '/' + folder.Path(run_id_);
}

std::string Workspace::PublishedFolder(const OutputFolder& folder) const {
  return output_ + "/" + folder.Path(run_id_);
}

arrow::Result<std::string> Workspace::NewPath(const OutputFolder& folder,
                                              const std::string& name) const {
  std::error_code error;
  fs::create_directories(StagedFolder(folder), error);
  if (error) return DiskError("create the folder", StagedFolder(folder), error.value());
  return StagedFolder(folder) + "/" + name;
}

arrow::Result<std::string> Workspace::PartPath(const OutputFolder& folder, size_t part,
                                               std::string_view extension) const {
  return NewPath(folder, PartName(part, extension));
}

arrow::Result<std::string> Workspace::ItemRecordPath(size_t part) const {
  return NewPath(kRunInfo, ItemRecordName(part));
}

std::string* Workspace::ChecksumOf(const std::string& staged_path) {
  const std::lock_guard lock(checksums_mutex_);
  return &checksums_[fs::path(staged_path).lexically_relative(StagedRoot())];
}

arrow::Result<std::shared_ptr<arrow::io::OutputStream>> Workspace::CreatePart(
    const OutputFolder& folder, size_t part, std::string_view extension) {
  ARROW_ASSIGN_OR_RAISE(const std::string path, PartPath(folder, part, extension));
  return OutputFile::Create(path, ChecksumOf(path));
}

arrow::Status Workspace::WritePart(const OutputFolder& folder, size_t part,
                                   std::string_view extension, std::string_view text) {
  ARROW_ASSIGN_OR_RAISE(const auto stream, CreatePart(folder, part, extension));
  ARROW_RETURN_NOT_OK(stream->Write(text.data(), static_cast<int64_t>(text.size())));
  return stream->Close();
}

arrow::Status Workspace::NotePart(const std::string& path) {
  const std::string below = fs::path(path).lexically_relative(StagedRoot());
  ARROW_ASSIGN_OR_RAISE(*ChecksumOf(path), PublishedFiles(StagedRoot()).Sha256Of(below));
  return arrow::Status::OK();
}

arrow::Status Workspace::Publish(const std::vector<OutputFolder>& folders,
                                 const PublishElsewhere& elsewhere) {
  ARROW_RETURN_NOT_OK(
      WriteFile(StagedRoot() + '/' + ChecksumsPath(run_id_), ChecksumsText(checksums_)));
  for (const OutputFolder& folder : folders) {
    ARROW_RETURN_NOT_OK(WriteFile(StagedFolder(folder) + "/" + kSuccess, ""));
    ARROW_RETURN_NOT_OK(SyncFolder(StagedFolder(folder)));
    ARROW_RETURN_NOT_OK(MakeFolders(output_ + "/" + folder.kind));
  }
  if (elsewhere) {
    ARROW_RETURN_NOT_OK(elsewhere(folders));
    CleanUp();
    return arrow::Status::OK();
  }
  // From here on, whoever finds the journal knows whose folders to withdraw.
  ARROW_RETURN_NOT_OK(WriteFile(JournalPath(), run_id_ + '\n'));
  ARROW_RETURN_NOT_OK(SyncFolder(work_));
  const arrow::Status moved = Move(folders);
  if (!moved.ok()) {
    (void)Withdraw(run_id_);  // if this fails as well, the next run does it
    return moved;
  }
  CleanUp();
  return arrow::Status::OK();
}

// Each folder is durable in its place before the next one moves, so that the last never stands
// there without the others.
arrow::Status Workspace::Move(const std::vector<OutputFolder>& folders) const {
  for (const OutputFolder& folder : folders) {
    std::error_code error;
    fs::rename(StagedFolder(folder), PublishedFolder(folder), error);
    if (error) return DiskError("publish", PublishedFolder(folder), error.value());
    ARROW_RETURN_NOT_OK(SyncFolder(output_ + "/" + folder.kind));
  }
  return arrow::Status::OK();
}

// A journal without its line end was not flushed, so nothing was moved after it.
arrow::Status Workspace::WithdrawUnfinished() const {
  ARROW_ASSIGN_OR_RAISE(const bool died_publishing, Exists(JournalPath()));
  if (!died_publishing) return arrow::Status::OK();
  ARROW_ASSIGN_OR_RAISE(const std::string text,
                        PublishedFiles(output_).Read(std::string(kWorkFolder) + kJournal));
  if (text.ends_with('\n')) {
    const std::string run_id = text.substr(0, text.size() - 1);
    ARROW_RETURN_NOT_OK(CheckJournal(JournalPath(), run_id));
    ARROW_ASSIGN_OR_RAISE(const bool published, Exists(output_ + "/" + kRunInfo.Path(run_id)));
    if (!published) return Withdraw(run_id);
  }
  return RemoveAll(JournalPath());
}

// The run's existence ends first, and the journal last.
arrow::Status Workspace::Withdraw(const std::string& run_id) const {
  const std::string bin = work_ + kWithdrawn;
  // No std::views::reverse: clang 14 of Debian 12 cannot compile it with GCC's library.
  for (auto folder = std::rbegin(kAllFolders); folder != std::rend(kAllFolders); ++folder) {
    ARROW_RETURN_NOT_OK(RemoveAll(bin));
    const std::string published = output_ + "/" + (*folder)->Path(run_id);
    std::error_code error;
    fs::rename(published, bin, error);
    if (error == std::errc::no_such_file_or_directory) continue;
    if (error) return DiskError("withdraw", published, error.value());
    ARROW_RETURN_NOT_OK(SyncFolder(output_ + "/" + (*folder)->kind));
  }
  ARROW_RETURN_NOT_OK(RemoveAll(bin));
  return RemoveAll(JournalPath());
}

// The run is published whatever becomes of this; what stays behind is removed by the next one.
void Workspace::CleanUp() {
  for (const char* name : kOurs) (void)RemoveAll(work_ + name);
  lock_->RemoveFolder();
}

}  // namespace pomona
