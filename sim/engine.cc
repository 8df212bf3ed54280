#include "sim/engine.h"

#include <fmt/format.h>

#include "sim/server.h"

namespace baton::sim {
namespace {

using engine::Looked;
using engine::ObservationPtr;
using engine::Unreached;

constexpr milliseconds lookup_time{1};
constexpr milliseconds request_again_after{50};
constexpr milliseconds poll_interval{2};

Unreached unreached(const Failure& f) {
    return {f.reach, f.error, f.on_new_connection};
}

struct Watch {
    ConnectionPtr connection;
    std::function<void()> on_broken;
    bool busy = false;
};
using WatchPtr = std::shared_ptr<Watch>;

/// One call on a watching session; a failure leaves no session behind.
Task<std::expected<void, Unreached>> call(WatchPtr watch, Work work, MonoTime deadline) {
    watch->busy = true;
    Connection::Done done;
    if (!watch->connection->is_open()) done = co_await watch->connection->open(deadline);
    if (done) done = co_await watch->connection->ask(std::move(work), deadline);
    watch->busy = false;
    if (done) co_return std::expected<void, Unreached>{};
    watch->connection->close();
    co_return std::unexpected(unreached(done.error()));
}

Task<Looked> look_at(WatchPtr watch, Clock& clock, MonoTime deadline) {
    const auto seen = std::make_shared<topology::Observation>();
    const auto looked = co_await call(
        watch,
        [seen, &clock](Server& server, Reply reply) {
            seen->asked_at = clock.now();
            server.look([seen, reply](topology::Observation o) {
                o.asked_at = seen->asked_at;
                *seen = std::move(o);
                reply({});
            });
        },
        deadline);
    if (!looked) co_return std::unexpected(looked.error());
    seen->answered_at = clock.now();
    watch->connection->look_arrived();
    co_return ObservationPtr(seen);
}

Task<std::expected<void, Unreached>> touch_it(WatchPtr watch, MonoTime deadline) {
    co_return co_await call(watch, [](Server&, Reply reply) { reply({}); }, deadline);
}

class SimProbe final : public engine::Probe {
  public:
    SimProbe(ConnectionPtr connection, Clock& clock) : watch_(std::make_shared<Watch>()), clock_(clock) {
        watch_->connection = std::move(connection);
        watch_->connection->on_end([weak = std::weak_ptr(watch_)] {
            const auto watch = weak.lock();
            if (watch && !watch->busy && watch->on_broken) watch->on_broken();
        });
    }
    ~SimProbe() override {
        watch_->on_broken = nullptr;
        watch_->connection->close();
    }
    Task<Looked> look(MonoTime deadline) override { return look_at(watch_, clock_, deadline); }
    Task<std::expected<void, Unreached>> touch(MonoTime deadline) override {
        return touch_it(watch_, deadline);
    }
    bool connected() const override { return watch_->connection->is_open(); }
    void on_broken(std::function<void()> callback) override { watch_->on_broken = std::move(callback); }
    void disconnect() override { watch_->connection->close(); }

  private:
    WatchPtr watch_;
    Clock& clock_;
};

Task<Result<void>> connect_it(ConnectionPtr connection, MonoTime deadline) {
    if (connection->is_open()) co_return Result<void>{};
    const auto opened = co_await connection->open(deadline);
    if (!opened) co_return std::unexpected(opened.error().error);
    co_return Result<void>{};
}

Task<Result<void>> tell(ConnectionPtr connection, Work work, MonoTime deadline) {
    if (auto ready = co_await connect_it(connection, deadline); !ready) co_return ready;
    const auto done = co_await connection->ask(std::move(work), deadline);
    if (!done) co_return std::unexpected(done.error().error);
    co_return Result<void>{};
}

Task<Result<bool>> is_in_recovery(ConnectionPtr connection, MonoTime deadline) {
    const auto answer = std::make_shared<bool>(false);
    const auto done = co_await tell(
        connection,
        [answer](Server& server, Reply reply) {
            *answer = server.in_recovery();
            reply({});
        },
        deadline);
    if (!done) co_return std::unexpected(done.error());
    co_return *answer;
}

Task<Result<void>> request_promotion(ConnectionPtr connection, MonoTime deadline) {
    auto asked = co_await tell(
        connection, [](Server& server, Reply reply) { reply(server.request_promotion()); }, deadline);
    if (!asked && asked.error().sqlstate == "55000") co_return Result<void>{};
    co_return asked;
}

Task<Result<engine::Promotion>> promote_it(ConnectionPtr connection, Clock& clock, InstanceKey key,
                                           std::shared_ptr<int> requests, MonoTime deadline,
                                           std::function<bool()> over) {
    int asked_here = 0;
    MonoTime began{}, next_request{};
    std::string last;
    for (; clock.now() < deadline; co_await clock.sleep_for(poll_interval)) {
        const auto recovering = co_await is_in_recovery(connection, deadline);
        if (!recovering) {
            if (!engine::may_yet_promote(recovering.error(), *requests))
                co_return std::unexpected(recovering.error());
            last = "; last error: " + recovering.error().text();
            continue;
        }
        if (!*recovering) {
            const bool already = asked_here == 0;
            co_return engine::Promotion{.took = already ? Duration{} : clock.now() - began,
                                        .already = already};
        }
        if (clock.now() < next_request) continue;
        if (*requests == 0 && over && over())
            co_return fail(ErrorKind::cancelled, "the failure is over: it is not asked", key.text());
        if (asked_here++ == 0) began = clock.now();
        ++*requests;
        connection->promotion_leaves();
        next_request = clock.now() + request_again_after;
        const auto asked = co_await request_promotion(connection, deadline);
        if (!asked && !engine::may_yet_promote(asked.error(), *requests))
            co_return std::unexpected(asked.error());
    }
    co_return fail(ErrorKind::timeout,
                   fmt::format("promotion was asked for {} times and the server is still in recovery{}",
                               *requests, last),
                   key.text());
}

Task<Result<engine::FollowHow>> follow_it(ConnectionPtr connection, engine::FollowOrder order,
                                          MonoTime deadline) {
    const auto how = std::make_shared<engine::FollowHow>();
    const auto done = co_await tell(
        connection,
        [how, order](Server& server, Reply reply) {
            server.follow(order, [how, reply](Result<engine::FollowHow> result) {
                if (!result) return reply(std::unexpected(result.error()));
                *how = *result;
                reply({});
            });
        },
        deadline);
    if (!done) co_return std::unexpected(done.error());
    co_return *how;
}

Task<Result<topology::TimelineHistory>> history_it(ConnectionPtr connection, Timeline timeline,
                                                   MonoTime deadline) {
    const auto history = std::make_shared<topology::TimelineHistory>();
    const auto done = co_await tell(
        connection,
        [history, timeline](Server& server, Reply reply) {
            for (auto branch = server.branch(); branch; branch = branch->parent) {
                if (branch->timeline != timeline) continue;
                *history = history_of(*branch);
                return reply({});
            }
            reply(fail(ErrorKind::not_found, "no such timeline", server.key().text(), "58P01"));
        },
        deadline);
    if (!done) co_return std::unexpected(done.error());
    co_return *history;
}

class SimActor final : public engine::Actor {
  public:
    SimActor(ConnectionPtr connection, Clock& clock, InstanceKey key)
        : connection_(std::move(connection)), clock_(clock), key_(std::move(key)) {}
    ~SimActor() override { connection_->close(); }

    Task<Result<void>> connect(MonoTime d) override { return connect_it(connection_, d); }
    Task<Result<bool>> in_recovery(MonoTime d) override { return is_in_recovery(connection_, d); }
    Task<Result<engine::Promotion>> promote(MonoTime d, std::function<bool()> over) override {
        return promote_it(connection_, clock_, key_, requests_, d, std::move(over));
    }
    int promotion_requests() const override { return *requests_; }
    Task<Result<engine::FollowHow>> follow(engine::FollowOrder order, MonoTime d) override {
        return follow_it(connection_, std::move(order), d);
    }
    Task<Result<void>> create_slot(std::string name, MonoTime d) override {
        return tell(
            connection_, [name](Server& s, Reply reply) { s.create_slot(name, std::move(reply)); }, d);
    }
    Task<Result<void>> drop_slot(std::string name, MonoTime d) override {
        return tell(connection_, [name](Server& s, Reply reply) { s.drop_slot(name, std::move(reply)); }, d);
    }
    Task<Result<void>> restart_receiver(MonoTime d) override {
        return tell(connection_, [](Server& s, Reply reply) { s.restart_receiver(std::move(reply)); }, d);
    }
    Task<Result<void>> pause_replay(bool paused, MonoTime d) override {
        const Work work = [paused](Server& s, Reply reply) {
            s.pause_replay(paused);
            reply({});
        };
        return tell(connection_, work, d);
    }
    Task<Result<void>> set_read_only(bool read_only, MonoTime d) override {
        return change(
            "set_read_only",
            [read_only](auto& settings) { settings.default_transaction_read_only = read_only; }, d);
    }
    Task<Result<void>> set_synchronous_standby_names(std::string value, MonoTime d) override {
        return change(
            "set_synchronous_standby_names",
            [value](auto& settings) { settings.synchronous_standby_names = value; }, d);
    }
    Task<Result<void>> end_session(int, MonoTime d) override { return connect_it(connection_, d); }
    Task<Result<topology::TimelineHistory>> timeline_history(Timeline timeline, MonoTime d) override {
        return history_it(connection_, timeline, d);
    }
    Task<Result<engine::Examination>> examine(MonoTime d) override { return examine_it(connection_, d); }

  private:
    Task<Result<void>> change(std::string verb, std::function<void(topology::Settings&)> what, MonoTime d) {
        return tell(
            connection_,
            [verb, what](Server& s, Reply reply) { s.change_setting(verb, what, std::move(reply)); }, d);
    }
    static Task<Result<engine::Examination>> examine_it(ConnectionPtr connection, MonoTime d) {
        if (auto ready = co_await connect_it(connection, d); !ready) co_return std::unexpected(ready.error());
        co_return engine::Examination{};
    }

    ConnectionPtr connection_;
    Clock& clock_;
    const InstanceKey key_;
    std::shared_ptr<int> requests_ = std::make_shared<int>(0);
};

}  // namespace

std::unique_ptr<engine::Probe> SimEngine::make_probe(const InstanceKey& key) {
    return std::make_unique<SimProbe>(std::make_shared<Connection>(ground_, clock_, party_, key), clock_);
}

std::unique_ptr<engine::Actor> SimEngine::make_actor(const InstanceKey& key) {
    return std::make_unique<SimActor>(std::make_shared<Connection>(ground_, clock_, party_, key), clock_,
                                      key);
}

Task<Result<std::vector<std::string>>> SimEngine::resolve(std::string host, MonoTime deadline) {
    const auto trouble = ground_.names.of(host);
    const auto answers = clock_.now() + lookup_time + trouble.takes;
    if (trouble.takes > Duration{} && answers > deadline) {
        co_await clock_.sleep_until(deadline);
    } else {
        co_await clock_.sleep_until(answers);
        if (!trouble.fails) resolved_.insert(host);
    }
    const auto known = known_addresses(host);
    if (known.empty()) co_return fail(ErrorKind::unreachable, "name does not resolve", host);
    co_return known;
}

std::vector<std::string> SimEngine::known_addresses(const std::string& host) const {
    const auto& trouble = ground_.names.of(host);
    const bool unknown = (trouble.fails || trouble.takes > Duration{}) && !resolved_.contains(host);
    const auto at = ground_.addresses.find(host);
    if (unknown || at == ground_.addresses.end()) return {};
    return {at->second};
}

}  // namespace baton::sim
