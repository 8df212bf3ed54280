#pragma once

#include <string_view>

namespace baton::topology {

/// In place of the state that a control file names: that file or PG_VERSION is missing. Such a directory
/// cannot be started or rewound; what WAL is in it can still be read.
inline constexpr std::string_view damaged_directory = "damaged";

}  // namespace baton::topology
