#include "sim/processes.h"

#include <fmt/format.h>

#include <fstream>
#include <sstream>

#include "base/text.h"

namespace baton::sim {

Task<Result<ProcessResult>> SimProcesses::run(ProcessSpec spec) {
    std::ostringstream script;
    script << std::ifstream(spec.argv.back()).rdbuf();
    const std::string command(trim(script.str()));
    const auto played = play ? play(command) : Played{};
    if (log != nullptr) log->push_back({command, {spec.environment.begin(), spec.environment.end()}});
    ground_.trace.note("hook", fmt::format("starts: {}", command));
    const bool killed = played.takes > spec.timeout;
    const auto took = std::min<Duration>(played.takes, spec.timeout);
    co_await clock_.sleep_for(took);
    ground_.trace.note("hook", fmt::format("{}: {}", killed ? "is killed" : "ends", command));
    co_return ProcessResult{.exit_code = killed ? 137 : played.exit_code,
                            .timed_out = killed,
                            .output = played.output,
                            .took = took};
}

}  // namespace baton::sim
