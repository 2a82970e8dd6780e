#include <arrow/io/interfaces.h>
#include <arrow/util/async_generator.h>
#include <arrow/util/io_util.h>
#include <arrow/util/key_value_metadata.h>
#include <nettle/md5.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <deque>
#include <iterator>
#include <span>
#include <utility>

#include "pomona/source.h"
#include "read_ahead.h"
#include "s3/connection.h"
#include "tree.h"

namespace pomona {
namespace {

using Clock = std::chrono::steady_clock;
namespace fs = arrow::fs;

// Listings that run at once, each of one folder below the root.
constexpr size_t kListingsAtOnce = 32;

// Hides 100 ms a request from 1,000 images a second.
constexpr ReadAhead::Bounds kReadAhead{.items = kS3RequestsAtOnce, .bytes = int64_t{64} << 20};

// More than any server says of an error, and than kSniffBytes: what is fetched to look at an
// object.
constexpr int64_t kStartBytes = 4096;

// What is larger and promises no image by its name is looked at before it is fetched: a second
// request is cheaper than so many bytes for nothing.
constexpr int64_t kUnasked = int64_t{64} << 10;

// Stands at the end of the place for an object until it is read: Arrow does not say how much it
// read, and no picture ends so.
constexpr std::array<uint8_t, 16> kUnread = {0x9d, 0x03, 'n', 'o', 't', ' ', 'r',  'e',
                                             'a',  'd',  ' ', 'y', 'e', 't', 0x1b, 0xc6};

// Whether Arrow can ask for the key: it takes no empty names, and its HTTP library resolves dots.
bool CanAskFor(std::string_view key) {
  for (size_t begin = 0; begin <= key.size();) {
    const size_t end = std::min(key.find('/', begin), key.size());
    const std::string_view name = key.substr(begin, end - begin);
    if (name.empty() || name == "." || name == "..") return false;
    begin = end + 1;
  }
  return true;
}

// Whether the bytes are those that the object's ETag stands for: their MD5, or the MD5 of that
// where they were uploaded in one part. Other ETags say nothing that could be checked.
bool FitsETag(std::span<const uint8_t> bytes, std::string_view etag) {
  constexpr size_t kDigits = 2 * MD5_DIGEST_SIZE;
  const bool one_part = etag.size() == kDigits + 2 && etag.ends_with("-1");
  if (one_part) etag.remove_suffix(2);
  if (etag.size() != kDigits || etag.find_first_not_of("0123456789abcdef") != etag.npos)
    return true;

  uint8_t digest[MD5_DIGEST_SIZE];
  for (int round = 0; round <= int{one_part}; ++round) {
    md5_ctx context;
    md5_init(&context);
    md5_update(&context, bytes.size(), bytes.data());
    md5_digest(&context, sizeof digest, digest);
    bytes = digest;
  }
  for (size_t i = 0; i < kDigits; ++i) {
    const int nibble = i % 2 == 0 ? digest[i / 2] >> 4 : digest[i / 2] & 15;
    if (etag[i] != "0123456789abcdef"[nibble]) return false;
  }
  return true;
}

class S3Tree : public Source {
 public:
  S3Tree(std::string root, std::unique_ptr<S3Connection> connection)
      : root_(std::move(root)),
        connection_(std::move(connection)),
        read_ahead_(connection_->executor(), kReadAhead,
                    [this](const Item& item) { return FetchAhead(item); }) {}

  ~S3Tree() override { connection_->Stop(); }

  // Lists the root itself, and goes on to its subfolder Training if it is there.
  arrow::Status Open() {
    ARROW_RETURN_NOT_OK(ListTop());
    const std::string training = root_ + '/' + kTrainingFolder;
    if (std::find(folders_.begin(), folders_.end(), S3ArrowPath(training)) != folders_.end()) {
      for (const std::string& folder : folders_) {
        const std::string name = BelowRoot(folder);
        if (name != kTrainingFolder && !IsHidden(name)) passed_over_.push_back(name);
      }
      root_ = training;
      ARROW_RETURN_NOT_OK(ListTop());
    }
    return arrow::Status::OK();
  }

  const std::string& root() const override { return root_; }

  std::vector<std::string> PassedOver() const override { return passed_over_; }

  // The folders whose turn comes next are listed ahead.
  arrow::Status List(PathFilter* filter, const TakeItems& take) override {
    std::erase_if(files_,
                  [&](const Item& item) { return !filter->TakesFile(item.relative_path()); });
    std::erase_if(folders_, [&](const std::string& folder) {
      return !filter->EntersFolder(BelowRoot(folder));
    });
    std::ranges::sort(files_, {}, &Item::path);
    std::ranges::sort(folders_, {}, [](const std::string& folder) { return folder + '/'; });
    std::deque<Pages> listings;
    auto next_file = files_.begin();
    auto to_list = folders_.begin();
    for (const std::string& folder : folders_) {
      while (to_list != folders_.end() && listings.size() < kListingsAtOnce) {
        listings.push_back(ListBelow(*to_list++, *filter));
      }
      // Files beside the folder that come before its own.
      const auto later = std::ranges::upper_bound(next_file, files_.end(), "s3://" + folder + '/',
                                                  {}, &Item::path);
      if (!take({std::move_iterator(next_file), std::move_iterator(later)})) {
        return arrow::Status::OK();
      }
      next_file = later;
      for (std::string last;;) {
        const auto page = NextPage(listings.front());
        if (!page.ok()) return connection_->Explain("cannot list", root_, page.status());
        if (page->empty()) break;
        std::vector<Item> items;
        for (const fs::FileInfo& info : *page) {
          if (info.IsFile()) items.push_back(ItemOf(info));
        }
        if (items.empty()) continue;
        if (items.front().path <= last || !std::ranges::is_sorted(items, {}, &Item::path)) {
          return arrow::Status::IOError("cannot list s3://", folder,
                                        ": the server gives its keys in no order");
        }
        last = items.back().path;
        std::erase_if(items,
                      [&](const Item& item) { return !filter->TakesFile(item.relative_path()); });
        if (!take(std::move(items))) return arrow::Status::OK();
      }
      listings.pop_front();
    }
    take({std::move_iterator(next_file), std::move_iterator(files_.end())});
    return arrow::Status::OK();
  }

  void Prefetch(const std::vector<Item>& items) override { read_ahead_.Prefetch(items); }

  arrow::Result<std::optional<Reject>> Read(const Item& item, FileBytes* bytes) override {
    ARROW_ASSIGN_OR_RAISE(FileContent content, read_ahead_.Take(item));
    if (content.rest_wanted) {
      ARROW_ASSIGN_OR_RAISE(content, Fetch(item, item.size));
    }
    bytes->swap(content.bytes);
    return std::move(content.reject);
  }

  TransferCounts transfers() const override {
    return {listings_, requests_, connection_->retries(), bytes_,
            1e-6 * static_cast<double>(microseconds_)};
  }

 private:
  // What is below a folder, what one request lists at a time.
  using Pages = arrow::Iterator<std::vector<fs::FileInfo>>;

  // Starts to list what is below a folder, or only where the filter takes any of it; what is found
  // waits to be taken.
  Pages ListBelow(const std::string& folder, const PathFilter& filter) {
    fs::FileSelector below;
    const std::string narrow = S3ArrowPath(root_) + '/' + filter.Narrow(BelowRoot(folder));
    below.base_dir = CanAskFor(narrow) ? narrow : folder;
    below.recursive = true;
    below.allow_not_found = below.base_dir != folder;
    return PagesOf(below);
  }

  Pages PagesOf(const fs::FileSelector& below) {
    return arrow::MakeGeneratorIterator(connection_->files().GetFileInfoGenerator(below));
  }

  // Waits for the next page; an empty one is the end.
  arrow::Result<std::vector<fs::FileInfo>> NextPage(Pages& pages) {
    auto page = pages.Next();
    if (page.ok() && !page->empty()) ++listings_;
    return page;
  }

  arrow::Status ListTop() {
    files_.clear();
    folders_.clear();
    fs::FileSelector below;
    below.base_dir = S3ArrowPath(root_);
    Pages pages = PagesOf(below);
    arrow::Status listed;
    for (;;) {
      const auto page = NextPage(pages);
      listed = page.status();
      if (!listed.ok() || page->empty()) break;
      for (const fs::FileInfo& info : *page) {
        if (info.IsFile()) {
          files_.push_back(ItemOf(info));
        } else {
          folders_.push_back(info.path());
        }
      }
    }
    if (arrow::internal::ErrnoFromStatus(listed) == ENOENT) {
      return arrow::Status::Invalid("INPUT ", root_, ": there is nothing below it");
    }
    if (!listed.ok()) return connection_->Explain("cannot list", root_, listed);
    connection_->Reached();
    return arrow::Status::OK();
  }

  // Of a path as Arrow knows it.
  std::string BelowRoot(const std::string& path) const {
    return path.substr(S3ArrowPath(root_).size() + 1);
  }

  Item ItemOf(const fs::FileInfo& info) const {
    return {"s3://" + info.path(), static_cast<uint32_t>(root_.size() + 1), info.size(),
            info.mtime().time_since_epoch().count()};
  }

  // Reads one object, unless its first bytes are enough or all that is wanted now.
  arrow::Result<FileContent> FetchAhead(const Item& item) {
    if (item.size > (HasImageExtension(item.path) ? kLargeItem : kUnasked)) {
      ARROW_ASSIGN_OR_RAISE(FileContent start, Fetch(item, kStartBytes));
      if (!start.reject) start.reject = CheckFileSize(item.size, item.path, start.bytes);
      if (start.reject || !WantsRest(start.bytes)) return start;
      if (OnlyStartAhead(item)) {
        start.rest_wanted = true;
        return start;
      }
    }
    return Fetch(item, item.size);
  }

  // Reads so many bytes of one object.
  arrow::Result<FileContent> Fetch(const Item& item, int64_t most) {
    FileContent content;
    const std::string path = S3ArrowPath(item.path);
    if (!CanAskFor(path)) {
      content.reject = Reject{Stage::kRead, Reason::kUnreadable,
                              "an empty name, '.' or '..' in the key cannot be asked for"};
      return content;
    }
    const Clock::time_point start = Clock::now();
    arrow::Status fetched;
    for (int attempt = 0;; ++attempt) {
      // Over http nothing guards the bytes on their way: the ETag has to, which stands for all of
      // them and not for some.
      const bool ask = (!connection_->encrypted() && most >= item.size) || attempt > 0;
      fetched = FetchOnce(item, path, most, ask, &content.bytes);
      // What does not have the bytes that the server promised may have them the next time.
      if (!fetched.IsSerializationError() || !connection_->WaitToRetry(attempt)) break;
    }
    microseconds_ +=
        std::chrono::duration_cast<std::chrono::microseconds>(Clock::now() - start).count();
    if (fetched.ok()) {
      bytes_ += static_cast<int64_t>(content.bytes.size());
      return content;
    }
    content.bytes.clear();
    content.reject = connection_->RejectOfThisThread();
    if (!content.reject && std::min(item.size, most) < kStartBytes) {
      // The server's words may have been longer than the object, whose place they take.
      connection_->ForgetFailure();
      const auto info = connection_->files().GetFileInfo(path);
      content.reject = connection_->RejectOfThisThread();
      if (info.ok() && info->type() == fs::FileType::NotFound) content.reject = GoneReject();
    }
    if (content.reject && !fetched.IsSerializationError()) return content;
    return connection_->Explain("cannot read", item.path, fetched);
  }

  // `ask`: for the object's size and ETag. Errors: SerializationError where the bytes are not the
  // object's.
  arrow::Status FetchOnce(const Item& item, const std::string& path, int64_t most, bool ask,
                          FileBytes* bytes) {
    ++requests_;
    connection_->ForgetFailure();
    std::string etag;
    std::shared_ptr<arrow::io::RandomAccessFile> file;
    if (!ask) {
      // A size known saves the question for it.
      fs::FileInfo info(path, fs::FileType::File);
      info.set_size(item.size);
      ARROW_ASSIGN_OR_RAISE(file, connection_->files().OpenInputFile(info));
    } else {
      ARROW_ASSIGN_OR_RAISE(file, connection_->files().OpenInputFile(path));
      ARROW_ASSIGN_OR_RAISE(const auto metadata, file->ReadMetadata());
      if (metadata) etag = metadata->Get("ETag").ValueOr("");
      std::erase(etag, '"');
    }
    ARROW_ASSIGN_OR_RAISE(int64_t size, file->GetSize());
    if (most < item.size && most < size) {
      size = most;
      etag.clear();
    }
    bytes->resize(static_cast<size_t>(size));
    const std::span end = std::span(*bytes).last(std::min(bytes->size(), kUnread.size()));
    std::copy_n(kUnread.begin(), end.size(), end.begin());
    ARROW_ASSIGN_OR_RAISE(const int64_t read, file->ReadAt(0, size, bytes->data()));
    if (std::ranges::equal(end, kUnread)) {
      return arrow::Status::SerializationError("it is shorter than it was");
    }
    bytes->resize(static_cast<size_t>(read));
    if (!FitsETag(*bytes, etag)) {
      return arrow::Status::SerializationError("what was read has not the checksum ", etag);
    }
    return arrow::Status::OK();
  }

  std::string root_;  // s3://bucket/prefix
  std::vector<std::string> passed_over_;
  std::unique_ptr<S3Connection> connection_;
  std::vector<Item> files_;           // directly below the root
  std::vector<std::string> folders_;  // as well
  std::atomic<int64_t> listings_ = 0, requests_ = 0, bytes_ = 0, microseconds_ = 0;
  ReadAhead read_ahead_;
};

}  // namespace

arrow::Result<std::unique_ptr<Source>> OpenS3Tree(const std::string& root, const S3Options& s3,
                                                  CancelToken cancel) {
  ARROW_ASSIGN_OR_RAISE(std::string uri, NormalS3Uri(root));
  ARROW_ASSIGN_OR_RAISE(auto connection, S3Connection::Open(uri, s3, cancel));
  auto tree = std::make_unique<S3Tree>(std::move(uri), std::move(connection));
  ARROW_RETURN_NOT_OK(tree->Open());
  return tree;
}

}  // namespace pomona
