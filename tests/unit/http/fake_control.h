#pragma once

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/use_future.hpp>
#include <future>
#include <mutex>
#include <thread>

#include "control/control.h"

/// A Control for the tests of http/: a small world that is set up by hand, answers at once and writes down
/// what it was asked to do. It runs on a control thread of its own, as the real one does.
namespace baton::http::testing {

using control::Caller;
using topology::InstanceKey;
using topology::InstancePtr;

inline InstanceKey key_of(const std::string& text) {
    return *topology::parse_instance_key(text, 5432);
}

inline const WallTime sample_wall{std::chrono::sys_days{std::chrono::year{2026} / 11 / 20} +
                                  std::chrono::hours(10)};
inline constexpr MonoTime sample_now{seconds(100000)};
inline constexpr auto sample_cluster_id = "7380000000000000001";

/// What a healthy server of the sample cluster would answer.
inline topology::Observation sample_observation(topology::Role role, uint64_t lsn) {
    topology::Observation o;
    o.engine = topology::Engine::postgresql;
    o.asked_at = sample_now - milliseconds(202);
    o.answered_at = sample_now - milliseconds(200);
    o.system_identifier = sample_cluster_id;
    o.version_num = 150018;
    o.version = "15.18";
    o.data_directory = "/var/lib/postgresql/15/main";
    o.port = 5432;
    o.started_at_us = sample_wall.time_since_epoch().count() - 86'400'000'000;
    o.role = role;
    o.timeline = 3;
    if (role == topology::Role::primary) {
        o.written = {lsn};
    } else {
        o.received = o.replayed = {lsn};
    }
    return o;
}

inline topology::Instance sample_instance(const std::string& name, topology::Observation seen) {
    topology::Instance i;
    i.key = key_of(name);
    i.health.reach = topology::Reach::answering;
    i.health.attempt_began = seen.asked_at;
    i.health.last_attempt = i.health.last_answer = seen.answered_at;
    i.health.latency = milliseconds(2);
    i.last_seen = sample_wall - milliseconds(200);
    i.cluster_id = seen.system_identifier;
    i.role = seen.role;
    i.seen = std::make_shared<const topology::Observation>(std::move(seen));
    return i;
}

inline topology::Instance sample_primary(const std::string& name = "db1:5432", uint64_t lsn = 0x1'6B374D848) {
    auto i = sample_instance(name, sample_observation(topology::Role::primary, lsn));
    i.lag = {.receive_bytes = 0, .replay_bytes = 0, .seconds = 0};
    return i;
}

inline topology::Instance sample_standby(const std::string& name, const std::string& upstream = "db1:5432",
                                         uint64_t lsn = 0x1'6B374D848) {
    auto seen = sample_observation(topology::Role::standby, lsn);
    const auto up = key_of(upstream);
    seen.upstream.hosts = {up};
    seen.receiver = topology::Receiver{.status = "streaming",
                                       .sender_host = up.host,
                                       .sender_port = up.port,
                                       .slot = "standby",
                                       .received_timeline = 3,
                                       .written = {lsn},
                                       .flushed = {lsn},
                                       .latest_end = {lsn},
                                       .last_message_age = milliseconds(10)};
    auto i = sample_instance(name, std::move(seen));
    i.upstream = up;
    i.upstream_known = true;
    i.depth = 1;
    i.lag = {.receive_bytes = 0, .replay_bytes = 0, .seconds = 0};
    i.streamed_until = sample_now - milliseconds(200);
    return i;
}

/// Puts a cluster into `topology` and enters all its names. `former` are names that it had earlier.
inline void add_cluster(topology::Topology& topology, topology::Cluster cluster) {
    const auto shared = std::make_shared<const topology::Cluster>(std::move(cluster));
    topology.clusters[shared->id] = shared;
    for (const auto& i : shared->instances) {
        topology.cluster_of[i->key] = shared->id;
        for (const auto& alias : i->aliases)
            topology.cluster_of[alias] = shared->id;
    }
    topology.names[shared->name] = shared->id;
    if (!shared->alias.empty()) topology.names[shared->alias] = shared->id;
    if (!shared->domain.empty()) topology.names[shared->domain] = shared->id;
    for (const auto& name : shared->former_names)
        topology.names[name] = shared->id;
}

/// db1 leads; db2 and db3 stream from it. Alias "shop", formerly "db0:5432".
inline topology::TopologyPtr sample_topology() {
    auto primary = sample_primary();
    primary.downstream = {key_of("db2:5432"), key_of("db3:5432")};
    topology::Cluster cluster;
    cluster.id = sample_cluster_id;
    cluster.name = "db1:5432";
    cluster.alias = "shop";
    cluster.domain = "shop.db.example.com";
    cluster.former_names = {"db0:5432"};
    cluster.instances = {std::make_shared<const topology::Instance>(primary),
                         std::make_shared<const topology::Instance>(sample_standby("db2:5432")),
                         std::make_shared<const topology::Instance>(sample_standby("db3:5432"))};
    auto topology = std::make_shared<topology::Topology>();
    topology->version = 1;
    add_cluster(*topology, std::move(cluster));
    return topology;
}

/// One cluster of `count` instances (a primary and its standbys), for measuring.
inline topology::TopologyPtr wide_topology(size_t count) {
    topology::Cluster cluster;
    cluster.id = sample_cluster_id;
    cluster.name = "db1:5432";
    cluster.alias = "shop";
    auto primary = sample_primary();
    std::vector<InstancePtr> standbys;
    for (size_t n = 2; n <= count; ++n) {
        const auto name = "db" + std::to_string(n) + ":5432";
        primary.downstream.push_back(key_of(name));
        standbys.push_back(std::make_shared<const topology::Instance>(sample_standby(name)));
    }
    cluster.instances.push_back(std::make_shared<const topology::Instance>(primary));
    cluster.instances.insert(cluster.instances.end(), standbys.begin(), standbys.end());
    auto topology = std::make_shared<topology::Topology>();
    add_cluster(*topology, std::move(cluster));
    return topology;
}

/// A finished failover db0 -> db1, two hours before sample_wall.
inline store::Recovery sample_recovery() {
    store::Recovery r;
    r.id = 17;
    r.uid = "1714557605123456789:0f3c";
    r.code = "DeadPrimary";
    r.kind = "primary";
    r.cluster_id = sample_cluster_id;
    r.cluster_name = "db0:5432";
    r.cluster_alias = "shop";
    r.failed = key_of("db0:5432");
    r.replicas = {key_of("db1:5432"), key_of("db2:5432")};
    r.description = "db0:5432 refuses connections; 2 of 2 standbys lost it";
    r.state = store::RecoveryState::succeeded;
    r.successor = key_of("db1:5432");
    r.successor_position = "1/6B000000";
    r.participating = {key_of("db1:5432"), key_of("db2:5432")};
    r.started = sample_wall - std::chrono::hours(2);
    r.ended = r.started + milliseconds(230);
    r.detection_id = 16;
    r.node_hostname = "manager1";
    r.node_token = "c1a5";
    return r;
}

inline std::vector<store::RecoveryStep> sample_steps() {
    const auto r = sample_recovery();
    return {{.id = 18,
             .uid = r.uid,
             .at = r.started,
             .elapsed_us = 4000,
             .message = "db0:5432 is dead",
             .deed = ""},
            {.id = 19,
             .uid = r.uid,
             .at = r.started + milliseconds(40),
             .elapsed_us = 44000,
             .message = "promote db1:5432",
             .deed = "promote db1:5432"}};
}

class FakeControl : public control::Control {
  public:
    explicit FakeControl(asio::any_io_executor executor) : executor_(std::move(executor)) {
        view_.topology = sample_topology();
        view_.problems = std::make_shared<const std::vector<analysis::Problem>>();
        view_.config = std::make_shared<const config::Config>();
        view_.now = sample_now;
        view_.wall = sample_wall;
        view_.ready = true;
        view_.node_hostname = "manager1";
        view_.node_token = "c1a5";
        view_.started = sample_wall - std::chrono::hours(3);
        state.recoveries[17] = sample_recovery();
        state.steps[sample_recovery().uid] = sample_steps();
        state.next_id = 100;
    }

    // ---- set up by the test; the plain members before the first request, or through FakeWorld::on_control
    // -------------
    store::State state;
    control::Metrics figures;
    std::vector<control::DiscoveryMetric> discovery_figures;
    std::optional<Error> unhealthy;
    /// A method named here ("relocate", "discover", …) fails with that error.
    std::map<std::string, Error> failures;
    std::optional<plan::Plan> plan;
    std::optional<control::RecoveryOutcome> outcome;
    std::function<Task<void>()> before_recover;  ///< for slow recoveries
    std::map<std::string, std::string> resolved;
    control::Control::Moved moved;

    /// Changes what view() returns from now on (any thread).
    void change_view(const std::function<void(control::View&)>& change) {
        const std::lock_guard lock(mutex_);
        change(view_);
    }
    void change_config(const std::function<void(config::Config&)>& change) {
        change_view([&](control::View& v) {
            auto config = std::make_shared<config::Config>(*v.config);
            change(*config);
            v.config = std::move(config);
        });
    }
    /// What was asked, in order: "relocate db2:5432 db3:5432 by alice" (any thread).
    std::vector<std::string> calls() const {
        const std::lock_guard lock(mutex_);
        return calls_;
    }
    /// To all subscribers, on the control thread.
    void publish(control::Event event) {
        asio::post(executor_, [this, event = std::move(event)] {
            auto subscribers = [this] {
                const std::lock_guard lock(mutex_);
                return subscribers_;
            }();
            for (const auto& [id, callback] : subscribers)
                callback(event);
        });
    }
    size_t subscriber_count() const {
        const std::lock_guard lock(mutex_);
        return subscribers_.size();
    }

    // ---- Control
    // ------------------------------------------------------------------------------------------------------
    asio::any_io_executor executor() override { return executor_; }
    control::ViewPtr view() const override {
        const std::lock_guard lock(mutex_);
        return std::make_shared<const control::View>(view_);
    }
    uint64_t subscribe(std::function<void(const control::Event&)> callback) override {
        const std::lock_guard lock(mutex_);
        subscribers_[++last_subscriber_] = std::move(callback);
        return last_subscriber_;
    }
    void unsubscribe(uint64_t id) override {
        const std::lock_guard lock(mutex_);
        subscribers_.erase(id);
    }

    std::vector<store::Recovery> recoveries(const control::RecoveryFilter& f) const override {
        std::vector<store::Recovery> found;
        for (auto it = state.recoveries.rbegin(); it != state.recoveries.rend(); ++it) {
            if (matches(it->second, f)) found.push_back(it->second);
        }
        return page_of(std::move(found), f.page);
    }
    std::vector<store::RecoveryStep> recovery_steps(const std::string& uid) const override {
        const auto it = state.steps.find(uid);
        return it == state.steps.end() ? std::vector<store::RecoveryStep>{} : it->second;
    }
    std::vector<store::Detection> detections(const control::RecoveryFilter& f) const override {
        std::vector<store::Detection> found;
        for (auto it = state.detections.rbegin(); it != state.detections.rend(); ++it) {
            const auto& d = it->second;
            if (f.id && d.id != *f.id) continue;
            if (f.alias && d.cluster_alias != *f.alias) continue;
            if (f.cluster_hint && !is_cluster(*f.cluster_hint, d.cluster_id)) continue;
            found.push_back(d);
        }
        return page_of(std::move(found), f.page);
    }
    std::vector<store::BlockedRecovery> blocked(const std::optional<std::string>& hint) const override {
        std::vector<store::BlockedRecovery> found;
        for (const auto& [key, b] : state.blocked) {
            if (!hint || is_cluster(*hint, b.cluster_id)) found.push_back(b);
        }
        return found;
    }
    std::vector<store::AuditEntry> audit(const std::optional<InstanceKey>& key, int page) const override {
        std::vector<store::AuditEntry> found;
        for (auto it = state.audit.rbegin(); it != state.audit.rend(); ++it) {
            if (!key || it->second.instance == *key) found.push_back(it->second);
        }
        return page_of(std::move(found), page);
    }
    std::vector<store::Maintenance> maintenance() const override {
        std::vector<store::Maintenance> found;
        for (const auto& [id, m] : state.maintenance)
            found.push_back(m);
        return found;
    }
    std::vector<store::PromotionRuleRecord> promotion_rules() const override {
        std::vector<store::PromotionRuleRecord> found;
        for (const auto& [key, r] : state.promotion_rules)
            found.push_back(r);
        return found;
    }
    const store::State& record() const override { return state; }
    control::Metrics metrics() const override { return figures; }
    std::vector<control::DiscoveryMetric> discovery_metrics(seconds) const override {
        return discovery_figures;
    }
    Result<void> health() const override {
        if (unhealthy) return std::unexpected(*unhealthy);
        return {};
    }

    Task<Result<InstancePtr>> discover(InstanceKey key, Caller c) override {
        co_return instance("discover", key, key.text(), c);
    }
    Task<Result<InstancePtr>> refresh(InstanceKey key) override {
        co_return instance("refresh", key, key.text(), {});
    }
    Task<Result<void>> forget(InstanceKey key, Caller c) override { co_return done("forget", key.text(), c); }
    Task<Result<std::string>> forget_cluster(std::string hint, Caller c) override {
        if (auto r = done("forget_cluster", hint, c); !r) co_return std::unexpected(r.error());
        const auto topology = view()->topology;
        if (auto found = topology ? topology->find_cluster(hint, 5432) : nullptr) co_return found->name;
        co_return fail(ErrorKind::not_found, "Unable to determine cluster name. clusterHint=" + hint);
    }
    Task<Result<InstanceKey>> resolve(InstanceKey key) override {
        if (auto r = done("resolve", key.text(), {}); !r) co_return std::unexpected(r.error());
        co_return key;
    }

    Task<Result<InstancePtr>> relocate(InstanceKey key, InstanceKey below, Caller c) override {
        co_return instance("relocate", key, key.text() + " " + below.text(), c);
    }
    Task<Result<InstancePtr>> repoint(InstanceKey key, InstanceKey below, Caller c) override {
        co_return instance("repoint", key, key.text() + " " + below.text(), c);
    }
    Task<Result<InstancePtr>> move_up(InstanceKey key, Caller c) override {
        co_return instance("move_up", key, key.text(), c);
    }
    Task<Result<InstancePtr>> move_below(InstanceKey key, InstanceKey sibling, Caller c) override {
        co_return instance("move_below", key, key.text() + " " + sibling.text(), c);
    }
    Task<Result<InstancePtr>> take_siblings(InstanceKey key, Caller c) override {
        co_return instance("take_siblings", key, key.text(), c);
    }
    Task<Result<Moved>> relocate_replicas(InstanceKey from, InstanceKey below, std::string pattern,
                                          Caller c) override {
        co_return moves("relocate_replicas", from.text() + " " + below.text() + " " + pattern, c);
    }
    Task<Result<Moved>> move_up_replicas(InstanceKey key, std::string pattern, Caller c) override {
        co_return moves("move_up_replicas", key.text() + " " + pattern, c);
    }
    Task<Result<Moved>> repoint_replicas(InstanceKey key, std::string pattern, Caller c) override {
        co_return moves("repoint_replicas", key.text() + " " + pattern, c);
    }
    Task<Result<Moved>> regroup_replicas(InstanceKey key, Caller c) override {
        co_return moves("regroup_replicas", key.text(), c);
    }
    Result<void> can_replicate_from(const InstanceKey& key, const InstanceKey& below) const override {
        if (const auto it = failures.find("can_replicate_from"); it != failures.end())
            return std::unexpected(it->second);
        if (key == below)
            return fail(ErrorKind::invalid_argument, "cannot replicate from itself", key.text());
        return {};
    }
    Task<Result<InstancePtr>> act(InstanceKey key, control::Verb verb, Caller c) override {
        static const char* const names[] = {"pause_replication", "resume_replication", "restart_replication",
                                            "set_read_only", "set_writeable"};
        co_return instance(names[static_cast<size_t>(verb)], key, key.text(), c);
    }
    Task<Result<InstancePtr>> end_session(InstanceKey key, int pid, Caller c) override {
        co_return instance("end_session", key, key.text() + " " + std::to_string(pid), c);
    }

    Task<Result<control::RecoveryOutcome>> recover(control::RecoveryRequest q, Caller c) override {
        if (before_recover) co_await before_recover();
        std::string text = q.failed.valid() ? q.failed.text() : q.cluster_hint;
        if (q.candidate) text += " candidate=" + q.candidate->text();
        if (q.force_failover) text += " force";
        if (q.skip_hooks) text += " skip_hooks";
        if (!q.command_hint.empty()) text += " hint=" + q.command_hint;
        if (auto r = done("recover", text, c); !r) co_return std::unexpected(r.error());
        if (outcome) co_return *outcome;
        co_return control::RecoveryOutcome{
            .recovery = sample_recovery(), .attempted = true, .not_attempted_because = ""};
    }
    Result<plan::Plan> preview(const std::string& hint,
                               const std::optional<InstanceKey>& candidate) const override {
        note("preview", hint + (candidate ? " candidate=" + candidate->text() : ""), {});
        if (const auto it = failures.find("preview"); it != failures.end())
            return std::unexpected(it->second);
        if (plan) return *plan;
        return fail(ErrorKind::not_found, "no such cluster", hint);
    }
    Task<Result<int>> acknowledge(control::RecoveryFilter which, std::string by,
                                  std::string comment) override {
        if (auto r = done("acknowledge", comment, {by}); !r) co_return std::unexpected(r.error());
        int count = 0;
        for (auto& [id, r] : state.recoveries) {
            if (!matches(r, which) || r.acknowledged) continue;
            r.acknowledged = true;
            r.acknowledged_by = by;
            r.acknowledged_comment = comment;
            r.acknowledged_at = sample_wall;
            ++count;
        }
        co_return count;
    }
    Task<Result<void>> set_global_recoveries(bool enabled, Caller c) override {
        auto r = done("set_global_recoveries", enabled ? "on" : "off", c);
        if (r) change_view([&](control::View& v) { v.recoveries_enabled = enabled; });
        co_return r;
    }

    Task<Result<void>> begin_downtime(InstanceKey key, std::string owner, std::string reason,
                                      seconds d) override {
        co_return done("begin_downtime", key.text() + " " + std::to_string(d.count()) + "s " + reason,
                       {owner});
    }
    Task<Result<void>> end_downtime(InstanceKey key) override {
        co_return done("end_downtime", key.text(), {});
    }
    Task<Result<int64_t>> begin_maintenance(InstanceKey key, std::string owner, std::string reason) override {
        if (auto r = done("begin_maintenance", key.text() + " " + reason, {owner}); !r)
            co_return std::unexpected(r.error());
        const auto id = state.next_id++;
        state.maintenance[id] = {
            .id = id,
            .key = key,
            .span = {.owner = owner, .reason = reason, .begins = sample_wall, .ends = {}}};
        co_return id;
    }
    Task<Result<void>> end_maintenance(InstanceKey key) override {
        co_return done("end_maintenance", key.text(), {});
    }
    Task<Result<void>> end_maintenance_id(int64_t id) override {
        co_return done("end_maintenance_id", std::to_string(id), {});
    }
    Task<Result<void>> set_promotion_rule(InstanceKey key, topology::PromotionRule rule) override {
        state.promotion_rules[key] = {
            .key = key, .rule = rule, .suggested = sample_wall, .expires = sample_wall};
        co_return done("set_promotion_rule", key.text() + " " + std::to_string(static_cast<int>(rule)), {});
    }
    Task<Result<void>> tag(InstanceKey key, topology::Tag t) override {
        state.tags[key][t.name] = t.value;
        co_return done("tag", key.text() + " " + t.name + "=" + t.value, {});
    }
    Task<Result<std::vector<InstanceKey>>> untag(std::optional<InstanceKey> key, std::string name,
                                                 std::optional<std::string> value) override {
        const auto text = (key ? key->text() : "*") + " " + name + (value ? "=" + *value : "");
        if (auto r = done("untag", text, {}); !r) co_return std::unexpected(r.error());
        std::vector<InstanceKey> from;
        for (auto& [at, tags] : state.tags) {
            const auto it = tags.find(name);
            if ((key && at != *key) || it == tags.end() || (value && it->second != *value)) continue;
            tags.erase(it);
            from.push_back(at);
        }
        co_return from;
    }
    Task<Result<void>> set_cluster_alias(std::string hint, std::string alias) override {
        co_return done("set_cluster_alias", hint + " " + alias, {});
    }
    Task<Result<void>> submit_pool(std::string pool, std::vector<InstanceKey> instances) override {
        state.pools[pool] = {sample_wall, instances};
        co_return done("submit_pool", pool + " " + std::to_string(instances.size()), {});
    }
    Task<Result<void>> set_hostname_unresolve(InstanceKey key, std::string name) override {
        co_return done("set_hostname_unresolve", key.text() + " " + name, {});
    }
    Task<Result<std::vector<std::pair<std::string, std::string>>>> submit_primaries_to_kv(
        std::optional<std::string> hint) override {
        if (auto r = done("submit_primaries_to_kv", hint.value_or(""), {}); !r)
            co_return std::unexpected(r.error());
        co_return std::vector<std::pair<std::string, std::string>>{{"mysql/master/shop", "db1:5432"}};
    }
    std::map<std::string, std::string> resolve_cache() const override { return resolved; }
    void reset_resolve_cache() override {
        note("reset_resolve_cache", "", {});
        resolved.clear();
    }
    Task<Result<std::string>> reload_configuration(std::string extra_file) override {
        if (auto r = done("reload_configuration", extra_file, {}); !r) co_return std::unexpected(r.error());
        co_return std::string("nothing changed");
    }

  private:
    void note(const std::string& method, const std::string& arguments, const Caller& caller) const {
        const std::lock_guard lock(mutex_);
        calls_.push_back(method + (arguments.empty() ? "" : " " + arguments) +
                         (caller.name.empty() ? "" : " by " + caller.name));
    }
    Result<void> done(const std::string& method, const std::string& arguments, const Caller& caller) {
        note(method, arguments, caller);
        if (const auto it = failures.find(method); it != failures.end()) return std::unexpected(it->second);
        return {};
    }
    Result<InstancePtr> instance(const std::string& method, const InstanceKey& key,
                                 const std::string& arguments, const Caller& caller) {
        if (auto r = done(method, arguments, caller); !r) return std::unexpected(r.error());
        const auto topology = view()->topology;
        if (auto found = topology ? topology->find_instance(key) : nullptr) return found;
        return fail(ErrorKind::not_found, "no such instance", key.text());
    }
    Result<Moved> moves(const std::string& method, const std::string& arguments, const Caller& caller) {
        if (auto r = done(method, arguments, caller); !r) return std::unexpected(r.error());
        return moved;
    }
    bool is_cluster(const std::string& hint, const std::string& id) const {
        const auto topology = view()->topology;
        const auto found = topology ? topology->find_cluster(hint, 5432) : nullptr;
        return found && found->id == id;
    }
    bool matches(const store::Recovery& r, const control::RecoveryFilter& f) const {
        if (f.id && r.id != *f.id) return false;
        if (f.uid && r.uid != *f.uid) return false;
        if (f.alias && r.cluster_alias != *f.alias) return false;
        if (f.cluster_hint && !is_cluster(*f.cluster_hint, r.cluster_id)) return false;
        if (f.unacknowledged && r.acknowledged) return false;
        if (f.active && (r.state != store::RecoveryState::running || !r.in_active_period)) return false;
        if (f.successor && r.successor != f.successor) return false;
        return !f.ended_within || r.ended >= sample_wall - *f.ended_within;
    }
    template <class T>
    static std::vector<T> page_of(std::vector<T> all, int page) {
        if (page < 0) return all;
        const auto first = std::min(all.size(), static_cast<size_t>(page) * 20);
        const auto last = std::min(all.size(), first + 20);
        return {all.begin() + static_cast<ptrdiff_t>(first), all.begin() + static_cast<ptrdiff_t>(last)};
    }

    asio::any_io_executor executor_;
    mutable std::mutex mutex_;
    control::View view_;
    mutable std::vector<std::string> calls_;
    std::map<uint64_t, std::function<void(const control::Event&)>> subscribers_;
    uint64_t last_subscriber_ = 0;
};

/// FakeControl with its control thread.
class FakeWorld {
  public:
    FakeWorld()
        : work_(asio::make_work_guard(io_)), control(io_.get_executor()), thread_([this] { io_.run(); }) {}
    ~FakeWorld() {
        work_.reset();
        io_.stop();
        thread_.join();
    }
    FakeWorld(const FakeWorld&) = delete;
    FakeWorld& operator=(const FakeWorld&) = delete;

    /// Runs `work` on the control thread and waits for it.
    template <class Work>
    auto on_control(Work work) {
        std::packaged_task<decltype(work(control))()> task([&] { return work(control); });
        auto result = task.get_future();
        asio::post(io_, [&task] { task(); });
        return result.get();
    }

  private:
    asio::io_context io_;
    asio::executor_work_guard<asio::io_context::executor_type> work_;

  public:
    FakeControl control;

  private:
    std::thread thread_;
};

/// Runs a task (a handler, say) on a context of its own until it ends, and returns its result.
template <class T>
T run_task(Task<T> task) {
    asio::io_context io;
    auto result = asio::co_spawn(io, std::move(task), asio::use_future);
    io.run();
    return result.get();
}

}  // namespace baton::http::testing
