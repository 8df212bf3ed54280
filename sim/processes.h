#pragma once

#include <functional>
#include <map>
#include <string>
#include <vector>

#include "base/subprocess.h"
#include "sim/ground.h"

namespace baton::sim {

/// What a hook does in the model.
struct Played {
    int exit_code = 0;
    Duration takes = milliseconds(20);
    std::string output;
};

/// Plays the users' hooks: the command is the text of the script that the runner was given.
class SimProcesses final : public ProcessRunner {
  public:
    struct Ran {
        std::string command;
        std::map<std::string, std::string> environment;
    };

    SimProcesses(Ground& ground, Clock& clock) : ground_(ground), clock_(clock) {}
    /// Without it every hook succeeds in 20 ms.
    std::function<Played(const std::string& command)> play;
    std::vector<Ran>* log = nullptr;

    Task<Result<ProcessResult>> run(ProcessSpec spec) override;

  private:
    Ground& ground_;
    Clock& clock_;
};

}  // namespace baton::sim
