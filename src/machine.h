#pragma once

#include <string>

namespace pomona {

// What tells this machine from every other, and from itself before it was started last.
struct Machine {
  std::string host, boot;

  static Machine This();
};

}  // namespace pomona
