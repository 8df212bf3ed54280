#pragma once

#include <string>

#include "base/time.h"

/// Quantities in sentences. Pure.
namespace baton::analysis {

/// "12 ms", "3.4 s", "5 min", "2 h", "3 d"; a negative duration reads as "0 ms".
std::string duration_text(Duration d);
/// "1 byte", "120 bytes", "1.5 MiB"
std::string bytes_text(uint64_t bytes);

}  // namespace baton::analysis
