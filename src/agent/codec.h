#pragma once

#include <string>
#include <string_view>

#include "agent/protocol.h"

namespace baton::agent {

/// One line without its end.
std::string to_text(const Frame& frame);

/// The frame of a line. Unknown members are skipped, missing ones have their defaults, so that neighbouring
/// versions understand each other. Error invalid_argument: not JSON, no known kind, a value of the wrong type
/// or out of its range (names the member).
Result<Frame> parse_frame(std::string_view line);

}  // namespace baton::agent
