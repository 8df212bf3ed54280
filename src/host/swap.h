#pragma once

#include <functional>
#include <string_view>

#include "host/deed_journal.h"

namespace baton::host {

/// What there is at the places of a swap.
struct SwapSight {
    bool data = false;
    bool fresh = false;
    bool old = false;
};

enum class SwapStep : uint8_t {
    set_aside,  ///< data directory → old
    move_in,    ///< fresh → data directory
    put_back,   ///< the fresh one is gone: old → data directory
    done,
    lost  ///< the fresh one is gone, and nothing was swapped
};

/// The next step, from what is there alone: whoever was killed between two steps goes on with it. Pure.
/// `had_data`: there was a data directory when the swap began.
SwapStep next_swap_step(const SwapSight& sight, bool had_data);

/// Does all steps, each durable before the next, from wherever an earlier try was interrupted. `before_step`
/// may end it, as a crash would. Error io or not_found (the new directory is gone; what was there before is
/// in its place). Blocks.
Result<void> swap_directories(const Deed& deed, const std::function<bool(SwapStep)>& before_step = nullptr);

/// The first of PATH.old-1, PATH.old-2, … that is not there.
std::string free_name(const std::string& path, const std::string& suffix);

}  // namespace baton::host
