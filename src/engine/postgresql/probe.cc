#include "engine/postgresql/probe.h"

#include <fmt/format.h>

#include "base/text.h"

namespace baton::engine::postgresql {
namespace {

constexpr const char* look_name = "baton_look";
constexpr std::string_view not_in_prerequisite_state = "55000";

template <size_t count>
std::array<Cell, count> first_row(const PGresult* result) {
    std::array<Cell, count> row{};
    for (size_t i = 0; i < count; ++i) {
        const int column = static_cast<int>(i);
        if (PQgetisnull(result, 0, column) == 0) {
            row[i] = Cell(PQgetvalue(result, 0, column), static_cast<size_t>(PQgetlength(result, 0, column)));
        }
    }
    return row;
}

template <class Column>
Result<std::array<Cell, static_cast<size_t>(Column::count)>> only_row(const PGresult* result) {
    constexpr auto count = static_cast<size_t>(Column::count);
    if (PQntuples(result) == 1 && PQnfields(result) == static_cast<int>(count))
        return first_row<count>(result);
    return fail(ErrorKind::internal, fmt::format("{} rows of {} columns in answer to a look",
                                                 PQntuples(result), PQnfields(result)));
}

/// What a probe's coroutines and its session share; outlives the Probe while a call is under way.
struct Watch {
    Watch(std::shared_ptr<Wiring> w, const InstanceKey& key)
        : wiring(std::move(w)), session(std::make_shared<Session>(wiring, key, Purpose::watching)) {}

    std::shared_ptr<Wiring> wiring;
    std::shared_ptr<Session> session;
    std::optional<SessionMemory> memory;  // of this session; nothing until it was introduced
    std::function<void()> on_broken;
    bool busy = false;
};

using WatchPtr = std::shared_ptr<Watch>;

/// Marks a call as under way; a failure closes the session when the call ends.
class Call {
  public:
    explicit Call(Watch& watch) : watch_(watch) { watch_.busy = true; }
    ~Call() {
        watch_.busy = false;
        if (succeeded_) {
            watch_.session->settle();
        } else {
            watch_.session->close();
        }
    }
    Call(const Call&) = delete;
    Call& operator=(const Call&) = delete;
    void succeed() { succeeded_ = true; }

  private:
    Watch& watch_;
    bool succeeded_ = false;
};

Unreached answering_but(const Watch& watch, Error error) {
    error.who = watch.session->who();
    return {Reach::failing, std::move(error), true};
}

Unreached overlapping(const Watch& watch) {
    return {Reach::unknown,
            Error{ErrorKind::internal, "two calls at a time on one probe", watch.session->who(), ""}};
}

Task<Opened> ensure_open(Watch& watch, MonoTime deadline) {
    if (watch.session->is_open()) co_return Opened{};
    watch.memory.reset();
    co_return co_await watch.session->open(deadline);
}

/// Reads what cannot change on this session and prepares the look.
Task<Opened> introduce(Watch& watch, MonoTime deadline) {
    if (const int version = watch.session->server_version(); version < oldest_version) {
        co_return std::unexpected(answering_but(
            watch, {ErrorKind::unsupported,
                    fmt::format("PostgreSQL {} is too old: 13 to 18 are supported", version / 10000),
                    {},
                    {}}));
    }
    const auto answer = co_await watch.session->query(std::string(identity_sql()), deadline);
    if (!answer) co_return std::unexpected(answer.error());
    const auto row = only_row<Identity>(answer->get());
    if (!row) co_return std::unexpected(answering_but(watch, row.error()));
    auto memory = decode_identity(*row);
    if (!memory) co_return std::unexpected(answering_but(watch, memory.error()));
    const auto prepared = co_await watch.session->prepare(look_name, look_sql(), deadline);
    if (!prepared) co_return std::unexpected(prepared.error());
    watch.memory = std::move(*memory);
    co_return Opened{};
}

/// Not in the coroutine itself: an observation in its frame would take that past what the allocator keeps at
/// hand, and ten thousand of them a second are a twelfth of all the work.
Looked read_look(Watch& watch, const PGresult* result, MonoTime asked_at) {
    const auto row = only_row<Look>(result);
    if (!row) return std::unexpected(answering_but(watch, row.error()));
    auto seen = decode_look(*row, *watch.memory);
    if (!seen) return std::unexpected(answering_but(watch, seen.error()));
    seen->asked_at = asked_at;
    seen->answered_at = watch.wiring->clock.now();
    return std::make_shared<const Observation>(std::move(*seen));
}

/// True: there is WAL of a timeline that this session never saw it stream. A role that may not list the
/// directory learns nothing.
Task<bool> learn_newest_wal(Watch& watch, MonoTime deadline) {
    const auto answer = co_await watch.session->query(std::string(newest_wal_sql()), deadline);
    if (!answer) co_return false;
    const auto newest = parse_uint(first_row<1>(answer->get())[0]).value_or(0);
    if (newest <= watch.memory->received) co_return false;
    watch.memory->received = static_cast<topology::Timeline>(newest);
    co_return true;
}

Task<Looked> look_at(WatchPtr watch, MonoTime deadline) {
    if (watch->busy) co_return std::unexpected(overlapping(*watch));
    Call call(*watch);
    if (auto opened = co_await ensure_open(*watch, deadline); !opened)
        co_return std::unexpected(opened.error());
    if (!watch->memory) {
        if (auto known = co_await introduce(*watch, deadline); !known)
            co_return std::unexpected(known.error());
    }
    auto asked_at = watch->wiring->clock.now();
    auto answer = co_await watch->session->execute(look_name, deadline);
    if (!answer && answer.error().error.sqlstate == not_in_prerequisite_state) {
        // It left recovery in the middle of the statement.
        asked_at = watch->wiring->clock.now();
        answer = co_await watch->session->execute(look_name, deadline);
    }
    if (!answer) co_return std::unexpected(answer.error());
    auto seen = read_look(*watch, answer->get(), asked_at);
    if (seen && watch->memory->newest_unseen && co_await learn_newest_wal(*watch, deadline))
        seen = read_look(*watch, answer->get(), asked_at);
    if (seen) call.succeed();
    co_return seen;
}

Task<std::expected<void, Unreached>> touch_it(WatchPtr watch, MonoTime deadline) {
    if (watch->busy) co_return std::unexpected(overlapping(*watch));
    Call call(*watch);
    if (auto opened = co_await ensure_open(*watch, deadline); !opened) co_return opened;
    if (auto answer = co_await watch->session->query("", deadline); !answer)
        co_return std::unexpected(answer.error());
    call.succeed();
    co_return Opened{};
}

class PostgresProbe final : public Probe {
  public:
    PostgresProbe(std::shared_ptr<Wiring> wiring, const InstanceKey& key)
        : watch_(std::make_shared<Watch>(std::move(wiring), key)) {
        watch_->session->on_end([weak = std::weak_ptr(watch_)] {
            const auto watch = weak.lock();
            // While a call is under way, its own result tells.
            if (!watch || watch->busy) return;
            if (const auto callback = watch->on_broken) callback();
        });
    }
    ~PostgresProbe() override {
        watch_->on_broken = nullptr;
        watch_->session->close();
    }

    Task<Looked> look(MonoTime deadline) override { return look_at(watch_, deadline); }
    Task<std::expected<void, Unreached>> touch(MonoTime deadline) override {
        return touch_it(watch_, deadline);
    }
    bool connected() const override { return watch_->session->is_open(); }
    void on_broken(std::function<void()> callback) override { watch_->on_broken = std::move(callback); }
    void disconnect() override { watch_->session->close(); }

  private:
    WatchPtr watch_;
};

}  // namespace

std::unique_ptr<Probe> make_probe(std::shared_ptr<Wiring> wiring, const InstanceKey& key) {
    return std::make_unique<PostgresProbe>(std::move(wiring), key);
}

}  // namespace baton::engine::postgresql
