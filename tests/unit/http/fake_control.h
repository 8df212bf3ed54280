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
#include "samples.h"

/// A Control for the tests of http/: a small world that is set up by hand, answers at once and writes down
/// what it was asked to do. It runs on a control thread of its own, as the real one does.
namespace baton::http::testing {

using control::Caller;

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
    std::optional<control::SwitchoverOutcome> switchover_outcome;
    std::vector<control::ScheduledSwitchover> scheduled;
    plan::Rejoin rejoin_plan;
    std::vector<recovery::RejoinState> rejoin_states;
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
    Task<Result<plan::Plan>> preview_switchover(control::SwitchoverCommand q) override {
        if (auto r = done("preview_switchover", text_of(q), {}); !r) co_return std::unexpected(r.error());
        if (plan) co_return *plan;
        co_return fail(ErrorKind::not_found, "no such cluster", q.cluster_hint);
    }
    Task<Result<control::SwitchoverOutcome>> switchover(control::SwitchoverCommand q, Caller c) override {
        if (auto r = done("switchover", text_of(q), c); !r) co_return std::unexpected(r.error());
        if (switchover_outcome) co_return *switchover_outcome;
        auto recovery = sample_recovery();
        recovery.kind = "switchover";
        co_return control::SwitchoverOutcome{.recovery = recovery, .attempted = true};
    }
    Task<Result<control::ScheduledSwitchover>> schedule_switchover(control::SwitchoverCommand q,
                                                                   std::string when, Caller c) override {
        if (auto r = done("schedule_switchover", text_of(q) + " at " + when, c); !r)
            co_return std::unexpected(r.error());
        const auto at = control::when_of(when, sample_wall);
        if (!at) co_return std::unexpected(at.error());
        co_return control::ScheduledSwitchover{.cluster_id = q.cluster_hint,
                                               .cluster_name = "db1:5432",
                                               .candidate = q.candidate,
                                               .at = *at,
                                               .by = c.name};
    }
    Task<Result<control::ScheduledSwitchover>> cancel_switchover(std::string hint, Caller c) override {
        if (auto r = done("cancel_switchover", hint, c); !r) co_return std::unexpected(r.error());
        co_return control::ScheduledSwitchover{
            .cluster_id = hint, .cluster_name = "db1:5432", .at = sample_wall};
    }
    std::vector<control::ScheduledSwitchover> scheduled_switchovers() const override { return scheduled; }
    static std::string text_of(const control::SwitchoverCommand& q) {
        return q.cluster_hint + (q.candidate ? " to " + q.candidate->text() : "") +
               (q.skip_hooks ? " without hooks" : "");
    }
    Task<Result<recovery::RejoinState>> rejoin(control::RejoinCommand q, Caller c) override {
        std::string text = q.key.text();
        if (q.force) text += " force";
        if (q.anew) text += " anew";
        if (q.from) text += " from=" + q.from->text();
        if (auto r = done("rejoin", text, c); !r) co_return std::unexpected(r.error());
        if (!rejoin_states.empty()) co_return rejoin_states.front();
        co_return recovery::RejoinState{.instance = q.key, .phase = recovery::RejoinPhase::running};
    }
    Result<plan::Rejoin> preview_rejoin(const control::RejoinCommand& q) const override {
        note("preview_rejoin", q.key.text(), {});
        if (const auto it = failures.find("preview_rejoin"); it != failures.end())
            return std::unexpected(it->second);
        return rejoin_plan;
    }
    Result<void> cancel_rejoin(const InstanceKey& key, const Caller& c) override {
        return done("cancel_rejoin", key.text(), c);
    }
    std::vector<recovery::RejoinState> rejoins() const override { return rejoin_states; }
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
