#pragma once

namespace baton::app {

/// The whole program: picks the personality from argv[0] (`baton`, `orchestrator`, `orchestrator-client`) and
/// the first words, runs it, and returns the process's exit code.
int run(int argc, char** argv);

}  // namespace baton::app
