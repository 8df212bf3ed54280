#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>

#include "base/clock.h"
#include "host/guard.h"

namespace baton::host {

/// What the agent remembers over its own end and its host's.
struct Memory {
    std::string agent;   ///< its id, random, made once
    uint64_t epoch = 0;  ///< the highest that was heard; 0: no manager was ever heard
    std::string boot;    ///< of the host, when this was written: Kept::clear_until is of its clock
    std::map<std::string, Kept> instances;  ///< by data directory
    bool operator==(const Memory&) const = default;
};

std::string to_text(const Memory& memory);
/// Error invalid_argument: damaged, or written by a newer version; says what is wrong with it.
Result<Memory> parse_memory(std::string_view text);

/// `state.json` in the state directory, and the lock that only one agent holds. Writes happen on a thread of
/// their own: a disk that hangs must not keep the agent from enforcing a lease.
class StateFile {
  public:
    virtual ~StateFile() = default;
    /// Writes it, and calls `done` on the clock's executor. Of texts that wait for the disk only the latest
    /// is written; it stands for the earlier ones, whose `done` is called too. A failed write is tried again
    /// every half second.
    virtual void write(std::string text, std::function<void()> done) = 0;
    /// How the last try to write went wrong; "" = it went well.
    virtual std::string trouble() const = 0;
    /// What was read at the start; a fresh id where there was nothing.
    virtual const Memory& memory() const = 0;
};

/// Makes the directory if need be (0700). Errors: conflict when another agent has it; invalid_argument when
/// the file is damaged; io.
Result<std::unique_ptr<StateFile>> open_state(Clock& clock, const std::string& directory);

}  // namespace baton::host
