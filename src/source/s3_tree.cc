#include <arrow/util/future.h>

#include <algorithm>
#include <chrono>
#include <deque>
#include <iterator>
#include <span>
#include <utility>

#include "guarded.h"
#include "hex.h"
#include "md5.h"
#include "object_cache.h"
#include "pomona/location.h"
#include "pomona/source.h"
#include "read_ahead.h"
#include "s3/connection.h"
#include "s3/ranges.h"
#include "sha256.h"
#include "tree.h"

namespace pomona {
namespace {

using Clock = std::chrono::steady_clock;

// Listings that run at once, each of one folder below the root.
constexpr size_t kListingsAtOnce = 32;

// Hides 80 ms a request from 1,000 images a second.
constexpr ReadAhead::Bounds kReadAhead{
    .items = kS3RequestsAtOnce, .bytes = int64_t{64} << 20, .together = 32};

// Not less than kSniffBytes: what is fetched to look at an object.
constexpr int64_t kStartBytes = 4096;

// For so long those that have come wait for others, that one waking of the thread serves for all.
constexpr std::chrono::milliseconds kRound{10};

// Where the answers of a round have taken longer than this to read, a server stands still in the
// middle of one: the others are read by threads of their own.
constexpr std::chrono::milliseconds kHeldUp{500};

// What is larger and promises no image by its name is looked at before it is fetched: a second
// request is cheaper than so many bytes for nothing.
constexpr int64_t kUnasked = kSmallItem;

// Whether a text has the form of an MD5.
bool IsMd5(std::string_view text) {
  return text.size() == 2 * MD5_DIGEST_SIZE && std::ranges::all_of(text, [](char c) {
           return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
         });
}

// What an ETag of this form would be for the bytes: their MD5, or the MD5 of that where they were
// uploaded in one part. Empty where it is another one, which cannot be checked.
std::string ETagOf(std::span<const uint8_t> bytes, std::string_view etag) {
  const bool one_part = etag.ends_with("-1");
  if (one_part) etag.remove_suffix(2);
  if (!IsMd5(etag)) return {};

  const auto digest = Md5(bytes);
  return one_part ? Hex(Md5(digest)) + "-1" : Hex(digest);
}

// Whether an ETag has the form of a digest, of the bytes or of those of the parts of an upload.
bool IsDigest(std::string_view etag) {
  const size_t dash = std::min(etag.find('-'), etag.size());
  return IsMd5(etag.substr(0, dash)) && etag.find_first_not_of("0123456789", dash + 1) == etag.npos;
}

// Each state of an object has an ETag of its own; 0 where the server gives none. One that is no
// digest tells nothing of other objects.
int64_t StateOf(const std::string& etag, const std::string& uri) {
  if (etag.empty()) return 0;
  return IsDigest(etag) ? Sha256().Add(etag).Short() : Sha256().Add(etag).Add(uri).Short();
}

class S3Tree : public Source {
 public:
  // `cache`: may be null.
  S3Tree(std::string root, std::unique_ptr<S3Connection> connection,
         std::unique_ptr<ObjectCache> cache)
      : root_(std::move(root)),
        bucket_(root_.substr(0, std::min(root_.find('/', 5), root_.size())) + '/'),
        connection_(std::move(connection)),
        cache_(std::move(cache)),
        read_ahead_(
            connection_->executor(), kReadAhead,
            [this](const Item& item) { return FetchAhead(item); },
            [this](const std::vector<Item>& items, const ReadAhead::Deliver& deliver) {
              FetchTogether(items, deliver);
            }) {}

  ~S3Tree() override { connection_->Stop(); }

  // Lists the root itself, and goes on to its subfolder Training if it is there.
  arrow::Status Open() {
    ARROW_RETURN_NOT_OK(ListTop());
    const std::string training = root_ + '/' + kTrainingFolder;
    if (std::ranges::find(folders_, training) != folders_.end()) {
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
        // Only where the filter takes any of it.
        const std::string below = root_ + '/' + filter->Narrow(BelowRoot(*to_list++));
        ARROW_RETURN_NOT_OK(listings.emplace_back(S3Key(below) + '/', false).Ask(*this));
      }
      // Files beside the folder that come before its own.
      const auto later =
          std::ranges::upper_bound(next_file, files_.end(), folder + '/', {}, &Item::path);
      if (!take({std::move_iterator(next_file), std::move_iterator(later)})) {
        return arrow::Status::OK();
      }
      next_file = later;
      for (std::string last; !listings.front().at_end();) {
        ARROW_ASSIGN_OR_RAISE(const ListingPage page, listings.front().Next(*this));
        ARROW_RETURN_NOT_OK(CheckName(folder, page));
        std::vector<Item> items = FilesOf(page);
        if (items.empty()) continue;
        if (items.front().path <= last || !std::ranges::is_sorted(items, {}, &Item::path)) {
          return arrow::Status::IOError("cannot list ", folder,
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
    return connection_->Transfers(listings_, requests_, bytes_,
                                  1e-6 * static_cast<double>(microseconds_));
  }

 private:
  // What one listing gives, a page a request; while one is worked on, the next one is on its way.
  class Pages {
   public:
    Pages(std::string prefix, bool folders) : prefix_(std::move(prefix)), folders_(folders) {}

    bool at_end() const { return !page_.is_valid(); }

    // Sends the request for the first page.
    arrow::Status Ask(S3Tree& tree, const std::string& next = {}) {
      ARROW_ASSIGN_OR_RAISE(page_, tree.connection_->executor()->Submit([&tree, prefix = prefix_,
                                                                         folders = folders_, next] {
        return Guarded([&] { return tree.connection_->List(prefix, folders, next); });
      }));
      return arrow::Status::OK();
    }

    // REQUIRES: it is not at its end.
    arrow::Result<ListingPage> Next(S3Tree& tree) {
      page_.Wait();
      auto page = page_.MoveResult();
      page_ = {};
      if (!page.ok()) return tree.connection_->Explain("cannot list", tree.root_, page.status());
      ++tree.listings_;
      if (!page->next.empty()) ARROW_RETURN_NOT_OK(Ask(tree, page->next));
      return page;
    }

   private:
    std::string prefix_;
    bool folders_;  // rather than what is in them
    arrow::Future<ListingPage> page_;
  };

  arrow::Status ListTop() {
    files_.clear();
    folders_.clear();
    const std::string key = S3Key(root_);
    bool is_there = key.empty();
    Pages pages(key.empty() ? "" : key + '/', /*folders=*/true);
    ARROW_RETURN_NOT_OK(pages.Ask(*this));
    while (!pages.at_end()) {
      ARROW_ASSIGN_OR_RAISE(const ListingPage page, pages.Next(*this));
      is_there = is_there || !page.objects.empty() || !page.folders.empty();
      std::ranges::move(FilesOf(page), std::back_inserter(files_));
      for (const std::string& folder : page.folders) {
        folders_.push_back(Uri(folder.substr(0, folder.size() - 1)));
      }
    }
    if (is_there) return arrow::Status::OK();
    return arrow::Status::Invalid("INPUT ", root_, ": there is nothing below it");
  }

  // Some servers give U+FFFD for characters that XML cannot hold, though asked to encode keys.
  static arrow::Status CheckName(const std::string& folder, const ListingPage& page) {
    if (!page.objects.empty() || folder.find("\xEF\xBF\xBD") == folder.npos) {
      return arrow::Status::OK();
    }
    return arrow::Status::IOError("cannot list ", folder,
                                  ": the server lists it as a folder but nothing in it; some ",
                                  "servers cannot list keys with control characters correctly: ",
                                  "rename them or leave them out by --exclude");
  }

  std::string Uri(const std::string& key) const { return bucket_ + key; }

  // Of a URI below the root.
  std::string BelowRoot(const std::string& uri) const { return uri.substr(root_.size() + 1); }

  std::vector<Item> FilesOf(const ListingPage& page) const {
    std::vector<Item> items;
    items.reserve(page.objects.size());
    for (const ListedObject& object : page.objects) {
      if (object.key.ends_with('/')) continue;  // marks a folder
      std::string uri = Uri(object.key);
      // A copy below another prefix has the ETag, but a time of its own. Where there is no ETag, the
      // time tells the states of this object apart, and of no other; nothing vouches for what is
      // read then, so it is not kept in the cache either.
      int64_t state = StateOf(object.etag, uri);
      const int64_t time = state == 0 ? object.modified_ns : 0;
      if (state == 0) state = Sha256().Add(uri).Short();
      items.push_back(
          {std::move(uri), static_cast<uint32_t>(root_.size() + 1), object.size, time, state});
    }
    return items;
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

  // A request for all of an object that was sent.
  struct Asked {
    size_t place;  // of its item
    std::shared_ptr<S3Connection::PendingGet> request;
    Clock::time_point start;
    bool unread = false;     // its answer has come and is to be read elsewhere
    arrow::Status spoilt{};  // why the bytes that came are not the object's; nothing is under way
    std::string unfit{};     // what its ETag would have been for them
  };

  // Reads small objects by one thread, which asks for all of them before it reads the first answer.
  // What has to wait, for a new connection or before the repetition of what failed, waits elsewhere.
  void FetchTogether(const std::vector<Item>& items, const ReadAhead::Deliver& deliver) {
    std::vector<bool> open(items.size(), true);  // not delivered, and nobody else is to
    const auto deliver_here = [&](size_t place, arrow::Result<FileContent> content) {
      open[place] = false;
      deliver(place, std::move(content));
    };
    const auto fetch_elsewhere = [&](const Asked& one) {
      const auto fetch = [this, item = items[one.place], one, deliver] {
        deliver(one.place, Guarded([&] { return FetchAnew(item, item.size, &one); }));
      };
      const arrow::Status started = connection_->executor()->Spawn(fetch);
      open[one.place] = false;
      if (!started.ok()) deliver(one.place, started);
    };
    const arrow::Status status = Guarded([&]() -> arrow::Status {
      std::vector<Asked> asked;
      asked.reserve(items.size());
      for (size_t place = 0; place < items.size(); ++place) {
        const Item& item = items[place];
        FileContent content;
        Asked one{place, nullptr, Clock::now()};
        if (ReadCached(item, item.size, &content.bytes)) {
          deliver_here(place, std::move(content));
        } else if ((one.request = connection_->TryGet(S3Key(item.path)))) {
          asked.push_back(std::move(one));
        } else {
          fetch_elsewhere(one);
        }
      }
      std::vector<S3Connection::PendingGet*> requests;
      std::vector<bool> due;
      while (!asked.empty()) {
        requests.clear();
        for (const Asked& one : asked) requests.push_back(one.request.get());
        S3Connection::Wait(requests, kRound, &due);
        std::vector<Asked> rest;
        rest.reserve(asked.size());
        const Clock::time_point round = Clock::now();
        for (size_t i = 0; i < due.size(); ++i) {
          Asked& one = asked[i];
          if (!due[i]) {
            rest.push_back(std::move(one));
            continue;
          }
          one.unread = Clock::now() - round > kHeldUp;
          std::optional<arrow::Result<FileContent>> content;
          if (!one.unread) content = ReadAnswer(items[one.place], &one);
          if (content) {
            deliver_here(one.place, *std::move(content));
          } else {
            fetch_elsewhere(one);
          }
        }
        asked = std::move(rest);
      }
      return arrow::Status::OK();
    });
    for (size_t place = 0; place < items.size(); ++place) {
      if (open[place]) deliver(place, status);
    }
  }

  // Reads an answer that has come; nothing where that has to be done, or done again, elsewhere.
  std::optional<arrow::Result<FileContent>> ReadAnswer(const Item& item, Asked* one) {
    if (!connection_->Receive(*one->request)) return std::nullopt;
    FileContent content;
    int64_t vouched = 0;
    const arrow::Status fetched =
        FetchOnce(item, item.size, one->request.get(), &content.bytes, &vouched, &one->unfit);
    if (fetched.IsSerializationError()) {
      one->request = nullptr;
      one->spoilt = fetched;
      return std::nullopt;
    }
    return Finish(item, item.size, one->start, fetched, vouched, std::move(content));
  }

  // Reads so many bytes of one object, or all it has.
  arrow::Result<FileContent> Fetch(const Item& item, int64_t most) {
    FileContent content;
    if (ReadCached(item, most, &content.bytes)) return content;
    return FetchAnew(item, most);
  }

  bool IsKept(const Item& item) const { return cache_ && item.state != 0; }
  std::string CacheName(const Item& item, int64_t most) const {
    return ObjectCache::Name(connection_->endpoint(), item.path, item.state,
                             std::min(most, item.size));
  }
  bool ReadCached(const Item& item, int64_t most, FileBytes* bytes) const {
    return IsKept(item) && cache_->Get(CacheName(item, most), bytes);
  }

  // `asked`: what was sent already, where anything was.
  arrow::Result<FileContent> FetchAnew(const Item& item, int64_t most,
                                       const Asked* asked = nullptr) {
    FileContent content;
    const Clock::time_point start = asked ? asked->start : Clock::now();
    S3Connection::PendingGet* request = asked ? asked->request.get() : nullptr;
    if (asked && asked->unread) connection_->Receive(*request);
    arrow::Status fetched;
    int64_t vouched = 0;
    const bool spoilt = asked && !asked->spoilt.ok();
    if (spoilt && !connection_->WaitToRetry(0)) {
      return Finish(item, most, start, asked->spoilt, vouched, std::move(content));
    }
    std::string unfit = asked ? asked->unfit : "";
    for (int attempt = spoilt;; ++attempt) {
      fetched =
          FetchOnce(item, most, std::exchange(request, nullptr), &content.bytes, &vouched, &unfit);
      // What does not have the bytes that the server promised may have them the next time.
      if (!fetched.IsSerializationError() || !connection_->WaitToRetry(attempt)) break;
    }
    return Finish(item, most, start, fetched, vouched, std::move(content));
  }

  // What became of an object that was asked for.
  arrow::Result<FileContent> Finish(const Item& item, int64_t most, Clock::time_point start,
                                    const arrow::Status& fetched, int64_t vouched,
                                    FileContent content) {
    microseconds_ +=
        std::chrono::duration_cast<std::chrono::microseconds>(Clock::now() - start).count();
    if (fetched.ok()) {
      bytes_ += static_cast<int64_t>(content.bytes.size());
      // It may have changed since it was listed, or on its way.
      if (IsKept(item) && vouched == item.state) cache_->Put(CacheName(item, most), content.bytes);
      return content;
    }
    content.bytes.clear();
    content.reject = RejectOf(fetched);
    if (content.reject) return content;
    return connection_->Explain("cannot read", item.path, fetched);
  }

  // `sent`: null or a request for all of it. `vouched`: the state whose bytes these are, 0 where
  // nothing guarded them on their way. `unfit`: what the ETag would have been for the bytes that
  // came the last time.
  // Errors: SerializationError where the bytes are not the object's.
  arrow::Status FetchOnce(const Item& item, int64_t most, S3Connection::PendingGet* sent,
                          FileBytes* bytes, int64_t* vouched, std::string* unfit) {
    ++requests_;
    const bool whole = most >= item.size;
    const bool in_ranges = whole && item.size > kRangeBytes;
    const std::string key = S3Key(item.path);
    const auto got = sent        ? connection_->Get(*sent, bytes)
                     : in_ranges ? GetInRanges(*connection_, key, bytes)
                                 : connection_->Get(key, 0, whole ? -1 : most, bytes);
    if (in_ranges) requests_ += (item.size - 1) / kRangeBytes;
    if (IsConditionFailed(got.status())) {
      return arrow::Status::SerializationError("it changed while it was read");
    }
    ARROW_ASSIGN_OR_RAISE(const S3Object object, got);
    // Over http nothing guards the bytes on their way: the ETag has to, which stands for all of
    // them and not for some.
    std::string fitting;
    if (whole && !connection_->encrypted() && object.etag_is_digest) {
      fitting = ETagOf(*bytes, object.etag);
    }
    const bool fits = !fitting.empty() && fitting == object.etag;
    // Damage on the way is not the same twice: then the ETag, which looks like a digest, is none.
    if (!fitting.empty() && !fits && fitting != std::exchange(*unfit, fitting)) {
      return arrow::Status::SerializationError("what was read does not have the checksum ",
                                               object.etag);
    }
    *vouched = connection_->encrypted() || fits ? StateOf(object.etag, item.path) : 0;
    return arrow::Status::OK();
  }

  std::string root_;          // s3://bucket/prefix
  const std::string bucket_;  // s3://bucket/
  std::vector<std::string> passed_over_;
  std::unique_ptr<S3Connection> connection_;
  const std::unique_ptr<ObjectCache> cache_;
  std::vector<Item> files_;           // directly below the root
  std::vector<std::string> folders_;  // as well, their URIs
  std::atomic<int64_t> listings_ = 0, requests_ = 0, bytes_ = 0, microseconds_ = 0;
  ReadAhead read_ahead_;
};

}  // namespace

arrow::Result<std::unique_ptr<Source>> OpenS3Tree(const std::string& root, const S3Options& s3,
                                                  CancelToken cancel) {
  ARROW_ASSIGN_OR_RAISE(std::string uri, NormalS3Uri(root));
  ARROW_ASSIGN_OR_RAISE(auto connection, S3Connection::Open(uri, s3, cancel));
  std::unique_ptr<ObjectCache> cache;
  if (!s3.cache.empty()) {
    ARROW_ASSIGN_OR_RAISE(const std::string folder, LocalPath(s3.cache));
    ARROW_ASSIGN_OR_RAISE(cache, ObjectCache::Open(folder, s3.cache_bytes));
  }
  auto tree = std::make_unique<S3Tree>(std::move(uri), std::move(connection), std::move(cache));
  ARROW_RETURN_NOT_OK(tree->Open());
  return tree;
}

}  // namespace pomona
