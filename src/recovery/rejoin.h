#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "agent/agents.h"
#include "plan/rejoin.h"
#include "recovery/observer.h"
#include "recovery/rejoin_state.h"
#include "store/store.h"

namespace baton::recovery {

/// The reason of the downtimes that a recovery begins.
inline constexpr std::string_view lost_in_recovery = "lost-in-recovery";

struct RejoinOptions {
    plan::RejoinPolicy policy = plan::RejoinPolicy::automatic;
    bool may_drop_writes = false;
    bool manage_slots = true;
    int64_t maximum_rate_kbps = 0;          ///< of a clone; 0 = unlimited
    Duration streams_within = seconds(60);  ///< after the server is up; counts anew while it gets on
    std::function<bool(const topology::Cluster&)> automatic;  ///< is anything done there without a command?
};

/// Brings servers back below the primary with the hands of their agents: one deed for each server at a time,
/// none of its own will while a recovery or switchover of the cluster is under way. Nothing is remembered
/// over a restart: what is to be done is seen by looking. Control thread only.
class Rejoiner : public std::enable_shared_from_this<Rejoiner> {
  public:
    struct Means {
        Clock& clock;
        engine::Engine& engine;
        store::Store& store;
        Observer& observer;
        agent::Agents& agents;
        std::function<void(const std::string& type, const std::string& json)> announce;
        std::function<bool(const std::string& cluster_id)> busy;  ///< a recovery or switchover is under way
    };
    Rejoiner(Means means, RejoinOptions options);

    void set_options(RejoinOptions options) { options_ = std::move(options); }
    void stop();
    /// Cheap where nothing is to be done; at each snapshot, and when an agent said something.
    void consider(const topology::Cluster& cluster);
    /// By an operator; returns when it has begun. Errors: not_found, conflict, refused_by_policy (with the
    /// command that allows it), unreachable (no agent).
    Task<Result<RejoinState>> ask(RejoinRequest request);
    /// What would be done, and why; changes nothing.
    Result<plan::Rejoin> preview(const RejoinRequest& request) const;
    Result<void> cancel(const InstanceKey& key, const std::string& by);
    /// Those that run, wait or ended lately.
    std::vector<RejoinState> states() const;

  private:
    struct Entry {
        RejoinState state;
        RejoinRequest request;  ///< of the operator; automatic: defaults
        bool asked = false;
        bool cancelled = false;
        MonoTime next_try{};
        std::string told;         ///< the reason that was last told for waiting
        std::string fingerprint;  ///< of what `examined` and the tries belong to
        bool examined = false;
        std::optional<topology::WalPast> past;
        std::string listed;  ///< the commits of `past`
        bool rewind_failed = false;
        bool cannot_catch_up = false;
        bool damaged = false;
        topology::Lsn stuck_at;      ///< with cannot_catch_up: so much it had
        bool ran = false;            ///< when its agent was asked for the deed
        bool slot_was_lost = false;  ///< and was made anew in this attempt
    };
    /// Where the two were when a server was first seen to stream.
    struct Reference {
        topology::Lsn own;
        topology::Lsn upstreams;
    };
    using EntryPtr = std::shared_ptr<Entry>;

    EntryPtr entry(const topology::Cluster& cluster, const InstanceKey& key);
    plan::RejoinWish wish(const Entry& e, const topology::Instance& instance) const;
    plan::Rejoin plan_now(Entry& e, const topology::Cluster& cluster);
    void consider_one(const topology::Cluster& cluster, const topology::Instance& instance);
    bool may_begin(const topology::Cluster& cluster, const topology::Instance& instance,
                   const Entry& e) const;
    void begin(const EntryPtr& e);
    void tell_once(Entry& e, const std::string& why);
    Task<void> run(EntryPtr e);
    Task<Result<std::string>> attempt(EntryPtr e);
    Task<void> go_on_as_it_was(EntryPtr e);
    Task<Result<void>> examine(EntryPtr e);
    Task<Result<void>> prepare_upstream(EntryPtr e);
    Task<Result<void>> complete_checkpoint(EntryPtr e);
    Task<Result<agent::Done>> order(EntryPtr e, agent::Verb verb, milliseconds deadline);
    Task<void> follow_job(EntryPtr e, std::shared_ptr<bool> ended);
    Duration patience(const Entry& e) const;
    bool receives(const Entry& e, std::optional<Reference>& first) const;
    Task<Result<void>> streams(EntryPtr e);
    bool slot_is_lost(const Entry& e) const;
    Task<Result<void>> renew_slot(EntryPtr e);
    void learn_from(Entry& e, const Error& error);
    void finish(Entry& e, const Result<std::string>& result);
    void step(Entry& e, std::string doing);
    void announce(const Entry& e) const;
    void audit(const Entry& e, const std::string& type, const std::string& message);
    bool cluster_is_busy(const Entry& e) const { return means_.busy && means_.busy(e.state.cluster_id); }

    Means means_;
    RejoinOptions options_;
    std::map<InstanceKey, EntryPtr> entries_;
    bool stopped_ = false;
};

/// Something is to be done, and nobody has to allow it.
bool acts(const plan::Rejoin& plan);

/// What the agent said of it, as a plan needs it; nothing of use when it is not connected.
plan::Directory directory_of(const agent::Seen* seen);

}  // namespace baton::recovery
