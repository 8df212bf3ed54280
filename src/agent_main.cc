#include "app/agent_command.h"

/// `baton-agent …` is `baton agent …`.
int main(int argc, char** argv) {
    return baton::app::agent_command({argv + 1, argv + argc});
}
