// Discovery on request, changes of the topology, recovery on request.
#include <fmt/format.h>

#include <algorithm>

#include "config/pattern.h"
#include "control/manager.h"

namespace baton::control {
namespace {

constexpr seconds discover_deadline{5};

using Pick = std::function<bool(const InstanceKey&)>;

Result<Pick> picker(const std::string& pattern) {
    if (pattern.empty()) return Pick([](const InstanceKey&) { return true; });
    auto compiled = config::Pattern::compile(pattern);
    if (!compiled) {
        return fail(ErrorKind::invalid_argument,
                    fmt::format("\"{}\" is not a regular expression: {}", pattern, compiled.error().message),
                    "pattern");
    }
    return Pick([p = std::move(*compiled)](const InstanceKey& key) { return p.found_in(key.text()); });
}

}  // namespace

Result<InstancePtr> Manager::known(const InstanceKey& key) const {
    if (auto found = discovery_->topology()->find_instance(key)) return found;
    return fail(ErrorKind::not_found, "instance not found; discover it first", key.text());
}

Result<topology::ClusterPtr> Manager::known_cluster(const std::string& hint) const {
    if (auto found = discovery_->topology()->find_cluster(hint, default_port())) return found;
    return fail(ErrorKind::not_found, "Unable to determine cluster name. clusterHint=" + hint);
}

Result<topology::ClusterPtr> Manager::cluster_of(const InstanceKey& key) const {
    const auto instance = known(key);
    if (!instance) return std::unexpected(instance.error());
    return discovery_->cluster((*instance)->cluster_id);
}

void Manager::note(const std::string& type, const InstanceKey& key, const Caller& caller,
                   const std::string& message) {
    const auto instance = discovery_->topology()->find_instance(key);
    const auto c = instance ? discovery_->cluster(instance->cluster_id) : nullptr;
    store_.apply(
        store::AddAudit{{.id = store_.new_id(),
                         .at = clock_.wall(),
                         .type = type,
                         .instance = key,
                         .cluster_name = c ? c->name : std::string{},
                         .message = caller.name.empty() ? message : message + " (by " + caller.name + ")"}});
}

Task<Result<InstancePtr>> Manager::discover(InstanceKey key, Caller caller) {
    const bool fresh = discovery_->topology()->find_instance(key) == nullptr;
    auto found = co_await discovery_->discover(key, clock_.now() + discover_deadline);
    if (found && fresh) note("discover", key, caller, "discovered");
    publish();
    co_return found;
}

Task<Result<InstancePtr>> Manager::refresh(InstanceKey key) {
    const auto instance = known(key);
    if (!instance) co_return std::unexpected(instance.error());
    co_return co_await after_deed((*instance)->key);
}

Task<Result<InstancePtr>> Manager::after_deed(InstanceKey key) {
    std::vector<InstanceKey> keys{key};
    if (const auto before = known(key); before && (*before)->upstream) keys.push_back(*(*before)->upstream);
    co_await discovery_->look_again(keys, clock_.now() + discover_deadline);
    publish();
    co_return known(key);
}

/// A server takes a moment to read its settings again: looks until the new one shows, for a second at most.
Task<Result<InstancePtr>> Manager::after_read_only(InstanceKey key, bool wanted) {
    const auto until = clock_.now() + seconds(1);
    for (;;) {
        auto now = co_await after_deed(key);
        const bool shows =
            now && (*now)->seen && (*now)->seen->settings.default_transaction_read_only == wanted;
        if (!now || shows || clock_.now() >= until) co_return now;
        co_await clock_.sleep_for(milliseconds(20));
    }
}

Task<Result<void>> Manager::forget(InstanceKey key, Caller caller) {
    note("forget", key, caller, "forgotten on request");
    auto done = discovery_->forget(key);
    publish();
    co_return done;
}

Task<Result<std::string>> Manager::forget_cluster(std::string hint, Caller caller) {
    const auto found = known_cluster(hint);
    if (!found) co_return std::unexpected(found.error());
    for (const auto& i : (*found)->instances) {
        note("forget", i->key, caller, "forgotten with its cluster");
        (void)discovery_->forget(i->key);
    }
    store_.apply(store::ForgetCluster{(*found)->id});
    publish();
    co_return (*found)->name;
}

Task<Result<InstanceKey>> Manager::resolve(InstanceKey key) {
    const auto addresses = co_await engine_.resolve(key.host, clock_.now() + discover_deadline);
    if (!addresses) co_return std::unexpected(addresses.error());
    const auto probe = engine_.make_probe(key);
    const auto touched = co_await probe->touch(clock_.now() + discover_deadline);
    if (!touched && !topology::known_alive(touched.error().reach))
        co_return std::unexpected(touched.error().error);
    co_return key;
}

Task<Result<InstancePtr>> Manager::run_move(Result<plan::Plan> plan, InstanceKey subject, std::string type,
                                            Caller caller) {
    if (!plan) co_return std::unexpected(plan.error());
    const auto executed = co_await recovery_->execute(std::move(*plan));
    if (!executed) co_return std::unexpected(executed.error());
    note(type, subject, caller,
         executed->failed.empty() ? "done" : "failed: " + executed->failed.front().second.text());
    if (!executed->failed.empty()) {
        co_await after_deed(subject);
        co_return std::unexpected(executed->failed.front().second);
    }
    co_return co_await after_deed(subject);
}

Task<Result<Control::Moved>> Manager::run_moves(Result<plan::Plan> plan, std::string type, Caller caller) {
    if (!plan) co_return std::unexpected(plan.error());
    const auto subject = plan->subject;
    Moved moved{.promoted = plan->choice.chosen};
    const auto executed = co_await recovery_->execute(std::move(*plan));
    if (!executed) co_return std::unexpected(executed.error());
    for (const auto& [key, error] : executed->failed)
        moved.errors.push_back(error.text());
    for (const auto& key : executed->done) {
        if (auto instance = co_await after_deed(key)) moved.moved.push_back(*instance);
    }
    note(type, subject, caller,
         fmt::format("moved {}, failed {}", executed->done.size(), executed->failed.size()));
    co_return moved;
}

Task<Result<InstancePtr>> Manager::relocate(InstanceKey key, InstanceKey below, Caller caller) {
    const auto c = cluster_of(key);
    const auto target = known(below);
    if (!c) co_return std::unexpected(c.error());
    if (!target) co_return std::unexpected(target.error());
    const auto subject = (*c)->find(key)->key;
    co_return co_await run_move(
        plan::plan_follow(**c, subject, (*target)->key, recovery_options_.plan, clock_.now()), subject,
        "relocate-below", std::move(caller));
}

Task<Result<InstancePtr>> Manager::repoint(InstanceKey key, InstanceKey below, Caller caller) {
    return relocate(std::move(key), std::move(below), std::move(caller));
}

Task<Result<InstancePtr>> Manager::move_up(InstanceKey key, Caller caller) {
    const auto c = cluster_of(key);
    if (!c) co_return std::unexpected(c.error());
    const auto subject = (*c)->find(key)->key;
    co_return co_await run_move(plan::plan_move_up(**c, subject, recovery_options_.plan, clock_.now()),
                                subject, "move-up", std::move(caller));
}

Task<Result<InstancePtr>> Manager::move_below(InstanceKey key, InstanceKey sibling, Caller caller) {
    const auto one = known(key);
    const auto other = known(sibling);
    if (!one) co_return std::unexpected(one.error());
    if (!other) co_return std::unexpected(other.error());
    if (!(*one)->upstream || (*one)->upstream != (*other)->upstream) {
        co_return fail(
            ErrorKind::invalid_argument,
            fmt::format("instances are not siblings: {}, {}; use relocate", key.text(), sibling.text()));
    }
    co_return co_await relocate((*one)->key, (*other)->key, std::move(caller));
}

Task<Result<InstancePtr>> Manager::take_siblings(InstanceKey key, Caller caller) {
    const auto c = cluster_of(key);
    if (!c) co_return std::unexpected(c.error());
    const auto subject = (*c)->find(key)->key;
    co_return co_await run_move(plan::plan_take_siblings(**c, subject, recovery_options_.plan, clock_.now()),
                                subject, "take-siblings", std::move(caller));
}

Task<Result<Control::Moved>> Manager::relocate_replicas(InstanceKey from, InstanceKey below,
                                                        std::string pattern, Caller caller) {
    const auto c = cluster_of(from);
    const auto target = known(below);
    const auto pick = picker(pattern);
    if (!c) co_return std::unexpected(c.error());
    if (!target) co_return std::unexpected(target.error());
    if (!pick) co_return std::unexpected(pick.error());
    co_return co_await run_moves(plan::plan_relocate_replicas(**c, (*c)->find(from)->key, (*target)->key,
                                                              *pick, recovery_options_.plan, clock_.now()),
                                 "relocate-replicas", std::move(caller));
}

Task<Result<Control::Moved>> Manager::move_up_replicas(InstanceKey key, std::string pattern, Caller caller) {
    const auto instance = known(key);
    if (!instance) co_return std::unexpected(instance.error());
    if (!(*instance)->upstream) {
        co_return fail(ErrorKind::invalid_argument,
                       "is a primary: its replicas have nowhere further up to go", key.text());
    }
    co_return co_await relocate_replicas(key, *(*instance)->upstream, std::move(pattern), std::move(caller));
}

/// One by one: where a replica stands already there is nothing to plan for all of them together.
Task<Result<Control::Moved>> Manager::repoint_replicas(InstanceKey key, std::string pattern, Caller caller) {
    const auto c = cluster_of(key);
    const auto pick = picker(pattern);
    if (!c) co_return std::unexpected(c.error());
    if (!pick) co_return std::unexpected(pick.error());
    const auto upstream = (*c)->find(key)->key;
    Moved moved;
    for (const auto* replica : (*c)->replicas_of(upstream)) {
        if (!(*pick)(replica->key)) continue;
        const auto done = co_await relocate(replica->key, upstream, caller);
        if (done) moved.moved.push_back(*done);
        if (!done) moved.errors.push_back(done.error().text());
    }
    co_return moved;
}

Task<Result<Control::Moved>> Manager::regroup_replicas(InstanceKey key, Caller caller) {
    const auto c = cluster_of(key);
    if (!c) co_return std::unexpected(c.error());
    co_return co_await run_moves(
        plan::plan_regroup(**c, (*c)->find(key)->key, recovery_options_.plan, clock_.now()),
        "regroup-replicas", std::move(caller));
}

Result<void> Manager::can_replicate_from(const InstanceKey& key, const InstanceKey& below) const {
    const auto c = cluster_of(key);
    const auto target = known(below);
    if (!c) return std::unexpected(c.error());
    if (!target) return std::unexpected(target.error());
    const auto plan =
        plan::plan_follow(**c, (*c)->find(key)->key, (*target)->key, recovery_options_.plan, clock_.now());
    if (!plan) return std::unexpected(plan.error());
    return {};
}

Task<Result<InstancePtr>> Manager::act(InstanceKey key, Verb verb, Caller caller) {
    const auto instance = known(key);
    if (!instance) co_return std::unexpected(instance.error());
    const auto subject = (*instance)->key;
    const bool for_standby = verb != Verb::set_read_only && verb != Verb::set_writeable;
    if (for_standby && !(*instance)->is_standby()) {
        co_return fail(ErrorKind::invalid_argument, "instance is not a replica: " + subject.text());
    }
    if (verb == Verb::set_read_only && (*instance)->is_standby()) {
        // The setting would change nothing now, and would make a primary that refuses writes of it one day.
        note("read-only", subject, caller, "a standby is read-only anyway: nothing set");
        co_return *instance;
    }
    const auto actor = engine_.make_actor(subject);
    Result<void> done;
    std::string type;
    switch (verb) {
        case Verb::pause_replication:
            type = "stop-replication";
            done = co_await actor->pause_replay(true, deadline());
            break;
        case Verb::resume_replication:
            type = "start-replication";
            done = co_await actor->pause_replay(false, deadline());
            break;
        case Verb::restart_replication:
            type = "restart-replication";
            done = co_await actor->restart_receiver(deadline());
            break;
        case Verb::set_read_only:
            type = "read-only";
            done = co_await actor->set_read_only(true, deadline());
            break;
        case Verb::set_writeable:
            type = "read-only";
            done = co_await actor->set_read_only(false, deadline());
            break;
    }
    note(type, subject, caller, done ? "done" : "failed: " + done.error().text());
    if (!done) co_return std::unexpected(done.error());
    if (!for_standby) co_return co_await after_read_only(subject, verb == Verb::set_read_only);
    co_return co_await after_deed(subject);
}

Task<Result<InstancePtr>> Manager::end_session(InstanceKey key, int pid, Caller caller) {
    const auto instance = known(key);
    if (!instance) co_return std::unexpected(instance.error());
    const auto actor = engine_.make_actor((*instance)->key);
    const auto done = co_await actor->end_session(pid, deadline());
    note("kill-query", (*instance)->key, caller,
         fmt::format("session {}: {}", pid, done ? "ended" : done.error().text()));
    if (!done) co_return std::unexpected(done.error());
    co_return co_await after_deed((*instance)->key);
}

Task<Result<RecoveryOutcome>> Manager::recover(RecoveryRequest request, Caller caller) {
    auto c = request.failed.valid() ? cluster_of(request.failed) : known_cluster(request.cluster_hint);
    if (!c) co_return std::unexpected(c.error());
    const auto* failed = request.failed.valid() ? (*c)->find(request.failed) : (*c)->primary();
    if (failed == nullptr) {
        co_return fail(ErrorKind::not_found, "Cannot deduce cluster master for " + request.cluster_hint +
                                                 ": none of its servers is known as a primary");
    }
    recovery::Request order{.cluster_id = (*c)->id,
                            .failed = failed->key,
                            .force_failover = request.force_failover,
                            .skip_hooks = request.skip_hooks,
                            .command_hint = request.command_hint};
    if (request.candidate) {
        const auto candidate = known(*request.candidate);
        if (!candidate) co_return std::unexpected(candidate.error());
        order.candidate = (*candidate)->key;
    }
    note(request.command_hint.empty() ? "recover" : request.command_hint, failed->key, caller, "asked for");
    auto outcome = co_await recovery_->recover(std::move(order));
    publish();
    if (!outcome) co_return std::unexpected(outcome.error());
    co_return RecoveryOutcome{outcome->recovery, outcome->attempted, outcome->not_attempted_because};
}

Result<plan::Plan> Manager::preview(const std::string& cluster_hint,
                                    const std::optional<InstanceKey>& candidate) const {
    const auto c = known_cluster(cluster_hint);
    if (!c) return std::unexpected(c.error());
    const auto* primary = (*c)->primary();
    if (primary == nullptr) return fail(ErrorKind::not_found, "no primary is known", (*c)->name);
    const auto now = clock_.now();
    const auto choice = plan::choose_candidate(**c, primary->key, recovery_options_.plan, candidate,
                                               candidate.has_value(), now);
    if (choice.chosen)
        return plan::plan_primary_failover(**c, primary->key, choice, recovery_options_.plan, now);
    plan::Plan nobody{.kind = plan::Kind::primary_failover};
    nobody.cluster_id = (*c)->id;
    nobody.subject = primary->key;
    nobody.choice = choice;
    return nobody;
}

}  // namespace baton::control
