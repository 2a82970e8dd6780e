#include "machine.h"

#include <fstream>

namespace pomona {
namespace {

std::string FirstLine(const char* path) {
  std::ifstream file(path);
  std::string line;
  std::getline(file, line);
  return line;
}

}  // namespace

Machine Machine::This() {
  return {FirstLine("/proc/sys/kernel/hostname"), FirstLine("/proc/sys/kernel/random/boot_id")};
}

}  // namespace pomona
