#pragma once

#include <deque>
#include <map>
#include <mutex>
#include <set>
#include <unordered_map>

#include "base/subprocess.h"
#include "control/clients.h"
#include "control/control.h"
#include "discovery/discovery.h"
#include "engine/engine.h"
#include "recovery/recovery.h"
#include "store/store.h"

namespace baton::control {

/// What the manager stands on. All must outlive it.
struct Parts {
    Clock& clock;
    engine::Engine& engine;
    store::Store& store;
    ProcessRunner& processes;
    std::string hostname;
    std::string token;                             ///< names this process's life
    std::vector<std::string> configuration_files;  ///< for reload
    std::function<void(const config::Config&)>
        apply_outside;  ///< login, log level: what lies outside this room
    agent::Agents& agents = agent::no_agents();
};

/// The manager: discovery, recovery and the record joined, on one control thread.
class Manager final : public Control, private recovery::Observer {
  public:
    Manager(Parts parts, config::Config config);
    ~Manager() override;

    void start();
    /// Ends all watching; afterwards the executor may be stopped.
    void stop();

    asio::any_io_executor executor() override { return clock_.executor(); }
    ViewPtr view() const override;
    uint64_t subscribe(std::function<void(const Event&)> callback) override;
    void unsubscribe(uint64_t id) override;

    std::vector<store::Recovery> recoveries(const RecoveryFilter& filter) const override;
    std::vector<store::RecoveryStep> recovery_steps(const std::string& uid) const override;
    std::vector<store::Detection> detections(const RecoveryFilter& filter) const override;
    std::vector<store::BlockedRecovery> blocked(
        const std::optional<std::string>& cluster_hint) const override;
    std::vector<store::AuditEntry> audit(const std::optional<InstanceKey>& key, int page) const override;
    std::vector<store::Maintenance> maintenance() const override;
    std::vector<store::PromotionRuleRecord> promotion_rules() const override;
    const store::State& record() const override { return store_.state(); }
    Metrics metrics() const override;
    std::vector<DiscoveryMetric> discovery_metrics(seconds within) const override;
    Result<void> health() const override { return store_.health(); }

    Task<Result<InstancePtr>> discover(InstanceKey key, Caller caller) override;
    Task<Result<InstancePtr>> refresh(InstanceKey key) override;
    Task<Result<void>> forget(InstanceKey key, Caller caller) override;
    Task<Result<std::string>> forget_cluster(std::string hint, Caller caller) override;
    Task<Result<InstanceKey>> resolve(InstanceKey key) override;

    Task<Result<InstancePtr>> relocate(InstanceKey key, InstanceKey below, Caller caller) override;
    Task<Result<InstancePtr>> repoint(InstanceKey key, InstanceKey below, Caller caller) override;
    Task<Result<InstancePtr>> move_up(InstanceKey key, Caller caller) override;
    Task<Result<InstancePtr>> move_below(InstanceKey key, InstanceKey sibling, Caller caller) override;
    Task<Result<InstancePtr>> take_siblings(InstanceKey key, Caller caller) override;
    Task<Result<Moved>> relocate_replicas(InstanceKey from, InstanceKey below, std::string pattern,
                                          Caller caller) override;
    Task<Result<Moved>> move_up_replicas(InstanceKey key, std::string pattern, Caller caller) override;
    Task<Result<Moved>> repoint_replicas(InstanceKey key, std::string pattern, Caller caller) override;
    Task<Result<Moved>> regroup_replicas(InstanceKey key, Caller caller) override;
    Result<void> can_replicate_from(const InstanceKey& key, const InstanceKey& below) const override;
    Task<Result<InstancePtr>> act(InstanceKey key, Verb verb, Caller caller) override;
    Task<Result<InstancePtr>> end_session(InstanceKey key, int pid, Caller caller) override;

    Task<Result<RecoveryOutcome>> recover(RecoveryRequest request, Caller caller) override;
    Result<plan::Plan> preview(const std::string& cluster_hint,
                               const std::optional<InstanceKey>& candidate) const override;
    Task<Result<recovery::RejoinState>> rejoin(RejoinCommand command, Caller caller) override;
    Result<plan::Rejoin> preview_rejoin(const RejoinCommand& command) const override;
    Result<void> cancel_rejoin(const InstanceKey& key, const Caller& caller) override;
    std::vector<recovery::RejoinState> rejoins() const override;
    Task<Result<plan::Plan>> preview_switchover(SwitchoverCommand command) override;
    Task<Result<SwitchoverOutcome>> switchover(SwitchoverCommand command, Caller caller) override;
    Task<Result<ScheduledSwitchover>> schedule_switchover(SwitchoverCommand command, std::string when,
                                                          Caller caller) override;
    Task<Result<ScheduledSwitchover>> cancel_switchover(std::string cluster_hint, Caller caller) override;
    std::vector<ScheduledSwitchover> scheduled_switchovers() const override;
    Task<Result<int>> acknowledge(RecoveryFilter which, std::string by, std::string comment) override;
    Task<Result<void>> set_global_recoveries(bool enabled, Caller caller) override;

    Task<Result<void>> begin_downtime(InstanceKey key, std::string owner, std::string reason,
                                      seconds duration) override;
    Task<Result<void>> end_downtime(InstanceKey key) override;
    Task<Result<int64_t>> begin_maintenance(InstanceKey key, std::string owner, std::string reason) override;
    Task<Result<void>> end_maintenance(InstanceKey key) override;
    Task<Result<void>> end_maintenance_id(int64_t id) override;
    Task<Result<void>> set_promotion_rule(InstanceKey key, topology::PromotionRule rule) override;
    Task<Result<void>> tag(InstanceKey key, topology::Tag tag) override;
    Task<Result<std::vector<InstanceKey>>> untag(std::optional<InstanceKey> key, std::string name,
                                                 std::optional<std::string> value) override;
    Task<Result<void>> set_cluster_alias(std::string cluster_hint, std::string alias) override;
    Task<Result<void>> submit_pool(std::string pool, std::vector<InstanceKey> instances) override;
    Task<Result<void>> set_hostname_unresolve(InstanceKey key, std::string name) override;
    Task<Result<std::vector<std::pair<std::string, std::string>>>> submit_primaries_to_kv(
        std::optional<std::string> cluster_hint) override;
    std::map<std::string, std::string> resolve_cache() const override;
    void reset_resolve_cache() override;
    Task<Result<std::string>> reload_configuration(std::string extra_file) override;

  private:
    // recovery::Observer
    topology::ClusterPtr cluster(const std::string& id) const override { return discovery_->cluster(id); }
    Task<void> look_again(std::vector<InstanceKey> keys, MonoTime deadline) override {
        return discovery_->look_again(std::move(keys), deadline);
    }
    void hold_testimony(const InstanceKey& key, MonoTime until) override {
        discovery_->hold_testimony(key, until);
    }
    bool settled() const override { return discovery_->settled(); }
    void refresh_annotations(const InstanceKey& key) override { discovery_->refresh_annotations(key); }

    // manager.cc
    void on_cluster(const std::string& id, const topology::ClusterPtr& cluster);
    void announce_topology(const std::string& id, const topology::ClusterPtr& cluster);
    void emit(const std::string& type, const std::string& json);
    void publish();
    void publish_soon();
    Task<void> publisher();
    uint16_t default_port() const { return static_cast<uint16_t>(config_->DefaultInstancePort); }

    // evidence.cc
    void listen_to_agents();
    void hear_agent(const InstanceKey& key);
    void hear_all_agents();
    void hear_agents_of(const topology::Cluster& cluster);

    std::set<std::string> client_hosts() const;

    // agents.cc
    void watch_agents();
    void announce_agent(const InstanceKey& key);
    void announce_job(const InstanceKey& key, const agent::Seen& seen);
    AgentsPtr agents_now();

    // rejoin.cc
    Result<recovery::RejoinRequest> rejoin_request(const RejoinCommand& command) const;

    // switchover.cc
    Result<recovery::SwitchoverRequest> switchover_request(const SwitchoverCommand& command,
                                                           const Caller& caller) const;
    ScheduledSwitchover named(const recovery::ScheduledSwitchover& s) const;

    /// Of the configuration, with the routers that it names.
    recovery::Options recovery_options_now() const;

    // helpers of the commands
    Result<InstancePtr> known(const InstanceKey& key) const;
    Result<topology::ClusterPtr> known_cluster(const std::string& hint) const;
    Result<topology::ClusterPtr> cluster_of(const InstanceKey& key) const;
    MonoTime deadline() const { return clock_.now() + recovery_options_.plan.follow_timeout; }
    void note(const std::string& type, const InstanceKey& key, const Caller& caller,
              const std::string& message);
    Task<Result<InstancePtr>> run_move(Result<plan::Plan> plan, InstanceKey subject, std::string type,
                                       Caller caller);
    Task<Result<Moved>> run_moves(Result<plan::Plan> plan, std::string type, Caller caller);
    Task<Result<InstancePtr>> after_deed(InstanceKey key);
    Task<Result<InstancePtr>> after_read_only(InstanceKey key, bool wanted);
    bool matches(const store::Recovery& r, const RecoveryFilter& filter) const;
    bool in_cluster(const std::string& id, const std::string& name, const std::string& alias,
                    const std::string& hint) const;

    Clock& clock_;
    engine::Engine& engine_;
    store::Store& store_;
    Parts parts_;
    std::shared_ptr<const config::Config> config_;
    recovery::Options recovery_options_;
    std::unique_ptr<discovery::Discovery> discovery_;
    std::unique_ptr<recovery::Recovery> recovery_;
    ClientWatch clients_;
    WallTime started_{};
    bool stopped_ = false;
    bool seen_everything_ = false;

    mutable std::mutex view_mutex_;
    ViewPtr view_;
    std::shared_ptr<Signal> publish_signal_;
    std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
    bool view_stale_ = false;
    uint64_t problems_version_ = 0;
    std::shared_ptr<const std::vector<analysis::Problem>> problems_;

    std::mutex subscribers_mutex_;
    std::map<uint64_t, std::function<void(const Event&)>> subscribers_;
    uint64_t next_subscriber_ = 1;
    uint64_t next_event_ = 1;
    std::set<InstanceKey> guarded_;  ///< of whom an agent told
    MonoTime agents_heard_at_{};
    AgentsPtr agents_;  ///< for readers
    MonoTime agents_at_{};
    bool agents_stale_ = false;
    std::map<InstanceKey, std::string> announced_agents_;  ///< the event last sent
    struct AnnouncedJob {
        topology::Job job;
        MonoTime at{};
    };
    std::map<InstanceKey, AnnouncedJob> announced_jobs_;
    std::unordered_map<std::string, std::string> announced_;  ///< cluster id -> shape last announced
    uint64_t events_ = 0;
};

}  // namespace baton::control
