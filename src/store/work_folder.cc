#include "work_folder.h"

#include <arrow/io/file.h>

#include <cstdio>
#include <filesystem>
#include <utility>

#include "disk.h"
#include "published_files.h"

namespace pomona {
namespace {

namespace fs = std::filesystem;

// What a run makes in the folder, beside the lock; all else there is somebody's.
constexpr const char* kItems = "/items";
constexpr const char* kFragments = "/fragments";
constexpr const char* kRun = "/run";  // the plan, and what is made of all fragments
constexpr const char* kRefusedErrors = "/errors.csv";
constexpr const char* kOurs[] = {kItems, kFragments, kStaged, kRefusedErrors, kRun, kScratch};

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
constexpr const char* kFragmentEnd = ".safetensors";
bool IsFragment(const std::string& name) { return name.ends_with(kFragmentEnd); }

}  // namespace

arrow::Status WriteSmallFile(const std::string& path, std::string_view text) {
  ARROW_ASSIGN_OR_RAISE(const auto file, OutputFile::Create(path));
  ARROW_RETURN_NOT_OK(file->Write(text.data(), static_cast<int64_t>(text.size())));
  return file->Close();
}

arrow::Result<std::unique_ptr<WorkFolder>> WorkFolder::Open(const std::string& root) {
  const std::string path = root + '/' + std::string(kWorkFolder);
  std::unique_ptr<WorkFolder> work(new WorkFolder(path, path + kStaged));
  ARROW_RETURN_NOT_OK(CheckFolders(root, std::string(kWorkFolder) + kFragments));
  ARROW_ASSIGN_OR_RAISE(work->lock_, FolderLock::Take(path));
  return work;
}

arrow::Result<std::unique_ptr<WorkFolder>> WorkFolder::Join(const std::string& root,
                                                            const std::string& staging) {
  const std::string path = root + '/' + std::string(kWorkFolder);
  ARROW_RETURN_NOT_OK(CheckFolders(root, std::string(kWorkFolder) + kFragments));
  return std::unique_ptr<WorkFolder>(new WorkFolder(path, staging));
}

arrow::Status WorkFolder::Share(const std::string& path) const {
  if (!carrier_ || !send_) return arrow::Status::OK();
  return carrier_->Send(path, fs::path(path).lexically_relative(path_));
}

arrow::Result<bool> WorkFolder::Fetch(const std::string& path, bool known) const {
  ARROW_ASSIGN_OR_RAISE(const bool here, Exists(path));
  if (here || !carrier_) return here;
  return carrier_->Fetch(fs::path(path).lexically_relative(path_), path, known);
}

arrow::Status WorkFolder::ClearStaged() {
  {
    const std::lock_guard lock(checksums_mutex_);
    checksums_.clear();
  }
  return RemoveAll(staging_);
}

arrow::Status WorkFolder::ClearRun() const {
  ARROW_RETURN_NOT_OK(RemoveAll(path_ + kItems));
  return RemoveAll(path_ + kRun);
}

void WorkFolder::DropCopy(const std::string& path) const {
  if (!outlasts()) (void)RemoveAll(path);
}

arrow::Status WorkFolder::Prepare() const {
  for (const char* folder : {kFragments, kRun}) {
    ARROW_RETURN_NOT_OK(CheckFolders(path_, folder + 1));
  }
  ARROW_RETURN_NOT_OK(MakeFolders(path_ + kFragments));
  return MakeFolders(path_ + kRun);
}

arrow::Status WorkFolder::Clear(bool fresh) const {
  // Parts of a run that did not reach its end are made again from the fragments.
  const std::string fragments = path_ + kFragments;
  for (const char* name : kOurs) {
    if (name == kFragments && !fresh) continue;
    ARROW_RETURN_NOT_OK(RemoveAll(path_ + name));
  }
  ARROW_RETURN_NOT_OK(Prepare());
  ARROW_ASSIGN_OR_RAISE(const std::vector<std::string> names, NamesIn(fragments));
  for (const std::string& name : names) {
    // Those that a run was killed over.
    if (!IsFragment(name)) ARROW_RETURN_NOT_OK(RemoveAll(fragments + '/' + name));
  }
  return arrow::Status::OK();
}

arrow::Status WorkFolder::Begin(const std::string& run_id) {
  run_id_ = run_id;
  // The folder of the longest name: better now than after the work if it is too long.
  return NewPath(kModelInfo, "").status();
}

std::string WorkFolder::ItemsPath() const { return path_ + kItems; }

arrow::Result<std::unique_ptr<ItemSpool>> WorkFolder::OpenItems() const {
  std::shared_ptr<arrow::io::RandomAccessFile> file;
  if (carrier_) {
    ARROW_ASSIGN_OR_RAISE(file, carrier_->Open(kItems + 1));
  } else {
    ARROW_ASSIGN_OR_RAISE(file, arrow::io::ReadableFile::Open(ItemsPath()));
  }
  return ItemSpool::Open(std::move(file), ItemsPath());
}

std::string WorkFolder::PlanPath() const { return path_ + kRun + "/plan"; }

std::string WorkFolder::MomentsPath(std::string_view name, const std::string& key) const {
  return path_ + kRun + '/' + std::string(name) + '-' + key.substr(0, 16) + ".safetensors";
}

std::string WorkFolder::FragmentPath(const ListedFragment& fragment) const {
  char name[64];
  std::snprintf(name, sizeof name, "/%06zu-%.16s%s", fragment.number, fragment.range.key.c_str(),
                kFragmentEnd);
  return path_ + kFragments + name;
}

arrow::Result<int64_t> WorkFolder::CountOtherFragments(const std::set<std::string>& wanted) const {
  const std::string folder = path_ + kFragments;
  ARROW_ASSIGN_OR_RAISE(const std::vector<std::string> names, NamesIn(folder));
  return std::ranges::count_if(names, [&](const std::string& name) {
    const std::string whole = folder + '/' + name.substr(0, name.find('.')) + kFragmentEnd;
    return IsFragment(name) && !wanted.contains(whole);
  });
}

arrow::Result<int64_t> WorkFolder::CountMissing(const std::vector<std::string>& paths) const {
  std::set<std::string> theirs;
  if (carrier_) {
    ARROW_ASSIGN_OR_RAISE(theirs, carrier_->List());
  }
  int64_t missing = 0;
  for (const std::string& path : paths) {
    if (theirs.contains(fs::path(path).lexically_relative(path_))) continue;
    ARROW_ASSIGN_OR_RAISE(const bool here, Exists(path));
    if (!here) ++missing;
  }
  return missing;
}

void WorkFolder::DropCopies() const {
  if (outlasts()) return;
  for (const char* folder : {kFragments, kRun}) {
    const auto files = FilesBelow(path_ + folder);
    if (!files.ok()) continue;
    for (const std::string& file : *files) (void)RemoveAll(path_ + folder + '/' + file);
  }
}

std::string WorkFolder::RefusedErrorsPath() const { return path_ + kRefusedErrors; }

std::string WorkFolder::StagedRoot() const { return staging_; }

std::string WorkFolder::StagedFolder(const OutputFolder& folder) const {
  return StagedRoot() + '/' + folder.Path(run_id_);
}

arrow::Result<std::string> WorkFolder::NewPath(const OutputFolder& folder,
                                               const std::string& name) const {
  std::error_code error;
  fs::create_directories(StagedFolder(folder), error);
  if (error) return DiskError("create the folder", StagedFolder(folder), error.value());
  return StagedFolder(folder) + "/" + name;
}

arrow::Result<std::string> WorkFolder::PartPath(const OutputFolder& folder, size_t part,
                                                std::string_view extension) const {
  return NewPath(folder, PartName(part, extension));
}

arrow::Result<std::string> WorkFolder::ItemRecordPath(size_t part) const {
  return NewPath(kRunInfo, ItemRecordName(part));
}

std::string* WorkFolder::ChecksumOf(const std::string& staged_path) {
  const std::lock_guard lock(checksums_mutex_);
  return &checksums_[fs::path(staged_path).lexically_relative(StagedRoot())];
}

arrow::Result<std::shared_ptr<arrow::io::OutputStream>> WorkFolder::CreatePart(
    const OutputFolder& folder, size_t part, std::string_view extension) {
  ARROW_ASSIGN_OR_RAISE(const std::string path, PartPath(folder, part, extension));
  return OutputFile::Create(path, ChecksumOf(path));
}

arrow::Result<std::shared_ptr<arrow::io::OutputStream>> WorkFolder::CreateReport() {
  ARROW_ASSIGN_OR_RAISE(const std::string path, NewPath(kReport, std::string(kReportName)));
  return OutputFile::Create(path, ChecksumOf(path));
}

arrow::Status WorkFolder::WritePart(const OutputFolder& folder, size_t part,
                                    std::string_view extension, std::string_view text) {
  ARROW_ASSIGN_OR_RAISE(const auto stream, CreatePart(folder, part, extension));
  ARROW_RETURN_NOT_OK(stream->Write(text.data(), static_cast<int64_t>(text.size())));
  return stream->Close();
}

arrow::Status WorkFolder::RecordChecksum(const std::string& path) {
  const std::string below = fs::path(path).lexically_relative(StagedRoot());
  ARROW_ASSIGN_OR_RAISE(*ChecksumOf(path), PublishedFiles(StagedRoot()).Sha256Of(below));
  return arrow::Status::OK();
}

Checksums WorkFolder::TakeChecksums() {
  const std::lock_guard lock(checksums_mutex_);
  return std::exchange(checksums_, {});
}

void WorkFolder::AddChecksums(const Checksums& checksums) {
  const std::lock_guard lock(checksums_mutex_);
  for (const auto& [path, sha256] : checksums) checksums_[path] = sha256;
}

arrow::Status WorkFolder::MakeStagedFolders(const std::vector<OutputFolder>& folders) const {
  for (const OutputFolder& folder : folders) ARROW_RETURN_NOT_OK(NewPath(folder, "").status());
  return arrow::Status::OK();
}

arrow::Status WorkFolder::Seal(const std::vector<OutputFolder>& folders) const {
  ARROW_RETURN_NOT_OK(
      WriteSmallFile(StagedRoot() + '/' + ChecksumsPath(run_id_), ChecksumsText(checksums_)));
  for (const OutputFolder& folder : folders) {
    const std::string staged = StagedFolder(folder);
    ARROW_RETURN_NOT_OK(WriteSmallFile(staged + '/' + std::string(kSuccess), ""));
    ARROW_RETURN_NOT_OK(SyncFolder(staged));
  }
  return arrow::Status::OK();
}

void WorkFolder::Withdraw() {
  std::error_code ignored;
  for (const char* name : {kFragments, kRun}) {
    if (fs::is_empty(path_ + name, ignored)) fs::remove(path_ + name, ignored);
  }
  lock_->RemoveFolder();
}

void WorkFolder::CleanUp() {
  for (const char* name : kOurs) (void)RemoveAll(path_ + name);
  lock_->RemoveFolder();
}

}  // namespace pomona
