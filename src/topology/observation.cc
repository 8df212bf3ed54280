#include "topology/observation.h"

namespace baton::topology {

Lsn Observation::end_of_records() const {
    constexpr uint64_t page = 8192;
    const bool within = !receiving() && !replay_paused && received.value % page == 0 && replayed < received &&
                        received.value - replayed.value <= page;
    return within ? replayed : position();
}

}  // namespace baton::topology
