// A shared library that is looked for at run time, and its functions.
#pragma once

#include <dlfcn.h>

#include <initializer_list>
#include <string>

namespace pomona::gpu {

// A function by its name in its library. Not to be called before Library has found it.
template <class Signature>
struct Function;

template <class Result, class... Arguments>
struct Function<Result(Arguments...)> {
  explicit Function(const char* text) : name(text) {}

  Result operator()(Arguments... arguments) const { return call(arguments...); }

  const char* name;
  Result (*call)(Arguments...) = nullptr;
};

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

  template <class... Signatures>
  void Find(Function<Signatures>*... functions) {
    (FindOne(functions), ...);
  }

  // Why none of the functions may be called; empty: all may.
  std::string trouble() const { return library_ ? "" : trouble_; }

 private:
  template <class Signature>
  void FindOne(Function<Signature>* function) {
    if (!library_) return;
    function->call = reinterpret_cast<Signature*>(dlsym(library_, function->name));
    if (function->call) return;
    trouble_ = dlerror();
    library_ = nullptr;
  }

  void* library_ = nullptr;
  std::string trouble_;
};

}  // namespace pomona::gpu
