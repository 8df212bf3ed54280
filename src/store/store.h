#pragma once

#include <filesystem>
#include <functional>
#include <memory>

#include "base/clock.h"
#include "store/records.h"

namespace baton::store {

/// The durable record. Used on the control thread only.
class Store {
  public:
    virtual ~Store() = default;
    virtual const State& state() const = 0;
    /// Takes an id for a new record.
    virtual int64_t new_id() = 0;
    /// In force at once in state(); on disk soon after (batched).
    virtual void apply(Command command) = 0;
    /// In force, and in its place in the order, when the call returns, awaited or not. The task ends when
    /// this command, and all before it, are on disk. A failure to write is an error of kind io; the command
    /// then stays in force and is written as soon as the disk lets it.
    virtual Task<Result<void>> apply_durably(Command command) = 0;
    virtual Task<Result<void>> flush() = 0;
    /// Can it write now? For /api/health.
    virtual Result<void> health() const = 0;
    /// Rows that are not on disk yet, for /metrics.
    virtual size_t queued() const = 0;
};

/// SQLite in write-ahead mode, one writer thread, batched transactions; a durable command forces a
/// synchronous commit. What waits for the disk is at most one entry per row of the record, so apply() never
/// waits. A missing file is created with mode 0600, its directory too. Errors (kind io): cannot open or
/// create (names path and reason), not a database or damaged (integrity check fails), made by a newer version
/// (says which) or by another program, in use by another running manager (says which). A refused file is left
/// untouched. `clock` and its executor must outlive the store. Destroying it writes what waits, within 5 s.
Result<std::unique_ptr<Store>> open_sqlite(const std::filesystem::path& path, Clock& clock,
                                           Limits limits = {});

/// For tests and the simulated world: same State, "disk" is a copy that the owner can keep, lose or roll
/// back. It begins with what is on `disk`. Commands get there when they are durable, flushed, or many, and
/// not by destroying the store: that is what a crash looks like.
std::unique_ptr<Store> make_memory_store(Clock& clock, std::shared_ptr<State> disk = nullptr,
                                         Limits limits = {});

}  // namespace baton::store
