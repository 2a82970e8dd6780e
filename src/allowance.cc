#include "allowance.h"

#include <sched.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <functional>
#include <limits>
#include <string_view>
#include <thread>
#include <vector>

namespace pomona {
namespace {

constexpr int64_t kNone = std::numeric_limits<int64_t>::max();
constexpr int64_t kMiB = int64_t{1} << 20;

// What a run takes beside its threads, and what each of them takes for photos of a common size.
constexpr int64_t kBaseBytes = 256 * kMiB;
constexpr int64_t kThreadBytes = 64 * kMiB;

// Addresses that a thread takes, used or not: its stack, its arena of malloc.
constexpr int64_t kThreadAddresses = 72 * kMiB;

// Calls `use` for the folders of this process's control groups for `controller`, and for those
// above them, which bound them too.
void ForEachGroup(const std::string& root, std::string_view controller,
                  const std::function<void(const std::string& folder, bool v2)>& use) {
  std::ifstream groups(root + "/proc/self/cgroup");
  for (std::string line; std::getline(groups, line);) {
    // hierarchy:controllers:path; no controllers in v2.
    const size_t first = line.find(':'), second = line.find(':', first + 1);
    if (first == line.npos || second == line.npos) continue;
    const std::string names = line.substr(first + 1, second - first - 1);
    const bool v2 = names.empty();
    if (!v2 && (',' + names + ',').find(',' + std::string(controller) + ',') == names.npos) {
      continue;
    }
    const std::string mount = root + "/sys/fs/cgroup" + (v2 ? "" : '/' + names);
    // Inside a container the path may be that of the host, of which only the end is mounted, as
    // the root: folders that are not there say nothing.
    for (std::string path = line.substr(second + 1);;) {
      use(mount + path, v2);
      const size_t slash = path.rfind('/');
      if (slash == path.npos) break;
      path.erase(slash);
    }
  }
}

// The numbers in a file, as long as there are some: "max" is none.
std::vector<int64_t> Numbers(const std::string& path) {
  std::vector<int64_t> numbers;
  std::ifstream file(path);
  for (int64_t number; file >> number;) numbers.push_back(number);
  return numbers;
}

int64_t AddressSpaceLeft() {
  struct rlimit limit;
  if (getrlimit(RLIMIT_AS, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY) return kNone;
  const std::vector<int64_t> pages = Numbers("/proc/self/statm");
  const int64_t taken = pages.empty() ? 0 : pages[0] * sysconf(_SC_PAGESIZE);
  return static_cast<int64_t>(std::min<rlim_t>(limit.rlim_cur, kNone)) - taken;
}

}  // namespace

int AllowedCpus(const std::string& root) {
  int64_t cpus = std::max(1u, std::thread::hardware_concurrency());
  cpu_set_t cores;  // taskset and containers narrow it; hardware_concurrency() may not notice
  if (sched_getaffinity(0, sizeof cores, &cores) == 0) cpus = CPU_COUNT(&cores);
  ForEachGroup(root, "cpu", [&](const std::string& folder, bool v2) {
    std::vector<int64_t> quota;  // microseconds of CPU time, in so many of time
    if (v2) {
      quota = Numbers(folder + "/cpu.max");
    } else {
      quota = Numbers(folder + "/cpu.cfs_quota_us");
      const std::vector<int64_t> period = Numbers(folder + "/cpu.cfs_period_us");
      quota.insert(quota.end(), period.begin(), period.end());
    }
    if (quota.size() == 2 && quota[0] > 0 && quota[1] > 0) {
      cpus = std::min(cpus, (quota[0] + quota[1] - 1) / quota[1]);
    }
  });
  return static_cast<int>(std::max<int64_t>(1, cpus));
}

int64_t AllowedMemory(const std::string& root) {
  int64_t bytes = kNone;
  ForEachGroup(root, "memory", [&](const std::string& folder, bool v2) {
    const auto limit = Numbers(folder + (v2 ? "/memory.max" : "/memory.limit_in_bytes"));
    if (!limit.empty()) bytes = std::min(bytes, limit[0]);
  });
  return bytes;
}

int64_t DefaultPictureMemory() {
  const int64_t machine = int64_t{sysconf(_SC_PHYS_PAGES)} * sysconf(_SC_PAGESIZE);
  const int64_t bytes = std::min({AllowedMemory(), AddressSpaceLeft(), machine});
  const int64_t threads = std::min(AllowedCpus(), AllowedThreads());
  return std::max(kBaseBytes, (bytes - kBaseBytes - threads * kThreadBytes) / 2);
}

int ThreadsWithin(int64_t memory, int64_t address_space) {
  const int64_t threads =
      std::min((memory - kBaseBytes) / kThreadBytes,
               (address_space - kBaseBytes) / (kThreadBytes + kThreadAddresses));
  return static_cast<int>(std::clamp<int64_t>(threads, 1, std::numeric_limits<int>::max()));
}

int AllowedThreads() { return ThreadsWithin(AllowedMemory(), AddressSpaceLeft()); }

}  // namespace pomona
