#include "pomona/printable.h"

#include <gtest/gtest.h>

namespace pomona {
namespace {

using namespace std::literals;

TEST(Printable, LeavesNothingThatATerminalObeys) {
  EXPECT_EQ(Printable("caf\u00e9 \U0001F34E"), "caf\u00e9 \U0001F34E");
  EXPECT_EQ(Printable("a\nb\r\t\x1b[31m\x7f\0"sv), "a?b???[31m??");
  EXPECT_EQ(Printable("\u0080\u009f\u00a0"), "??\u00a0");  // C1
  EXPECT_EQ(Printable("\u2027\u2028\u202e\u2066\u2069\u206a"), "\u2027????\u206a");
  EXPECT_EQ(Printable("caf\xe9\xff"), "caf??");
}

}  // namespace
}  // namespace pomona
