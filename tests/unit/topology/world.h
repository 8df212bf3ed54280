#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "topology/topology.h"

/// Small clusters for tests, in words:
/// make_cluster().primary("p").standby("s1").standby("s2").received("0/4000000"). Each word is about the
/// server that was named last; on("s1") goes back to one. The host is the name, the port 5432. Everybody
/// streams, is caught up and was asked a moment ago, until a word says otherwise.
namespace baton::sample {

using topology::InstanceKey;
using topology::Lsn;
using topology::Reach;

inline constexpr MonoTime now{seconds(1000)};
inline const std::string system_id = "7300000000000000001";

inline InstanceKey key(const std::string& name) {
    return {name, 5432};
}
inline Lsn lsn(const std::string& text) {
    return topology::parse_lsn(text).value();
}

class World {
  public:
    World& primary(const std::string& name) {
        auto& node = add(name, topology::Role::primary);
        node.seen.written = lsn("0/5000000");
        return *this;
    }

    /// Below `upstream`; by default below the first server that was named.
    World& standby(const std::string& name, const std::string& upstream = "") {
        auto& node = add(name, topology::Role::standby);
        node.instance.upstream = key(upstream.empty() ? nodes_.front().instance.key.host : upstream);
        node.seen.received = node.seen.replayed = lsn("0/5000000");
        node.seen.receiver = topology::Receiver{.status = "streaming",
                                                .sender_host = node.instance.upstream->host,
                                                .sender_port = 5432,
                                                .received_timeline = 1,
                                                .last_message_age = milliseconds(100)};
        node.instance.streamed_until = node.seen.answered_at;
        node.instance.lag = {0, 0, 0};
        return *this;
    }

    World& on(const std::string& name) {
        for (size_t i = 0; i < nodes_.size(); ++i) {
            if (nodes_[i].instance.key.host == name) current_ = i;
        }
        return *this;
    }

    World& received(const std::string& text) {
        at().seen.received = at().seen.replayed = lsn(text);
        return *this;
    }
    World& written(const std::string& text) {
        at().seen.written = lsn(text);
        return *this;
    }
    World& timeline(topology::Timeline timeline) {
        at().seen.timeline = timeline;
        return *this;
    }
    World& rule(topology::PromotionRule rule) {
        at().instance.promotion_rule = rule;
        return *this;
    }
    World& place(const std::string& data_center, const std::string& region = "") {
        at().instance.data_center = data_center;
        at().instance.region = region;
        return *this;
    }
    World& slot(const std::string& name) {
        at().seen.settings.primary_slot_name = name;
        return *this;
    }
    World& name(const std::string& application_name) {
        at().seen.upstream.application_name = application_name;
        return *this;
    }
    World& paused() {
        at().seen.replay_paused = true;
        return *this;
    }
    World& delayed(int64_t ms = 3'600'000) {
        at().seen.settings.recovery_min_apply_delay_ms = ms;
        return *this;
    }
    World& downtimed() {
        at().instance.downtime = topology::Downtime{.owner = "ann", .reason = "disk"};
        return *this;
    }
    World& in_maintenance() {
        at().instance.maintenance = topology::Downtime{.owner = "ann", .reason = "upgrade"};
        return *this;
    }
    World& synchronous(const std::string& names) {
        at().seen.settings.synchronous_standby_names = names;
        at().seen.settings.synchronous_commit = "on";
        return *this;
    }
    /// A row of pg_stat_replication.
    World& sender(const std::string& application_name, const std::string& sync_state = "async",
                  const std::string& state = "streaming") {
        at().seen.senders.push_back(
            {.application_name = application_name, .state = state, .sync_state = sync_state});
        return *this;
    }
    /// It has no receiver now, and had none for `ago`.
    World& not_streaming(Duration ago = milliseconds(13)) {
        at().seen.receiver.reset();
        at().instance.streamed_until = now - ago;
        return *this;
    }
    World& last_message(Duration age) {
        at().seen.receiver->last_message_age =
            std::chrono::duration_cast<milliseconds>(age - (now - at().seen.answered_at));
        return *this;
    }
    /// Cannot be reached, suspect for `since`; a new connection failed too unless `confirmed` is false.
    World& down(Reach reach = Reach::refused, Duration since = milliseconds(12), bool confirmed = true) {
        at().instance.health = {.reach = reach,
                                .attempt_began = now - std::min<Duration>(since, milliseconds(6)),
                                .last_attempt = now - milliseconds(5),
                                .last_answer = now - since - milliseconds(400),
                                .suspect_since = now - since,
                                .confirmed = confirmed,
                                .failures = confirmed ? 2 : 1};
        at().seen.asked_at = at().instance.health.last_answer - milliseconds(1);
        at().seen.answered_at = at().instance.health.last_answer;
        return *this;
    }
    /// Its last answer is from before any suspicion.
    World& not_asked_since(Duration ago = milliseconds(500)) {
        at().seen.asked_at = now - ago - milliseconds(1);
        at().seen.answered_at = now - ago;
        return *this;
    }
    /// The primary is known from before a restart of the manager only.
    World& never_seen() {
        at().known = false;
        at().instance.health.last_answer = {};
        at().instance.streamed_until.reset();
        return *this;
    }
    /// The server and, at once, the receivers of all its direct replicas are gone.
    World& dies(const std::string& name, Reach reach = Reach::refused) {
        on(name).down(reach);
        for (auto& node : nodes_) {
            if (node.instance.upstream != key(name)) continue;
            node.seen.receiver.reset();
            if (node.instance.streamed_until) node.instance.streamed_until = now - milliseconds(13);
        }
        return *this;
    }
    World& history(topology::Timeline timeline, const std::string& text) {
        history_ = std::make_shared<topology::TimelineHistory>(
            topology::parse_timeline_history(timeline, text).value());
        return *this;
    }
    /// An agent guards it, was heard 100 ms ago and says that it is so since `ago`.
    World& agent(topology::ServerState state = topology::ServerState::running, Duration ago = seconds(60)) {
        at().instance.host = topology::Host{.connected = true,
                                            .heard = now - milliseconds(100),
                                            .state = state,
                                            .state_since = now - ago,
                                            .system_identifier = system_id};
        if (state == topology::ServerState::down) at().instance.host->hold = topology::Hold::down;
        return *this;
    }
    /// Of the agent that was told of last: it has not been heard for `ago`.
    World& blind(Duration ago = seconds(2)) {
        at().instance.host->connected = false;
        at().instance.host->heard = now - ago;
        return *this;
    }
    /// What that agent says of the disk: its health for `since`, and how full it is.
    World& disk(topology::DiskHealth health, Duration since = seconds(60), int used_percent = 50) {
        at().instance.host->data_disk = topology::Disk{.path = "/data",
                                                       .total_bytes = 100LL << 30,
                                                       .free_bytes = (100LL - used_percent) << 30,
                                                       .health = health,
                                                       .since = since - milliseconds(100)};
        return *this;
    }
    /// Whatever has no word of its own.
    World& with(const std::function<void(topology::Instance&, topology::Observation&)>& change) {
        change(at().instance, at().seen);
        return *this;
    }

    topology::Cluster build() const {
        topology::Cluster cluster{
            .id = system_id, .name = nodes_.front().instance.key.text(), .history = history_};
        for (const auto& node : nodes_) {
            auto instance = std::make_shared<topology::Instance>(node.instance);
            if (node.known) instance->seen = std::make_shared<topology::Observation>(node.seen);
            instance->upstream_known = instance->upstream && cluster_has(*instance->upstream);
            for (const auto& other : nodes_) {
                if (other.instance.upstream == instance->key)
                    instance->downstream.push_back(other.instance.key);
            }
            cluster.instances.push_back(std::move(instance));
        }
        return cluster;
    }

  private:
    struct Node {
        topology::Instance instance;
        topology::Observation seen;
        bool known = true;
    };

    Node& add(const std::string& name, topology::Role role) {
        Node node;
        node.instance.key = key(name);
        node.instance.cluster_id = system_id;
        node.instance.role = role;
        node.instance.health = {.reach = Reach::answering,
                                .attempt_began = now - milliseconds(2),
                                .last_attempt = now - milliseconds(1),
                                .last_answer = now - milliseconds(1)};
        node.seen.engine = topology::Engine::postgresql;
        node.seen.asked_at = now - milliseconds(2);
        node.seen.answered_at = now - milliseconds(1);
        node.seen.system_identifier = system_id;
        node.seen.version_num = 150018;
        node.seen.version = "15.18";
        node.seen.port = 5432;
        node.seen.role = role;
        node.seen.timeline = 1;
        node.seen.settings.cluster_name = name;
        node.seen.settings.recovery_target_timeline = "latest";
        node.seen.settings.wal_retrieve_retry_interval_ms = 500;
        nodes_.push_back(std::move(node));
        current_ = nodes_.size() - 1;
        return nodes_.back();
    }

    bool cluster_has(const InstanceKey& wanted) const {
        for (const auto& node : nodes_) {
            if (node.instance.key == wanted) return true;
        }
        return false;
    }

    Node& at() { return nodes_.at(current_); }

    std::vector<Node> nodes_;
    size_t current_ = 0;
    std::shared_ptr<const topology::TimelineHistory> history_;
};

inline World make_cluster() {
    return {};
}

}  // namespace baton::sample
