// A shared library that is looked for at run time, and its functions.
#pragma once

#include <dlfcn.h>

#include <initializer_list>
#include <string>

namespace pomona::gpu {

// Threads: one caller at a time.
class Library {
 public:
  // The first of `names` that can be loaded. It stays in the process: drivers do not like to be
  // unloaded.
  explicit Library(std::initializer_list<const char*> names) {
    for (const char* name : names) {
      library_ = dlopen(name, RTLD_NOW | RTLD_LOCAL);
      if (library_) return;
      if (trouble_.empty()) trouble_ = dlerror();
    }
  }

  // Null where there is trouble.
  void* Find(const char* name) {
    if (!library_) return nullptr;
    void* const found = dlsym(library_, name);
    if (!found) {
      trouble_ = dlerror();
      library_ = nullptr;
    }
    return found;
  }

  // Why nothing of it may be called; empty: all that was looked for may.
  std::string trouble() const { return library_ ? "" : trouble_; }

 private:
  void* library_ = nullptr;
  std::string trouble_;
};

// A function of a library. Not to be called where the library has trouble.
template <class Signature>
class Function;

template <class Result, class... Arguments>
class Function<Result(Arguments...)> {
 public:
  Function(Library& library, const char* name)
      : name_(name), call_(reinterpret_cast<Result (*)(Arguments...)>(library.Find(name))) {}

  const char* name() const { return name_; }
  Result operator()(Arguments... arguments) const { return call_(arguments...); }

 private:
  const char* const name_;
  Result (*const call_)(Arguments...);
};

}  // namespace pomona::gpu
