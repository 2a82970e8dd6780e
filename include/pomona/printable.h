// Foreign text, made fit for a terminal.
#pragma once

#include <string>
#include <string_view>

namespace pomona {

// The text with '?' for what a terminal or a reader would obey: control characters (C0 with line
// ends and tabs, DEL, C1), changes of the writing direction, bytes that are not UTF-8.
std::string Printable(std::string_view text);

}  // namespace pomona
