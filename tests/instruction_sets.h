// Runs the same code on one instruction set after another.
#pragma once

#include <gtest/gtest.h>
#include <hwy/targets.h>

#include <cstdint>
#include <vector>

namespace pomona {

// 0: the best one.
inline void UseInstructionSet(int64_t target) {
  hwy::SetSupportedTargetsForTest(target);
  hwy::GetChosenTarget().Update(hwy::SupportedTargets());
}

// Tests choose by Use(); after each the best one is back.
class InstructionSetsTest : public testing::Test {
 protected:
  void TearDown() override { Use(0); }

  static void Use(int64_t target) { UseInstructionSet(target); }

  // Those that were compiled in and that this CPU has.
  const std::vector<int64_t> targets_ = hwy::SupportedAndGeneratedTargets();
};

}  // namespace pomona
