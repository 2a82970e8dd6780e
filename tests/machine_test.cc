#include "machine.h"

#include <gtest/gtest.h>
#include <unistd.h>

namespace pomona {
namespace {

TEST(Machine, HasANameAndAStart) {
  char host[256] = {};
  ASSERT_EQ(gethostname(host, sizeof host - 1), 0);
  EXPECT_EQ(Machine::This().host, host);
  EXPECT_EQ(Machine::This().boot.size(), 36u);  // a UUID
}

}  // namespace
}  // namespace pomona
