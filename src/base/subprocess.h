#pragma once

#include <functional>
#include <map>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/error.h"

namespace baton {

struct ProcessSpec {
    std::vector<std::string> argv;                                 ///< argv[0] is looked up in PATH
    std::vector<std::pair<std::string, std::string>> environment;  ///< added to ours; later wins
    Duration timeout = seconds(60);                                ///< then the whole process group is killed
    size_t output_limit = 64UL * 1024;  ///< bytes of stdout and stderr together that are kept
    /// Called with each piece of output as it comes, also beyond output_limit.
    std::function<void(std::string_view)> on_output = nullptr;
    /// Called once with the id of its process group, which is its own until run() has ended: for those who
    /// want to end it earlier.
    std::function<void(int)> on_started = nullptr;
};

struct ProcessResult {
    int exit_code = 0;  ///< 128 + signal number when it was killed
    bool timed_out = false;
    std::string output;  ///< stdout and stderr in the order of arrival
    bool truncated = false;
    Duration took{};
    bool ok() const { return exit_code == 0 && !timed_out; }
};

/// Runs programs; an argument, so that the simulated world can play them.
class ProcessRunner {
  public:
    virtual ~ProcessRunner() = default;
    /// Error io: it could not be started (names the program and why).
    virtual Task<Result<ProcessResult>> run(ProcessSpec spec) = 0;
};

/// Real processes: own process group, stdin from /dev/null, no inherited descriptors.
std::unique_ptr<ProcessRunner> make_process_runner(Clock& clock);

}  // namespace baton
