// Exceptions -> arrow::Status, wherever nobody may see one: at the end of a thread, and of the
// library's entry points. Lack of memory and of threads comes as an exception.
#pragma once

#include <arrow/status.h>

#include <exception>
#include <new>
#include <system_error>

namespace pomona {

// What `work` returns, a Status or a Result. Errors: its own; OutOfMemory; IOError where the system
// refuses a thread.
template <typename Work>
auto Guarded(Work&& work) -> decltype(work()) {
  try {
    return work();
  } catch (const std::bad_alloc&) {
    return arrow::Status::OutOfMemory("out of memory");
  } catch (const std::system_error& error) {
    if (error.code() == std::errc::resource_unavailable_try_again) {
      return arrow::Status::IOError("cannot start a thread: ", error.code().message(),
                                    "; lower --threads or raise the limits of this process");
    }
    return arrow::Status::IOError(error.what());
  } catch (const std::exception& error) {
    return arrow::Status::UnknownError(error.what());
  }
}

}  // namespace pomona
