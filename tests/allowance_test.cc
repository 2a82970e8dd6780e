#include "allowance.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>

#include "temp_folder.h"

namespace pomona {
namespace {

constexpr int64_t kNone = INT64_MAX;
constexpr int64_t kGiB = int64_t{1} << 30;

// This machine's cores: what holds where no quota is less.
const int kCores = AllowedCpus("/nowhere");

TEST(Allowance, SeesQuotasOfVersion2) {
  const TempFolder root;
  root.Write("proc/self/cgroup", "0::/pods/one\n");
  EXPECT_EQ(AllowedCpus(root.path()), kCores);
  EXPECT_EQ(AllowedMemory(root.path()), kNone);
  root.Write("sys/fs/cgroup/pods/one/cpu.max", "max 100000\n");
  root.Write("sys/fs/cgroup/pods/one/memory.max", "max\n");
  EXPECT_EQ(AllowedCpus(root.path()), kCores);
  EXPECT_EQ(AllowedMemory(root.path()), kNone);
  root.Write("sys/fs/cgroup/pods/one/cpu.max", "50000 100000\n");
  root.Write("sys/fs/cgroup/pods/one/memory.max", "2147483648\n");
  EXPECT_EQ(AllowedCpus(root.path()), 1);
  EXPECT_EQ(AllowedMemory(root.path()), 2 * kGiB);
}

TEST(Allowance, TheGroupsAboveBoundThoseBelow) {
  const TempFolder root;
  root.Write("proc/self/cgroup", "0::/pods/one\n");
  root.Write("sys/fs/cgroup/pods/one/memory.max", "2147483648\n");
  root.Write("sys/fs/cgroup/pods/memory.max", "1073741824\n");
  root.Write("sys/fs/cgroup/pods/cpu.max", "100000 100000\n");
  EXPECT_EQ(AllowedMemory(root.path()), kGiB);
  EXPECT_EQ(AllowedCpus(root.path()), 1);
}

TEST(Allowance, SeesQuotasOfVersion1) {
  const TempFolder root;
  root.Write("proc/self/cgroup",
             "5:memory:/docker/abc\n4:cpu,cpuacct:/docker/abc\n3:cpuset:/docker/abc\n0::/\n");
  root.Write("sys/fs/cgroup/cpu,cpuacct/docker/abc/cpu.cfs_quota_us", "-1\n");
  root.Write("sys/fs/cgroup/cpu,cpuacct/docker/abc/cpu.cfs_period_us", "100000\n");
  root.Write("sys/fs/cgroup/memory/docker/abc/memory.limit_in_bytes", "9223372036854771712\n");
  EXPECT_EQ(AllowedCpus(root.path()), kCores);
  EXPECT_GT(AllowedMemory(root.path()), 1000000 * kGiB);
  root.Write("sys/fs/cgroup/cpu,cpuacct/docker/abc/cpu.cfs_quota_us", "50000\n");
  root.Write("sys/fs/cgroup/memory/docker/abc/memory.limit_in_bytes", "1073741824\n");
  EXPECT_EQ(AllowedCpus(root.path()), 1);
  EXPECT_EQ(AllowedMemory(root.path()), kGiB);
}

// As Docker shows it to a container: the path is the host's, and the group is mounted as the root.
TEST(Allowance, SeesWhatIsMountedAsTheRoot) {
  const TempFolder root;
  root.Write("proc/self/cgroup", "5:memory:/docker/abc\n4:cpu,cpuacct:/docker/abc\n");
  root.Write("sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us", "50000\n");
  root.Write("sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us", "100000\n");
  root.Write("sys/fs/cgroup/memory/memory.limit_in_bytes", "1073741824\n");
  EXPECT_EQ(AllowedCpus(root.path()), 1);
  EXPECT_EQ(AllowedMemory(root.path()), kGiB);
}

TEST(Allowance, QuotasAreRoundedUp) {
  const TempFolder root;
  root.Write("proc/self/cgroup", "0::/\n");
  root.Write("sys/fs/cgroup/cpu.max", "110000 100000\n");
  EXPECT_EQ(AllowedCpus(root.path()), std::min(kCores, 2));
}

TEST(Allowance, PicturesGetAShareOfTheMachine) {
  EXPECT_GE(DefaultPictureMemory(), 256 << 20);
  EXPECT_LE(DefaultPictureMemory(), int64_t{sysconf(_SC_PHYS_PAGES)} * sysconf(_SC_PAGESIZE));
}

TEST(Allowance, MemoryBoundsThreads) {
  EXPECT_GT(ThreadsWithin(kNone, kNone), 1'000'000);
  EXPECT_GT(ThreadsWithin(64 * kGiB, kNone), 512);
  // 64 threads on photos of 12 megapixels took 2.8 GB, which a container of 1 GiB is killed for.
  EXPECT_LT(ThreadsWithin(kGiB, kNone), 16);
  EXPECT_GT(ThreadsWithin(kGiB, kNone), 4);
  EXPECT_EQ(ThreadsWithin(kGiB / 8, kNone), 1);
  EXPECT_LT(ThreadsWithin(kNone, kGiB), 8);
  EXPECT_EQ(ThreadsWithin(kNone, -1), 1);
}

}  // namespace
}  // namespace pomona
