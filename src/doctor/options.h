#pragma once

#include <string>
#include <vector>

#include "base/error.h"
#include "base/time.h"

namespace baton::doctor {

struct Options {
    std::vector<std::string> files;  ///< of the configuration; none = where a server looks for them
    std::string server;              ///< -i
    std::string cluster;             ///< name, alias, or host:port of a member
    bool json = false;
    bool help = false;
    seconds timeout{15};  ///< 1–600, for looking at everything
};

/// Error invalid_argument names the word that makes no sense.
Result<Options> parse_options(const std::vector<std::string>& args);
std::string usage();

}  // namespace baton::doctor
