// Servers that were left behind come back: with what they have, rewound, or made anew. Each attempt begins
// with a new look, and so does the next one after a failure: nothing is taken over from where the last one
// stopped.
#include "recovery/rejoin.h"

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <array>

#include "analysis/wording.h"
#include "base/async.h"
#include "base/json_writer.h"
#include "recovery/executor.h"

namespace baton::recovery {
namespace {

using plan::RejoinWay;
using topology::ServerState;

constexpr int automatic_tries = 5;
/// What cannot be rewound is made anew: nothing has to pass before that.
constexpr seconds before_other_way{1};
constexpr std::array<seconds, automatic_tries> pauses{seconds(5), seconds(15), seconds(60), seconds(300),
                                                      seconds(300)};
constexpr size_t entries_limit = 10'000;

bool left_alone(const topology::Instance& i) {
    return i.maintenance || (i.downtime && i.downtime->reason != lost_in_recovery);
}

/// What belongs to another state of the server or of its cluster is forgotten.
std::string fingerprint_of(const topology::Cluster& cluster, const plan::Directory& d) {
    const auto* leader = cluster.primary();
    return fmt::format("{}/{}/{}/{}/{}", leader != nullptr ? leader->key.text() : "",
                       leader != nullptr && leader->seen ? leader->seen->timeline : 0, d.timeline,
                       d.checkpoint.text(), d.control_state);
}

/// An instance for one that nobody has seen yet: its agent guards an empty directory.
topology::InstancePtr unseen(const InstanceKey& key) {
    auto instance = std::make_shared<topology::Instance>();
    instance->key = key;
    return instance;
}

topology::InstancePtr instance_of(const topology::Cluster& cluster, const InstanceKey& key) {
    for (const auto& i : cluster.instances) {
        if (i->known_as(key)) return i;
    }
    return unseen(key);
}

}  // namespace

std::string_view to_string(RejoinPhase phase) {
    static constexpr std::array<std::string_view, 4> words{"waiting", "running", "done", "failed"};
    return words[static_cast<size_t>(phase)];
}

plan::Directory directory_of(const agent::Seen* seen) {
    plan::Directory d;
    if (seen == nullptr || !seen->connected) return d;
    const auto& s = seen->status;
    d.agent = true;
    d.state = s.state;
    d.hold = s.hold;
    d.standby_signal = s.standby_signal;
    d.quarantine = s.quarantine;
    for (const auto& disk : {s.wal_disk, s.data_disk}) {
        if (disk && topology::in_trouble(disk->health)) d.disk_trouble = topology::to_string(disk->health);
    }
    d.job = s.job ? s.job->verb : "";
    d.system_identifier = !s.system_identifier.empty() ? s.system_identifier : s.control.system_identifier;
    d.control_state = s.control.state;
    d.timeline = std::max(s.control.timeline, s.control.minimum_recovery_end_timeline);
    d.checkpoint = s.control.checkpoint;
    d.minimum_recovery_end = s.control.minimum_recovery_end;
    d.rewindable = s.control.wal_log_hints || s.control.data_checksums;
    return d;
}

Rejoiner::Rejoiner(Means means, RejoinOptions options)
    : means_(std::move(means)), options_(std::move(options)) {}

/// Whoever made it may be gone from now on.
void Rejoiner::stop() {
    stopped_ = true;
    means_.busy = nullptr;
    means_.announce = nullptr;
}

// ---- what is to be done

Rejoiner::EntryPtr Rejoiner::entry(const topology::Cluster& cluster, const InstanceKey& key) {
    auto& e = entries_[key];
    if (!e) e = std::make_shared<Entry>();
    e->state.instance = key;
    e->state.cluster_id = cluster.id;
    e->state.cluster_name = cluster.name;
    return e;
}

plan::RejoinWish Rejoiner::wish(const Entry& e, const topology::Instance& instance) const {
    return {.policy = options_.policy,
            .may_drop_writes = options_.may_drop_writes,
            .manage_slots = options_.manage_slots,
            .asked = e.asked,
            .force = e.request.force,
            .anew = e.request.anew,
            .from = e.request.from,
            .lost_in_recovery = instance.downtime && instance.downtime->reason == lost_in_recovery,
            .rewind_failed = e.rewind_failed,
            .damaged = e.damaged,
            .cannot_catch_up = e.cannot_catch_up,
            .stuck_at = e.stuck_at,
            .examined = e.examined,
            .past = e.past};
}

plan::Rejoin Rejoiner::plan_now(Entry& e, const topology::Cluster& cluster) {
    const auto instance = instance_of(cluster, e.state.instance);
    const auto dir = directory_of(means_.agents.of(e.state.instance));
    if (dir.agent && dir.state != ServerState::running) {
        auto now_is = fingerprint_of(cluster, dir);
        if (now_is != e.fingerprint) {
            e.examined = false;
            e.past.reset();
            e.listed.clear();
            e.fingerprint = std::move(now_is);
        }
    }
    return plan_rejoin(cluster, *instance, dir, wish(e, *instance), means_.clock.now());
}

void Rejoiner::consider(const topology::Cluster& cluster) {
    if (stopped_) return;
    for (const auto& i : cluster.instances) {
        if (agent::connected(means_.agents, i->key) != nullptr) consider_one(cluster, *i);
    }
}

void Rejoiner::consider_one(const topology::Cluster& cluster, const topology::Instance& instance) {
    const auto known = entries_.find(instance.key);
    if (known != entries_.end() && known->second->state.phase == RejoinPhase::running) return;
    const auto blank = std::make_shared<Entry>();
    blank->state.instance = instance.key;
    auto& e = known != entries_.end() ? *known->second : *blank;
    auto plan = plan_now(e, cluster);
    if (plan.way == RejoinWay::nothing) {
        // It is well: what went wrong before does not count any more.
        if (known != entries_.end() && instance.replicating()) {
            e.rewind_failed = e.damaged = e.cannot_catch_up = e.asked = false;
            e.state.tries = 0;
            e.told.clear();
            if (e.state.phase == RejoinPhase::waiting) entries_.erase(known);
        }
        return;
    }
    const bool automatic = options_.automatic && options_.automatic(cluster) && !left_alone(instance);
    if (plan.way == RejoinWay::wait || !(automatic || e.asked)) return;
    if (known == entries_.end() && entries_.size() >= entries_limit) return;
    const auto kept = entry(cluster, instance.key);
    kept->state.plan = std::move(plan);
    if (kept->state.plan.way == RejoinWay::by_hand) {
        tell_once(*kept, kept->state.plan.why + " (`" + kept->state.plan.allow + "`)");
    } else if (may_begin(cluster, instance, *kept)) {
        begin(kept);
    } else if (kept->state.phase == RejoinPhase::waiting) {
        kept->state.result = kept->state.plan.why;
    }
}

bool Rejoiner::may_begin(const topology::Cluster& cluster, const topology::Instance&, const Entry& e) const {
    if (means_.clock.now() < e.next_try || cluster_is_busy(e)) return false;
    if (!means_.store.state().recoveries_enabled || e.cancelled || e.state.tries >= automatic_tries)
        return false;
    if (e.state.plan.way != RejoinWay::clone) return true;
    // Copies side by side take the primary's disks and links from its clients.
    return std::ranges::none_of(entries_, [&](const auto& other) {
        const auto& s = other.second->state;
        return s.cluster_id == cluster.id && s.phase == RejoinPhase::running &&
               s.plan.way == RejoinWay::clone;
    });
}

void Rejoiner::begin(const EntryPtr& e) {
    e->state.phase = RejoinPhase::running;
    e->state.began = means_.clock.wall();
    e->state.ended = {};
    e->state.result.clear();
    e->state.job.reset();
    e->state.lost = e->listed;
    e->state.detail.clear();
    e->cancelled = false;
    spawn(means_.clock.executor(), run(e));
}

void Rejoiner::tell_once(Entry& e, const std::string& why) {
    e.state.result = why;
    if (e.state.phase == RejoinPhase::done) e.state.phase = RejoinPhase::waiting;
    if (e.told == why) return;
    e.told = why;
    audit(e, "rejoin-waits", why);
    spdlog::warn("{} (cluster {}): is not brought back: {}", e.state.instance.text(), e.state.cluster_name,
                 why);
    announce(e);
}

// ---- commands

Result<plan::Rejoin> Rejoiner::preview(const RejoinRequest& request) const {
    const auto cluster = means_.observer.cluster(request.cluster_id);
    if (!cluster) return fail(ErrorKind::not_found, "its cluster is not known", request.instance.text());
    Entry e;
    if (const auto known = entries_.find(request.instance); known != entries_.end()) e = *known->second;
    e.request = request;
    e.asked = true;
    const auto instance = instance_of(*cluster, request.instance);
    return plan_rejoin(*cluster, *instance, directory_of(means_.agents.of(request.instance)),
                       wish(e, *instance), means_.clock.now());
}

Task<Result<RejoinState>> Rejoiner::ask(RejoinRequest request) {
    const auto self = shared_from_this();
    const auto cluster = means_.observer.cluster(request.cluster_id);
    const auto name = request.instance.text();
    if (!cluster) co_return fail(ErrorKind::not_found, "its cluster is not known", name);
    if (agent::connected(means_.agents, request.instance) == nullptr)
        co_return fail(ErrorKind::unreachable, "no agent is connected beside it: `baton agents` lists them",
                       name);
    const auto known = entries_.find(request.instance);
    const bool new_one = known == entries_.end();
    if (!new_one && known->second->state.phase == RejoinPhase::running)
        co_return fail(ErrorKind::conflict, "is being brought back already: " + known->second->state.doing,
                       name);
    if (means_.busy && means_.busy(cluster->id))
        co_return fail(ErrorKind::conflict, "a recovery of its cluster is under way; try again later", name);
    const auto e = entry(*cluster, request.instance);
    e->request = request;
    e->asked = true;
    e->state.by = request.by;
    e->state.tries = 0;
    e->rewind_failed = e->damaged = false;
    e->state.plan = plan_now(*e, *cluster);
    if (e->state.plan.way == RejoinWay::examine) {
        // What it has past the fork decides whether it may begin at all.
        e->state.phase = RejoinPhase::running;
        e->state.doing = "reading its WAL past the fork";
        (void)co_await examine(e);
        if (stopped_) co_return fail(ErrorKind::cancelled, "the manager ends", name);
        const auto later = means_.observer.cluster(request.cluster_id);
        e->state.phase = RejoinPhase::waiting;
        if (later) e->state.plan = plan_now(*e, *later);
    }
    const auto& plan = e->state.plan;
    if (!acts(plan)) {
        e->asked = false;
        e->request = {};
        auto why = plan.why;
        if (!plan.allow.empty()) why += " (`" + plan.allow + "`)";
        const bool nothing = plan.way == RejoinWay::nothing;
        e->state.result = why;
        if (new_one && nothing) entries_.erase(request.instance);
        co_return fail(plan.way == RejoinWay::by_hand ? ErrorKind::refused_by_policy : ErrorKind::conflict,
                       (nothing ? "nothing to do: " : "") + why, name);
    }
    begin(e);
    co_return e->state;
}

Result<void> Rejoiner::cancel(const InstanceKey& key, const std::string& by) {
    const auto at = entries_.find(key);
    if (at == entries_.end() || at->second->state.phase != RejoinPhase::running)
        return fail(ErrorKind::not_found, "nothing is done to bring it back", key.text());
    auto& e = *at->second;
    e.cancelled = true;
    audit(e, "rejoin-cancelled", "cancelled" + (by.empty() ? "" : " by " + by) + " while " + e.state.doing);
    // Between two orders there is nothing to cancel at the agent: the next one is not given.
    (void)means_.agents.cancel(key);
    return {};
}

std::vector<RejoinState> Rejoiner::states() const {
    std::vector<RejoinState> all;
    for (const auto& [key, e] : entries_)
        all.push_back(e->state);
    return all;
}

// ---- how it ended

void Rejoiner::finish(Entry& e, const Result<std::string>& result) {
    auto& s = e.state;
    s.ended = means_.clock.wall();
    s.doing.clear();
    const auto took = analysis::duration_text(s.ended - s.began);
    if (result) {
        s.phase = RejoinPhase::done;
        s.tries = 0;
        s.result = fmt::format("{} after {}", *result, took);
        e.asked = e.rewind_failed = e.damaged = e.cannot_catch_up = false;
        e.request = {};
        e.told.clear();
        audit(e, "rejoin-done", s.result);
        spdlog::info("{} (cluster {}): {}", s.instance.text(), s.cluster_name, s.result);
        announce(e);
        return;
    }
    const auto& error = result.error();
    s.phase = RejoinPhase::failed;
    s.result = error.message;
    if (error.kind == ErrorKind::refused_by_policy) {
        s.phase = RejoinPhase::waiting;
        tell_once(e, error.message);
        return;
    }
    // A recovery that came between is no failure of the server.
    const bool interrupted = error.kind == ErrorKind::cancelled && !e.cancelled;
    const bool other_way = (s.plan.way == plan::RejoinWay::rewind && e.rewind_failed) ||
                           (s.plan.way == plan::RejoinWay::start && e.damaged);
    e.next_try = means_.clock.now() +
                 (other_way ? before_other_way : pauses.at(std::min<size_t>(s.tries, pauses.size() - 1)));
    if (!interrupted) ++s.tries;
    const bool given_up = s.plan.way == RejoinWay::clone && e.ran && !e.asked;
    const bool last = s.tries >= automatic_tries || e.cancelled || given_up;
    const auto next = last ? "it is not tried again before `baton rejoin " + s.instance.text() + "`"
                           : "next try in " + analysis::duration_text(e.next_try - means_.clock.now());
    audit(e, "rejoin-failed",
          fmt::format("{} after {}: {}; {}", to_string(s.plan.way), took, error.text(), next));
    spdlog::warn("{} (cluster {}): could not be brought back: {}; {}", s.instance.text(), s.cluster_name,
                 error.text(), next);
    announce(e);
}

void Rejoiner::step(Entry& e, std::string doing) {
    e.state.doing = std::move(doing);
    announce(e);
}

void Rejoiner::announce(const Entry& e) const {
    if (!means_.announce) return;
    const auto& s = e.state;
    JsonWriter json;
    json.begin_object().field("instance", s.instance.text()).field("cluster", s.cluster_name);
    json.field("cluster_id", s.cluster_id).field("verb", to_string(s.plan.way));
    json.field("state", to_string(s.phase)).field("doing", s.doing).field("result", s.result);
    json.field("message", s.phase == RejoinPhase::running ? s.doing : s.result);
    json.end_object();
    means_.announce("rejoin", json.text());
}

void Rejoiner::audit(const Entry& e, const std::string& type, const std::string& message) {
    means_.store.apply(store::AddAudit{{.id = means_.store.new_id(),
                                        .at = means_.clock.wall(),
                                        .type = type,
                                        .instance = e.state.instance,
                                        .cluster_name = e.state.cluster_name,
                                        .message = message}});
}

}  // namespace baton::recovery
