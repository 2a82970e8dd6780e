// Variables of the environment.
#pragma once

#include <cstdlib>
#include <string>

namespace pomona {

// "" where the variable is not set, which means the same.
inline std::string Environment(const char* name) {
  const char* value = std::getenv(name);
  return value ? value : "";
}

}  // namespace pomona
