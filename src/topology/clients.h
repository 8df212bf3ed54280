#pragma once

#include <string>

#include "base/time.h"

namespace baton::topology {

/// Whether clients reach a server, as the agents on their hosts say. Only hosts count that have reached some
/// server of its cluster before, and whose agent is heard.
struct Clients {
    int asked = 0;          ///< hosts that tried
    int lost = 0;           ///< of these, those that have not reached it for some attempts in a row
    MonoTime lost_since{};  ///< since when the first of them has lost it (manager's clock); where lost > 0
    std::string detail;     ///< "app1.example: no answer (connecting)"; for people
    bool operator==(const Clients&) const = default;
};

}  // namespace baton::topology
