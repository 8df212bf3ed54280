#include "engine/postgresql/actor.h"

#include <fmt/format.h>

#include "engine/postgresql/dialect.h"

namespace baton::engine::postgresql {
namespace {

constexpr milliseconds request_again_after{
    50};  // a promotion asked for once may sleep for 5 s (the 5-second trap)
constexpr milliseconds poll_interval{2};
constexpr milliseconds reconnect_interval{50};

constexpr std::string_view not_in_recovery = "55000";
constexpr std::string_view duplicate_object = "42710";

Task<Result<void>> connect_it(HandPtr hand, MonoTime deadline) {
    co_return co_await ensure_connected(*hand, deadline);
}

Task<Result<bool>> is_in_recovery(HandPtr hand, MonoTime deadline) {
    const auto answer = co_await ask(*hand, "SELECT pg_is_in_recovery()", deadline);
    if (!answer) co_return std::unexpected(answer.error());
    co_return value_of(*answer, 0) == "t";
}

Task<Result<void>> request_promotion(HandPtr hand, MonoTime deadline) {
    auto asked = co_await tell(*hand, "SELECT pg_promote(false)", deadline,
                               "GRANT EXECUTE ON FUNCTION pg_catalog.pg_promote(boolean, integer) TO %R;");
    // Between the last look and this request it was promoted: the next look will say so.
    if (!asked && asked.error().sqlstate == not_in_recovery) co_return Result<void>{};
    co_return asked;
}

std::unexpected<Error> not_promoted(const Hand& hand, int requests, const std::string& last) {
    return fail(ErrorKind::timeout,
                fmt::format("promotion was asked for {} times and the server is still in recovery{}{}",
                            requests, last.empty() ? "" : "; last error: ", last),
                hand.key.text());
}

Task<Result<Promotion>> promote_it(HandPtr hand, MonoTime deadline, std::function<bool()> over) {
    auto& clock = hand->wiring->clock;
    // Of earlier calls, too: one promotion is waited for in several.
    const auto& requests = hand->promotion_requests;
    int asked_here = 0;
    MonoTime began, next_request;
    std::string last;
    auto pause = poll_interval;
    for (; clock.now() < deadline; co_await clock.sleep_for(pause)) {
        const auto recovering = co_await is_in_recovery(hand, deadline);
        pause = recovering ? poll_interval : reconnect_interval;
        if (!recovering) {
            if (!may_yet_promote(recovering.error(), requests)) co_return std::unexpected(recovering.error());
            last = recovering.error().text();
            continue;
        }
        if (!*recovering) {
            const bool already = asked_here == 0;
            co_return Promotion{.took = already ? Duration{} : clock.now() - began, .already = already};
        }
        if (clock.now() < next_request) continue;
        if (requests == 0 && over && over())
            co_return fail(ErrorKind::cancelled, "the failure is over: it is not asked", hand->key.text());
        if (asked_here++ == 0) began = clock.now();
        ++hand->promotion_requests;
        next_request = clock.now() + request_again_after;
        const auto asked = co_await request_promotion(hand, deadline);
        if (!asked && !may_yet_promote(asked.error(), requests)) co_return std::unexpected(asked.error());
        if (!asked) last = asked.error().text();
    }
    co_return not_promoted(*hand, requests, last);
}

Task<Result<void>> make_slot(HandPtr hand, std::string name, MonoTime deadline) {
    if (auto ready = co_await ensure_connected(*hand, deadline); !ready) co_return ready;
    const auto literal = hand->session->literal(name);
    auto made =
        co_await tell(*hand, fmt::format("SELECT pg_create_physical_replication_slot({}, true)", literal),
                      deadline, "ALTER ROLE %R REPLICATION;");
    if (made || made.error().sqlstate != duplicate_object) co_return made;
    const auto kind = co_await ask(
        *hand, fmt::format("SELECT slot_type FROM pg_replication_slots WHERE slot_name = {}", literal),
        deadline);
    if (!kind) co_return std::unexpected(kind.error());
    if (value_of(*kind, 0) == "physical") co_return Result<void>{};
    co_return fail(ErrorKind::conflict, fmt::format("slot \"{}\" exists and is not a physical slot", name),
                   hand->key.text());
}

Task<Result<void>> remove_slot(HandPtr hand, std::string name, MonoTime deadline) {
    if (auto ready = co_await ensure_connected(*hand, deadline); !ready) co_return ready;
    auto dropped =
        co_await tell(*hand,
                      fmt::format("SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots "
                                  "WHERE slot_type = 'physical' AND slot_name = {}",
                                  hand->session->literal(name)),
                      deadline, "ALTER ROLE %R REPLICATION;");
    // Somebody else was quicker.
    if (!dropped && dropped.error().kind == ErrorKind::not_found) co_return Result<void>{};
    co_return dropped;
}

Task<Result<void>> move_slot(HandPtr hand, std::string name, Lsn to, MonoTime deadline) {
    if (auto ready = co_await ensure_connected(*hand, deadline); !ready) co_return ready;
    // One that is there already, or further, cannot be moved back: the server says so as an error.
    co_return co_await tell(
        *hand,
        fmt::format(
            "SELECT pg_replication_slot_advance(slot_name, {0}::pg_lsn) FROM pg_replication_slots "
            "WHERE slot_type = 'physical' AND NOT active AND slot_name = {1} AND restart_lsn < {0}::pg_lsn",
            hand->session->literal(to.text()), hand->session->literal(name)),
        deadline, "ALTER ROLE %R REPLICATION;");
}

Task<Result<std::vector<std::string>>> remove_left_over_slots(HandPtr hand, std::vector<std::string> names,
                                                              MonoTime deadline) {
    if (auto ready = co_await ensure_connected(*hand, deadline); !ready)
        co_return std::unexpected(ready.error());
    std::vector<std::string> wanted;
    for (const auto& name : names)
        wanted.push_back(hand->session->literal(name));
    // On a standby a slot with `failover` is a copy (synced) or of its time as a primary.
    const auto dropped = co_await ask(
        *hand,
        fmt::format("SELECT slot_name, pg_drop_replication_slot(slot_name) FROM pg_replication_slots "
                    "WHERE pg_is_in_recovery() AND slot_type = 'logical' AND failover AND NOT synced "
                    "AND NOT temporary AND NOT active AND slot_name IN ({})",
                    fmt::join(wanted, ", ")),
        deadline, "ALTER ROLE %R REPLICATION;");
    if (!dropped) co_return std::unexpected(dropped.error());
    std::vector<std::string> gone;
    for (int row = 0; row < PQntuples(dropped->get()); ++row)
        gone.emplace_back(PQgetvalue(dropped->get(), row, 0));
    co_return gone;
}

Task<Result<void>> pause_or_resume(HandPtr hand, bool paused, MonoTime deadline) {
    const std::string function = paused ? "pg_wal_replay_pause()" : "pg_wal_replay_resume()";
    co_return co_await tell(*hand, "SELECT " + function, deadline,
                            "GRANT EXECUTE ON FUNCTION pg_catalog." + function + " TO %R;");
}

Task<Result<void>> terminate(HandPtr hand, int pid, MonoTime deadline) {
    co_return co_await tell(*hand, fmt::format("SELECT pg_terminate_backend({})", pid), deadline,
                            "GRANT pg_signal_backend TO %R; sessions of superusers need a superuser");
}

class PostgresActor final : public Actor {
  public:
    PostgresActor(std::shared_ptr<Wiring> wiring, const InstanceKey& key)
        : hand_(std::make_shared<Hand>(std::move(wiring), key)) {}
    ~PostgresActor() override { hand_->session->close(); }

    Task<Result<void>> connect(MonoTime d) override { return connect_it(hand_, d); }
    Task<Result<bool>> in_recovery(MonoTime d) override { return is_in_recovery(hand_, d); }
    Task<Result<Promotion>> promote(MonoTime d, std::function<bool()> over) override {
        return promote_it(hand_, d, std::move(over));
    }
    int promotion_requests() const override { return hand_->promotion_requests; }
    Task<Result<FollowHow>> follow(FollowOrder order, MonoTime d) override {
        return follow_upstream(hand_, std::move(order), d);
    }
    Task<Result<void>> create_slot(std::string name, MonoTime d) override {
        return make_slot(hand_, std::move(name), d);
    }
    Task<Result<void>> drop_slot(std::string name, MonoTime d) override {
        return remove_slot(hand_, std::move(name), d);
    }
    Task<Result<void>> advance_slot(std::string name, Lsn to, MonoTime d) override {
        return move_slot(hand_, std::move(name), to, d);
    }
    Task<Result<std::vector<std::string>>> drop_left_over_slots(std::vector<std::string> names,
                                                                MonoTime d) override {
        return remove_left_over_slots(hand_, std::move(names), d);
    }
    Task<Result<void>> restart_receiver(MonoTime d) override { return restart_wal_receiver(hand_, d); }
    Task<Result<void>> pause_replay(bool paused, MonoTime d) override {
        return pause_or_resume(hand_, paused, d);
    }
    Task<Result<void>> set_read_only(bool read_only, MonoTime d) override {
        return alter_system(hand_, "default_transaction_read_only", read_only ? "on" : "off", d);
    }
    Task<Result<void>> set_synchronous_standby_names(std::string value, MonoTime d) override {
        return alter_system(hand_, "synchronous_standby_names", std::move(value), d);
    }
    Task<Result<void>> end_session(int pid, MonoTime d) override { return terminate(hand_, pid, d); }
    Task<Result<topology::TimelineHistory>> timeline_history(Timeline timeline, MonoTime d) override {
        return read_timeline_history(hand_, timeline, d);
    }
    Task<Result<Examination>> examine(MonoTime d) override { return examine_server(hand_, d); }
    Task<Result<void>> checkpoint(MonoTime d) override { return write_checkpoint(hand_, d); }
    Task<Result<topology::Activity>> activity(MonoTime d) override { return read_activity(hand_, d); }

  private:
    HandPtr hand_;
};

}  // namespace

Task<Result<void>> ensure_connected(Hand& hand, MonoTime deadline) {
    if (hand.session->is_open()) co_return Result<void>{};
    auto opened = co_await hand.session->open(deadline);
    if (!opened) co_return std::unexpected(std::move(opened.error().error));
    hand.session->settle();
    if (const int version = hand.session->server_version(); version < oldest_version) {
        co_return fail(ErrorKind::unsupported,
                       fmt::format("PostgreSQL {} is too old: 13 to 18 are supported", version / 10000),
                       hand.key.text());
    }
    co_return Result<void>{};
}

Task<Result<ResultPtr>> ask(Hand& hand, std::string sql, MonoTime deadline, std::string remedy) {
    if (auto ready = co_await ensure_connected(hand, deadline); !ready)
        co_return std::unexpected(ready.error());
    auto answer = co_await hand.session->query(std::move(sql), deadline);
    if (answer) co_return std::move(*answer);
    auto error = std::move(answer.error().error);
    if (error.kind == ErrorKind::privilege && !remedy.empty()) {
        error.message += "; to permit it: " + fill_role(std::move(remedy), hand.wiring->login.user);
    }
    co_return std::unexpected(std::move(error));
}

Task<Result<void>> tell(Hand& hand, std::string sql, MonoTime deadline, std::string remedy) {
    const auto answer = co_await ask(hand, std::move(sql), deadline, std::move(remedy));
    if (!answer) co_return std::unexpected(answer.error());
    co_return Result<void>{};
}

std::unique_ptr<Actor> make_actor(std::shared_ptr<Wiring> wiring, const InstanceKey& key) {
    return std::make_unique<PostgresActor>(std::move(wiring), key);
}

}  // namespace baton::engine::postgresql
