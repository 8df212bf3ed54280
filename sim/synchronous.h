#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "sim/wal.h"

namespace baton::sim {

struct StandbyPosition {
    std::string name;
    Lsn flushed;
};

/// synchronous_standby_names as the model understands it, on its own: the code under test has its own reader.
struct SynchronousNames {
    bool any = false;
    size_t needed = 0;  ///< 0: nobody waits
    std::vector<std::string> names;

    static SynchronousNames parse(std::string_view text);
    /// Place in the list, from 1; 0 = not in it.
    int priority(std::string_view name) const;
    /// May a commit that ends at `end` be acknowledged?
    bool confirmed(Lsn end, const std::vector<StandbyPosition>& standbys) const;
    /// As pg_stat_replication shows it.
    std::string state(std::string_view name, const std::vector<StandbyPosition>& standbys) const;
};

}  // namespace baton::sim
