#include <boost/asio/post.hpp>

#include "store/file.h"
#include "store/store.h"
#include "store/writer.h"

namespace baton::store {
namespace {

constexpr seconds durable_deadline{30};

/// A coroutine that waits for the writer. Touched on the control thread only.
struct Waiter {
    explicit Waiter(Clock& clock) : written(clock) {}
    Signal written;
    std::optional<Result<void>> result;
};

Task<Result<void>> wait_for(std::shared_ptr<Waiter> waiter, MonoTime deadline, std::string path) {
    while (!waiter->result) {
        if (!co_await waiter->written.wait_until(deadline)) {
            co_return fail(
                ErrorKind::io,
                "not on disk within " + std::to_string(durable_deadline.count()) + " s; look at the disk",
                path);
        }
    }
    co_return *waiter->result;
}

class SqliteStore final : public Store {
  public:
    SqliteStore(OpenFile file, Tables tables, std::string path, Clock& clock, Limits limits)
        : lock_(std::move(file.lock)),
          state_(std::move(file.state)),
          saved_next_id_(state_.next_id),
          clock_(clock),
          limits_(limits),
          path_(std::move(path)),
          writer_(std::move(file.db), std::move(tables), path_) {
        writer_.write(std::move(file.dropped));
    }

    const State& state() const override { return state_; }
    int64_t new_id() override { return state_.next_id++; }
    void apply(Command command) override { writer_.write(change(command)); }
    // Not a coroutine itself: the command is in force, and has its place in the order, when the call returns.
    Task<Result<void>> apply_durably(Command command) override { return write_durably(change(command)); }
    Task<Result<void>> flush() override { return write_durably({}); }
    Result<void> health() const override { return writer_.health(); }
    size_t queued() const override { return writer_.queued(); }

  private:
    Changes change(const Command& command) {
        Changes changes;
        apply_command(state_, command, limits_, &changes);
        // Or the id of a record that was removed would be given again after a restart.
        if (state_.next_id != saved_next_id_ && !changes.empty()) {
            Row row = Setting{"next_id", std::to_string(state_.next_id)};
            auto key = key_of(row);
            changes.push_back({std::move(key), std::move(row), false});
            saved_next_id_ = state_.next_id;
        }
        return changes;
    }

    Task<Result<void>> write_durably(Changes changes) {
        const auto waiter = std::make_shared<Waiter>(clock_);
        writer_.write_durably(std::move(changes),
                              [waiter, executor = clock_.executor()](Result<void> result) mutable {
                                  asio::post(executor, [w = std::move(waiter), result = std::move(result)] {
                                      w->result = result;
                                      w->written.notify();
                                  });
                              });
        return wait_for(waiter, clock_.now() + durable_deadline, path_);
    }

    FileLock lock_;  ///< first: let go last
    State state_;
    int64_t saved_next_id_;
    Clock& clock_;
    const Limits limits_;
    const std::string path_;
    Writer writer_;
};

}  // namespace

Result<std::unique_ptr<Store>> open_sqlite(const std::filesystem::path& path, Clock& clock, Limits limits) {
    auto file = open_file(path, limits);
    if (!file) return std::unexpected(file.error());
    auto tables = Tables::prepare(file->db);
    if (!tables) {
        return fail(ErrorKind::io, "the database lacks a table or column of Baton: " + tables.error().message,
                    path.string());
    }
    return std::make_unique<SqliteStore>(std::move(*file), std::move(*tables), path.string(), clock, limits);
}

}  // namespace baton::store
