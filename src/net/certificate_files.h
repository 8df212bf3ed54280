#pragma once

#include <span>
#include <string>

#include "base/error.h"
#include "base/time.h"

/// Certificates that lie in files and are renewed there. Blocking; any thread.
namespace baton::net {

/// When the first certificate of a PEM file ends. Error io: names the file.
Result<WallTime> certificate_file_ends(const std::string& file);

/// Tells one state of these files from another; "" is skipped.
std::string state_of_files(std::span<const std::string> files);

}  // namespace baton::net
