// float32 as text.
#pragma once

#include <cstddef>
#include <span>

namespace pomona {

// The longest text of a float32 is "-1.17549435e-38"; a few bytes behind it may be written to as well.
inline constexpr size_t kFloatTextRoom = 24;

// Writes the shortest text that reads back as the number, as std::to_chars() does, and returns its end.
// kFloatTextRoom bytes must be free at `out`.
char* WriteFloat(float number, char* out);

// The same of several, a comma between each two. kFloatTextRoom bytes must be free for each.
char* WriteFloats(std::span<const float> numbers, char* out);

}  // namespace pomona
