#pragma once

#include <string_view>

#include "base/error.h"
#include "topology/activity.h"

namespace baton::engine::postgresql {

/// Reads the one JSON object that the server answers with. Error internal when it is none.
Result<topology::Activity> decode_activity(std::string_view text);

}  // namespace baton::engine::postgresql
