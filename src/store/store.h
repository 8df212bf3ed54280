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
    /// Returns when this command, and all before it, are on disk. A failure to write is an error of kind io.
    virtual Task<Result<void>> apply_durably(Command command) = 0;
    virtual Task<Result<void>> flush() = 0;
    /// Can it write now? For /api/health.
    virtual Result<void> health() const = 0;
};

/// SQLite in write-ahead mode, one writer thread, batched transactions; a durable command forces a
/// synchronous commit. Errors: cannot open or create (names path and reason), not a database or damaged
/// (integrity check fails; the file is left untouched), made by a newer version (says which), locked by
/// another running manager.
Result<std::unique_ptr<Store>> open_sqlite(const std::filesystem::path& path, Clock& clock,
                                           Limits limits = {});

/// For tests and the simulated world: same State, "disk" is a copy that the owner can keep, lose or roll
/// back.
std::unique_ptr<Store> make_memory_store(Clock& clock, std::shared_ptr<State> disk = nullptr,
                                         Limits limits = {});

}  // namespace baton::store
