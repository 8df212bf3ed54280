#pragma once

#include <chrono>
#include <condition_variable>
#include <functional>
#include <map>
#include <mutex>
#include <thread>
#include <vector>

#include "store/rows.h"
#include "store/tables.h"

namespace baton::store {

/// Writes rows to SQLite on a thread of its own. What waits is one entry per row, the newest wins: the queue
/// can never hold more than one entry for each row of the record, however long the disk refuses, and nobody
/// ever waits to get in. A wake-up writes all that waits in one transaction, so the file always shows the
/// record as it was at some moment.
class Writer {
  public:
    using Done = std::function<void(Result<void>)>;

    /// `path` is for messages.
    Writer(Database db, Tables tables, std::string path);
    /// Writes what waits, for at most `farewell`, then ends the thread.
    ~Writer();

    /// Any thread.
    void write(Changes changes);
    /// Any thread. `done` is called on the writer's thread when all that was given before is on disk, or
    /// could not be written; then it stays in the queue and is tried again.
    void write_durably(Changes changes, Done done);
    size_t queued() const;
    /// The last write failed, or one has been under way for too long.
    Result<void> health() const;

    static constexpr std::chrono::milliseconds gather{50};  ///< how long ordinary rows wait for company
    static constexpr std::chrono::seconds retry{1};         ///< after a failure
    static constexpr std::chrono::seconds farewell{5};
    static constexpr std::chrono::seconds stuck{10};
    static constexpr size_t full_batch = 5000;  ///< rows that do not wait for more

  private:
    using Instant = std::chrono::steady_clock::time_point;
    struct Pending {
        std::optional<Row> row;  ///< nothing = remove
        bool is_new = false;     ///< not in the file: removing it needs no write
    };
    using Queue = std::map<RowKey, Pending>;

    void enqueue(Changes changes);
    void run();
    bool wait_for_work(std::unique_lock<std::mutex>& lock);
    Result<void> write_batch(const Queue& rows, bool durable);
    Result<void> write_rows(const Queue& rows, bool durable);
    void put_back(Queue rows);

    // The writer's thread only, after the constructor.
    Database db_;
    Tables tables_;
    const std::string path_;
    bool full_sync_ = false;  ///< PRAGMA synchronous, as it stands
    bool unsynced_ = false;   ///< committed without a sync since the last durable write

    mutable std::mutex mutex_;
    std::condition_variable wake_;
    std::condition_variable ended_;
    // Guarded by mutex_.
    Queue queue_;
    std::vector<Done> waiting_;
    size_t in_flight_ = 0;
    Instant first_queued_{};
    Instant not_before_{};
    Instant stop_at_{};
    std::optional<Instant> write_began_;
    std::optional<Error> failure_;
    bool stop_ = false;
    bool has_ended_ = false;

    std::thread thread_;  ///< last: starts when everything else is there
};

}  // namespace baton::store
