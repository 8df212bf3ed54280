#pragma once

#include <deque>
#include <map>
#include <set>
#include <unordered_map>

#include "base/async.h"
#include "discovery/builder.h"
#include "discovery/discovery.h"
#include "discovery/member.h"

namespace baton::discovery {

/// Someone who waits for an attempt that began after `not_before`.
struct Waiter {
    MonoTime not_before;
    std::function<void()> done;
};

struct ClusterState;

/// One watched server. Owned by the table and by its own watching coroutine.
struct Endpoint {
    Endpoint(Clock& clock, InstanceKey key) : signal(clock) { member.key = std::move(key); }

    Member member;
    std::unique_ptr<engine::Probe> probe;
    Signal signal;
    bool stopped = false;
    bool kicked = false;
    MonoTime
        planned{};  ///< the last point of its schedule that has passed: lateness does not move the schedule
    MonoTime heard{};  ///< last answer to a probe or a touch
    MonoTime history_retry{};
    int64_t history_of_start = 0;       ///< when the server had started that was asked last
    MonoTime greeted{};                 ///< last time that a new connection was tried beside the old one
    std::optional<MonoTime> broken_at;  ///< the idle session ended then
    std::vector<Waiter> waiters;
    size_t sender_signature = 0;  ///< of the rows that were last matched
    bool senders_unexplained = false;
    MonoTime added{};
    Duration unseen_before{};  ///< by the wall clock, when an earlier life's record was read
    WallTime stored_last_seen{};
    ClusterState* cluster = nullptr;             ///< that it is a member of
    std::optional<store::KnownInstance> stored;  ///< what was last remembered of it
};
using EndpointPtr = std::shared_ptr<Endpoint>;

/// Sets of endpoints are walked in the order of their keys: the same world gives the same run.
struct ByKey {
    bool operator()(const Endpoint* a, const Endpoint* b) const { return a->member.key < b->member.key; }
};

/// What is kept per cluster between snapshots.
struct ClusterState {
    std::set<Endpoint*, ByKey> members;
    ClusterPtr snapshot;
    bool dirty = false;
    MonoTime dirty_since{};
    std::optional<MonoTime>
        urgent_since;  ///< a server with replicas is in doubt: its replicas are asked often
    std::shared_ptr<const topology::TimelineHistory> history;
    std::pair<InstanceKey, topology::Timeline> history_asked;  ///< of whom, and for which timeline
    MonoTime history_retry{};
};

/// A cluster that waits for its routine rebuild; stale when it was rebuilt since.
struct Waiting {
    std::string cluster_id;
    MonoTime since;
};

/// Where a server may be: tried at most this often.
struct Guess {
    MonoTime next{};
    Duration pause{};
    bool trying = false;
};

class Impl final : public Discovery, public std::enable_shared_from_this<Impl> {
  public:
    Impl(Clock& clock, engine::Engine& engine, store::Store& store, Options options)
        : clock_(clock), engine_(engine), store_(store), options_(std::move(options)) {}

    void start(std::vector<InstanceKey> seeds) override;
    void stop() override;
    void set_options(Options options) override;
    TopologyPtr topology() const override;
    ClusterPtr cluster(const std::string& id) const override;
    void on_change(std::function<void(const std::string&, const ClusterPtr&)> callback) override {
        callback_ = std::move(callback);
    }
    bool settled() const override;
    Task<Result<InstancePtr>> discover(InstanceKey key, MonoTime deadline) override;
    Task<void> look_again(std::vector<InstanceKey> keys, MonoTime deadline) override;
    Result<void> forget(const InstanceKey& key) override;
    void hold_testimony(const InstanceKey& key, MonoTime until) override;
    void refresh_annotations(const std::optional<InstanceKey>& key) override;
    void host_says(const InstanceKey& key, std::optional<topology::Host> host) override;
    void clients_say(const InstanceKey& key, std::optional<topology::Clients> clients) override;
    Counters counters() const override { return counters_; }
    std::vector<Sample> samples(seconds within) const override;

  private:
    // watch.cc: one coroutine a server
    Task<void> watch(EndpointPtr e);
    Task<void> attempt(EndpointPtr e);
    Task<void> touch(EndpointPtr e);
    void greet_now_and_then(const EndpointPtr& e);
    Task<void> greet(EndpointPtr e);
    MonoTime next_wake(const Endpoint& e) const;
    MonoTime due(const Endpoint& e) const;
    Duration interval(const Endpoint& e) const;
    bool wants_touch(const Endpoint& e) const;
    void note_failure(Endpoint& e, const engine::Unreached& why, MonoTime began, bool confirmed);
    void note_answer(const EndpointPtr& e, const engine::ObservationPtr& seen);
    void wake_waiters(Endpoint& e, MonoTime began);
    void keep_schedule(Endpoint& e) const;
    void add_sample(const Endpoint& e, MonoTime began, Duration delay);
    void kick(Endpoint& e);

    // explore.cc: finding more
    MonoTime first_point(const InstanceKey& key, MonoTime now) const;
    EndpointPtr add_endpoint(const InstanceKey& key, std::unique_ptr<engine::Probe> probe);
    void remove_endpoint(const InstanceKey& key);
    bool merge_if_known(const EndpointPtr& e, const Observation& seen);
    void explore(const EndpointPtr& e);
    void explore_upstream(const EndpointPtr& e);
    void explore_downstream(const EndpointPtr& e);
    bool may_guess(const InstanceKey& key);
    void leave_to_names(const ClusterState& cluster, std::vector<InstanceKey>& places) const;
    void try_guesses(const std::vector<InstanceKey>& keys, const std::string& system_identifier);
    Task<void> try_guess(InstanceKey key, std::string system_identifier);
    Task<std::expected<EndpointPtr, engine::Unreached>> try_one(InstanceKey key,
                                                                std::string system_identifier,
                                                                MonoTime deadline);
    Task<void> try_seed(InstanceKey key);
    Task<void> verify_alias(InstanceKey alias, InstanceKey owner);
    Task<void> read_history(std::string cluster_id, InstanceKey primary, topology::Timeline timeline);
    Task<void> read_own_history(EndpointPtr e);
    Task<void> warm_resolver(std::string host);
    EndpointPtr find(const InstanceKey& key) const;

    // hosts.cc: what agents say
    void find_by_registration(const InstanceKey& key, topology::Host host);
    static bool known_by_registration_alone(const Endpoint& e);
    bool believed(const Endpoint& e, const topology::Host& host);
    void act_on_word(Endpoint& e, bool was_kept_down);
    void ask_those_below(const Endpoint& e);
    Task<void> mark_when_receivers_ended(EndpointPtr e);

    // publish.cc: snapshots
    void load_record();
    void move_to_cluster(Endpoint& e, const std::string& cluster_id);
    void mark(const std::string& cluster_id, bool at_once);
    void mark(const std::string& cluster_id, ClusterState& state, bool at_once);
    void flush(const std::string& cluster_id);
    void flush_all();
    void flush_urgent();
    Duration flush_routine();
    Duration routine_pause() const;
    void rebuild(const std::string& cluster_id, ClusterState& state);
    void index_names(topology::Topology& fresh) const;
    void judge_urgency(ClusterState& state);
    void remember(Endpoint& e);
    void remember_cluster(const topology::Cluster& cluster);
    Task<void> housekeeping();
    Duration unseen_for(const Endpoint& e) const;
    void forget_unseen();

    Clock& clock_;
    engine::Engine& engine_;
    store::Store& store_;
    Options options_;
    std::function<void(const std::string&, const ClusterPtr&)> callback_;
    std::unordered_map<InstanceKey, EndpointPtr> endpoints_;
    std::unordered_map<InstanceKey, InstanceKey> aliases_;  ///< other name -> key of the endpoint
    std::map<ServerId, InstanceKey> servers_;
    std::map<std::string, ClusterState> clusters_;
    std::unordered_map<InstanceKey, Guess> guesses_;
    size_t guesses_under_way_ = 0;
    std::map<InstanceKey, MonoTime> alias_checked_;
    std::set<InstanceKey> pending_seeds_;
    std::set<InstanceKey> disbelieved_;  ///< whose agent was said to guard something else
    size_t urgent_clusters_ = 0;
    std::vector<std::string> urgent_;  ///< clusters to rebuild in the next turn of the loop
    std::deque<Waiting> routine_;      ///< clusters to rebuild when they have waited for long enough
    bool flush_posted_ = false;
    bool stopped_ = false;
    Counters counters_;
    std::deque<Sample> samples_;
    mutable TopologyPtr topology_;
    mutable bool topology_stale_ = true;
    mutable bool names_stale_ = true;  ///< some name leads elsewhere than in topology_
    uint64_t version_ = 0;
};

}  // namespace baton::discovery
