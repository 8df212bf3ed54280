#include "store/writer.h"

#include <fmt/format.h>
#include <pthread.h>
#include <spdlog/spdlog.h>

#include <csignal>

namespace baton::store {
namespace {

using SteadyClock = std::chrono::steady_clock;

/// Signals belong to the control thread.
std::thread start_without_signals(std::function<void()> body) {
    sigset_t all;
    sigset_t before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    std::thread thread(std::move(body));
    pthread_sigmask(SIG_SETMASK, &before, nullptr);
    pthread_setname_np(thread.native_handle(), "baton-store");
    return thread;
}

}  // namespace

Writer::Writer(Database db, Tables tables, std::string path)
    : db_(std::move(db)),
      tables_(std::move(tables)),
      path_(std::move(path)),
      thread_(start_without_signals([this] { run(); })) {}

Writer::~Writer() {
    {
        std::unique_lock lock(mutex_);
        stop_ = true;
        stop_at_ = SteadyClock::now() + farewell;
        wake_.notify_one();
        // Interrupting once could fall between two statements; so again until it has been heard.
        if (!ended_.wait_for(lock, farewell, [this] { return has_ended_; })) {
            do {
                db_.interrupt();
            } while (!ended_.wait_for(lock, gather, [this] { return has_ended_; }));
        }
    }
    thread_.join();
}

void Writer::write(Changes changes) {
    if (changes.empty()) return;
    const std::scoped_lock lock(mutex_);
    const bool was_empty = queue_.empty();
    if (was_empty) first_queued_ = SteadyClock::now();
    enqueue(std::move(changes));
    if (was_empty || queue_.size() >= full_batch) wake_.notify_one();
}

void Writer::write_durably(Changes changes, Done done) {
    const std::scoped_lock lock(mutex_);
    if (queue_.empty()) first_queued_ = SteadyClock::now();
    enqueue(std::move(changes));
    waiting_.push_back(std::move(done));
    wake_.notify_one();
}

size_t Writer::queued() const {
    const std::scoped_lock lock(mutex_);
    return queue_.size() + in_flight_;
}

Result<void> Writer::health() const {
    const std::scoped_lock lock(mutex_);
    if (failure_) return std::unexpected(*failure_);
    if (write_began_ && SteadyClock::now() - *write_began_ > stuck) {
        return fail(ErrorKind::io,
                    fmt::format("a write has not ended for more than {} s; look at the disk", stuck.count()),
                    path_);
    }
    return {};
}

void Writer::enqueue(Changes changes) {
    for (auto& change : changes) {
        const auto [at, fresh] = queue_.try_emplace(std::move(change.key));
        auto& pending = at->second;
        if (change.row) {
            // A row that replaces a removal is in the file under its old form.
            if (fresh) pending.is_new = change.is_new;
            pending.row = std::move(change.row);
        } else if (pending.is_new) {
            queue_.erase(at);
        } else {
            pending.row.reset();
        }
    }
}

/// False: stop, nothing is left to do.
bool Writer::wait_for_work(std::unique_lock<std::mutex>& lock) {
    while (true) {
        if (!waiting_.empty()) return true;
        if (queue_.empty()) {
            if (stop_) return false;
            wake_.wait(lock);
            continue;
        }
        const auto now = SteadyClock::now();
        if (stop_ && now >= stop_at_) return false;
        const bool hurry = stop_ || queue_.size() >= full_batch;
        const auto due = std::max(not_before_, hurry ? now : first_queued_ + gather);
        if (due <= now) return true;
        wake_.wait_until(lock, due);
    }
}

void Writer::run() {
    std::unique_lock lock(mutex_);
    while (wait_for_work(lock)) {
        auto rows = std::exchange(queue_, {});
        const auto waiting = std::exchange(waiting_, {});
        in_flight_ = rows.size();
        write_began_ = SteadyClock::now();
        lock.unlock();
        const auto written = write_batch(rows, !waiting.empty());
        lock.lock();
        write_began_.reset();
        in_flight_ = 0;
        if (written) {
            if (failure_) spdlog::info("store: {} can be written again", path_);
            failure_.reset();
        } else {
            if (!failure_) spdlog::error("store: {}; will be tried again", written.error().text());
            failure_ = written.error();
            put_back(std::move(rows));
            not_before_ = SteadyClock::now() + (stop_ ? gather : retry);
        }
        lock.unlock();
        for (const auto& done : waiting)
            done(written);
        lock.lock();
    }
    if (!queue_.empty())
        spdlog::error("store: {}: {} rows could not be written before the end", path_, queue_.size());
    has_ended_ = true;
    ended_.notify_all();
}

void Writer::put_back(Queue rows) {
    for (auto& [key, older] : rows) {
        const auto [at, absent] = queue_.try_emplace(key);
        auto& newer = at->second;
        if (absent) {
            newer = std::move(older);
        } else {
            newer.is_new = older.is_new;
            if (!newer.row && newer.is_new) queue_.erase(at);
        }
    }
}

/// In write-ahead mode a commit under synchronous=NORMAL is not synced (it survives us, not the machine); one
/// under FULL syncs the whole log, and so all commits before it too. The setting cannot change inside of a
/// transaction.
Result<void> Writer::write_batch(const Queue& rows, bool durable) {
    if (rows.empty() && !(durable && unsynced_)) return {};
    Result<void> done;
    if (durable != full_sync_) {
        done = db_.exec(durable ? "PRAGMA synchronous = FULL" : "PRAGMA synchronous = NORMAL");
        if (done) full_sync_ = durable;
    }
    if (done) done = db_.exec("BEGIN IMMEDIATE");
    if (done) {
        done = write_rows(rows, durable);
        if (done) done = db_.exec("COMMIT");
        if (!done) (void)db_.exec("ROLLBACK");
    }
    if (!done) return fail(done.error().kind, "cannot write the record: " + done.error().message, path_);
    unsynced_ = !durable;
    return {};
}

Result<void> Writer::write_rows(const Queue& rows, bool durable) {
    for (const auto& [key, pending] : rows) {
        auto done = pending.row ? tables_.put(*pending.row) : tables_.erase(key);
        if (!done) return done;
    }
    // A commit that changes nothing writes nothing and syncs nothing.
    if (durable && rows.empty()) {
        return db_.exec(
            "INSERT INTO settings VALUES('syncs', '1') "
            "ON CONFLICT DO UPDATE SET value = CAST(value AS INTEGER) + 1");
    }
    return {};
}

}  // namespace baton::store
