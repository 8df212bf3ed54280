#pragma once

#include "sim/run.h"

namespace baton::sim {

/// The shortest story found that still fails in the same checker as `story` does: faults are taken away one
/// by one, then what is left is made shorter and simpler. `tries` bounds the number of runs. A story that
/// does not fail is returned as it is.
Story shrink(const Story& story, int tries = 200);

}  // namespace baton::sim
