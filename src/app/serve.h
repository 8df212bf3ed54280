#pragma once

#include <string>
#include <vector>

namespace baton::app {

struct ServeOptions {
    std::vector<std::string> config_files;  ///< empty: the default places
    bool debug = false;
    bool quiet = false;  ///< warnings and errors only
};

/// Runs the manager until SIGTERM or SIGINT. Returns the process's exit code; what was wrong is on standard
/// error.
int serve(const ServeOptions& options);

}  // namespace baton::app
