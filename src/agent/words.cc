#include <array>

#include "agent/protocol.h"

namespace baton::agent {

std::string_view to_string(Verb verb) {
    static constexpr std::array<std::string_view, 16> words{
        "start", "stop",    "restart",      "reload",      "promote", "make-standby", "rewind", "clone",
        "fence", "unfence", "control-data", "stand-clear", "ask",     "route",        "hold",   "wal-past"};
    return words[static_cast<size_t>(verb)];
}

}  // namespace baton::agent
