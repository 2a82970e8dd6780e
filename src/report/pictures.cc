#include "pictures.h"

#include <mutex>
#include <semaphore>
#include <utility>

#include "guarded.h"
#include "tasks.h"
#include "thumbnail.h"

namespace pomona {

arrow::Result<std::vector<Pictured>> MakePictures(const std::vector<std::string>& paths,
                                                  const ReadPicture& read, int readers, int threads,
                                                  CancelToken cancel) {
  std::vector<Pictured> pictures(paths.size());
  std::vector<FileBytes> files(static_cast<size_t>(readers));
  std::mutex mutex;  // for `idle`
  std::vector<Thumbnailer> idle(static_cast<size_t>(threads));
  std::counting_semaphore<> idle_count(threads);
  const auto make = [&](size_t i, int reader) -> arrow::Status {
    FileBytes& bytes = files[static_cast<size_t>(reader)];
    // Memory that cannot be had for a picture costs the picture.
    const auto done = Guarded([&]() -> arrow::Result<bool> { return read(paths[i], &bytes); });
    if (!done.ok() || !*done) return cancel.Check();
    pictures[i].bytes = std::ssize(bytes);
    Acquire(&idle_count);
    std::unique_lock lock(mutex);
    Thumbnailer thumbnailer = std::move(idle.back());
    idle.pop_back();
    lock.unlock();
    (void)Guarded([&] {
      pictures[i].thumbnail = thumbnailer.Make(bytes);
      return arrow::Status::OK();
    });
    lock.lock();
    idle.push_back(std::move(thumbnailer));
    lock.unlock();
    idle_count.release();
    return cancel.Check();
  };
  ARROW_RETURN_NOT_OK(ParallelFor(paths.size(), readers, cancel, make, [] {}));
  return pictures;
}

}  // namespace pomona
