#pragma once

#include <map>
#include <set>

#include "base/defect.h"
#include "plan/last_leader.h"
#include "recovery/executor.h"
#include "recovery/journal.h"
#include "recovery/recovery.h"
#include "recovery/routers.h"

namespace baton::recovery {

using analysis::Code;
using analysis::Problem;
/// For a round of looks at servers of which some may be silent.
constexpr milliseconds look_deadline{2000};

using ProblemKey = std::pair<InstanceKey, Code>;

/// Why nothing is done about a problem, as it was last told.
struct Told {
    std::string gist;
    std::optional<MonoTime> gone;  ///< since when the problem has not been there
};
/// What comes back so soon is the same trouble, and is not told again: a link may flap for hours.
constexpr seconds same_trouble{60};

/// What is kept per cluster between snapshots.
struct Watched {
    ClusterPtr snapshot;
    std::vector<Problem> problems;
    MonoTime analysed{};
    std::set<ProblemKey> responding;     ///< a coroutine is dealing with it
    bool recovering = false;             ///< one recovery of a cluster at a time
    bool switching = false;              ///< a switchover is under way
    uint64_t switchovers = 0;            ///< so many were begun
    std::optional<InstanceKey> planned;  ///< whom a switchover stops: that it is away is no failure
    bool busy() const { return recovering && !defect("two-recoveries-at-once"); }
    std::map<InstanceKey, MonoTime> receiver_checks;
    std::map<ProblemKey, MonoTime> since;        ///< when it was first seen
    std::map<ProblemKey, Told> reported;         ///< the reason last given for not acting
    std::map<InstanceKey, MonoTime> reattached;  ///< when a stranded standby was last rewired
    std::map<InstanceKey, MonoTime> unjudged;    ///< since when it is not known whether it may follow
    std::map<InstanceKey, std::string> codes;    ///< as last written to the changelog
    std::set<int64_t> hopeless_detections;       ///< a recovery found no way out for them
    std::set<int64_t> forbidden_detections;      ///< a detection hook failed for them
    std::optional<agent::Grant> granted;         ///< the lease last given, in this life
    InstanceKey granted_to;
    uint64_t granted_by = 0;    ///< epoch
    bool granting = false;      ///< the record is being written for the next
    MonoTime held_off_until{};  ///< no recovery begins earlier, since the last one waited in vain …
    std::string held_off;       ///< … for this
    Duration held_off_for{};
    std::map<InstanceKey, MonoTime> fenced_at;   ///< when a former primary was last ended
    std::map<InstanceKey, MonoTime> started_at;  ///< when one that nobody replaces was last started
    std::string missing;  ///< why one that is kept down, and that we never saw lead, is not started; as told
};

/// One recovery under way: its record, journal and what was asked for.
struct Case {
    store::Recovery record;
    JournalPtr journal;
    std::optional<InstanceKey> candidate;
    bool is_primary = true;
    bool regardless = false;            ///< an operator wants it whatever the analysis says
    bool blocks = false;                ///< something was tried in vain: the next one is not automatic
    bool post_hook_failed = false;      ///< and the configuration counts that
    MonoTime judged{};                  ///< when the failure was last known to last
    std::vector<InstanceKey> excluded;  ///< candidates that failed in this recovery
    std::optional<InstanceKey>
        taken_for_dead;                     ///< the last of them that was asked and then refused connections
    int64_t taken_for_dead_started_us = 0;  ///< when that one's postmaster had started
    /// So many of the requests to it were lost when it was started anew.
    std::map<InstanceKey, std::ptrdiff_t> forgotten;
    InstanceKey replaced;  ///< who is to be replaced now: the failed one, or a successor that died
    bool fenced = false;   ///< its agent has, at our order
    std::set<InstanceKey> stood_clear;  ///< whose agents were asked to promise nothing any more
    bool waited = false;                ///< for the lease, after the choice
    std::string kept_back;              ///< whom the lease of the old primary kept from being promoted
};
using CasePtr = std::shared_ptr<Case>;
struct Switchover;
using SwitchoverPtr = std::shared_ptr<Switchover>;
struct Reached;
/// store::Recovery::kind of a planned switchover.
inline constexpr std::string_view switchover_kind = "switchover";

/// Agents that were heard so recently may be back in a moment: they are restarted, and so are managers.
constexpr seconds agent_grace{10};
/// The deed of a journal's step that says whose promotion is in doubt.
inline constexpr std::string_view in_doubt_deed = "in-doubt ";
/// That deed, with when the postmaster had started that was asked (0: unknown).
std::string doubt_about(const InstanceKey& asked, int64_t started_us);
/// It does not remember the request, which is a file that a starting postmaster removes.
bool started_anew(const topology::Instance& i, int64_t started_us);

class Impl final : public Recovery, public std::enable_shared_from_this<Impl> {
  public:
    Impl(Clock& clock, engine::Engine& engine, store::Store& store, Observer& observer,
         ProcessRunner& processes, agent::Agents& agents, Announce announce, Options options);

    void start() override;
    void stop() override;
    void set_options(Options options) override;
    void on_cluster(const std::string& id, const ClusterPtr& cluster) override;
    std::vector<Problem> problems() const override;
    uint64_t problems_version() const override { return version_; }
    Task<Result<Outcome>> recover(Request request) override;
    Task<Result<Executed>> execute(plan::Plan plan) override;
    Task<Result<plan::Plan>> plan_switchover(SwitchoverRequest request) override;
    Task<Result<Outcome>> switchover(SwitchoverRequest request) override;
    Task<Result<void>> schedule_switchover(SwitchoverRequest request, WallTime at) override;
    Task<Result<ScheduledSwitchover>> cancel_switchover(std::string cluster_id, std::string by) override;
    std::vector<ScheduledSwitchover> scheduled_switchovers() const override;
    Task<Result<RejoinState>> rejoin(RejoinRequest request) override {
        return rejoiner_->ask(std::move(request));
    }
    Result<plan::Rejoin> preview_rejoin(const RejoinRequest& request) const override {
        return rejoiner_->preview(request);
    }
    Result<void> cancel_rejoin(const InstanceKey& key, const std::string& by) override {
        return rejoiner_->cancel(key, by);
    }
    std::vector<RejoinState> rejoins() const override { return rejoiner_->states(); }
    Result<int> acknowledge(const std::vector<int64_t>& ids, std::string by, std::string comment) override;

  private:
    // watch.cc: from problems to responses
    void compare(Watched& watched, const std::vector<Problem>& before);
    void note_codes(Watched& watched);
    void consider(const std::string& id, Watched& watched, const Problem& problem);
    void prepare(Watched& watched, const Problem& problem);
    Task<void> check_receiver(std::string id, InstanceKey standby);
    Task<void> respond(std::string id, Problem problem);
    const store::Detection* active_detection(const Problem& problem) const;
    store::Detection register_detection(const topology::Cluster& cluster, const Problem& problem);
    Task<Result<void>> run_detection_hooks(const topology::Cluster& cluster, Problem problem,
                                           store::Detection detection);
    Task<void> tick();
    void expire();
    MonoTime beginning_of(int64_t id, WallTime by_wall);
    MonoTime beginning_of(const store::Recovery& r);
    void end_lost_downtimes(const Watched& watched);
    void listen_to_agents();

    // recovery.cc: recoveries that an operator asks for
    void acknowledge_completed(const InstanceKey& failed);
    Task<void> keep_clients_away(CasePtr c, bool away);

    // reattach.cc: standbys that come back after the others were rewired, or whose slot is missing
    struct Stranded {
        const topology::Instance* standby;
        InstanceKey target;
    };
    std::vector<Stranded> stranded(const Watched& watched, const topology::Instance& primary) const;
    void reattach_stranded(Watched& watched);
    bool history_is_awaited(Watched& watched, const topology::Instance& standby, const InstanceKey& target);
    Task<void> let_commits_go_on(CasePtr c);
    Task<void> reattach(std::string id, plan::Plan plan);

    // gates.cc: may we act?
    std::optional<std::string> gate(const topology::Cluster& cluster, const Watched& watched,
                                    const Problem& problem);
    std::optional<std::string> no_way_out(const topology::Cluster& cluster, const Problem& problem) const;
    void report_blocked(const std::string& id, Watched& watched, const Problem& problem,
                        const std::string& reason, int64_t blocking_recovery);
    std::optional<std::pair<std::string, int64_t>> anti_flapping(const topology::Cluster& cluster,
                                                                 const Problem& problem);
    std::optional<InstanceKey> in_doubt(const store::Recovery& r) const;

    // fencing.cc: the old primary must not run any more
    enum class Stood : uint8_t {
        at_once,
        waited,  ///< what was known of the failure is older now
        fenced,  ///< it was stopped for this
        ended    ///< it may still run: the recovery is over
    };
    struct Fence {
        bool done = false;
        std::string failed;
    };
    bool guarded(const topology::Cluster& cluster) const;
    const store::Guard* guard_of(const topology::Cluster& cluster) const;
    bool kept_down(const topology::Cluster& cluster, const InstanceKey& key) const;
    agent::LeaseView lease_of(const topology::Cluster& cluster, const InstanceKey& failed,
                              const InstanceKey& candidate) const;
    bool lease_is_certain(const topology::Cluster& cluster, const InstanceKey& failed) const;
    std::optional<InstanceKey> who_vouches(const topology::Cluster& cluster,
                                           const InstanceKey& candidate) const;
    std::optional<std::string> lease_forbids(const topology::Cluster& cluster, const InstanceKey& failed,
                                             const InstanceKey& candidate, bool regardless) const;
    void withhold(const InstanceKey& key, bool on);
    Task<Result<agent::Done>> order(InstanceKey key, agent::Verb verb, milliseconds deadline, bool on = true);
    void stand_clear_soon(const CasePtr& c, const InstanceKey& candidate);
    Task<std::optional<Error>> stop_for_good(InstanceKey key);
    Task<void> fence_old(CasePtr c, InstanceKey key, std::shared_ptr<Fence> fence);
    std::optional<std::string> runs_on(const Case& c, const topology::Cluster& cluster, const Fence& fence,
                                       const InstanceKey& candidate) const;
    Task<Stood> stand_off(CasePtr c);
    Task<bool> out_of_the_way(CasePtr c);
    void note_how_it_stands(Case& c, const topology::Cluster& cluster);
    Task<void> look_at_standbys(CasePtr c);
    std::optional<std::string> candidate_waits(const Case& c, const topology::Cluster& cluster,
                                               const InstanceKey& candidate) const;
    Task<bool> cleared(CasePtr c, InstanceKey candidate);
    Task<bool> overtaken(CasePtr c, plan::Choice choice);
    void hold_off(Watched& watched, std::string reason);
    bool may_be_promoted(const Case& c) const;
    bool stopped_in_vain(const topology::Cluster& cluster, const topology::Instance& i) const;
    void release(Case& c);

    // guard.cc: leases, former primaries, and who is started again
    void on_agent(const InstanceKey& key);
    void keep_guard(Watched& watched);
    bool may_grant(const Watched& watched) const;
    bool could_take_over(const topology::Instance& i) const;
    agent::Grant wanted_grant(const Watched& watched, const topology::Instance& primary) const;
    store::Guard narrowed(const Watched& watched, const topology::Instance& primary, const agent::Seen& seen,
                          const agent::Grant& next) const;
    void record_acknowledged(const Watched& watched, const topology::Instance& primary,
                             const agent::Seen& seen);
    void keep_grant(Watched& watched);
    Task<void> give_grant(std::string id, InstanceKey key, agent::Grant grant);
    bool was_asked_to_lead(const store::Recovery& r, const topology::Instance& i) const;
    bool was_replaced(const topology::Cluster& cluster, const topology::Instance& i) const;
    static bool starts_as_standby(const topology::Instance& i, const agent::Seen& seen);
    void end_former_primaries(Watched& watched);
    Task<void> end_former_primary(InstanceKey key, std::string cluster_name);
    std::optional<std::string> reason_to_start(Watched& watched, const topology::Instance& primary,
                                               const agent::Seen& seen);
    bool doubtful(const topology::Cluster& cluster) const;
    const topology::Instance* who_was_to_lead(const topology::Cluster& cluster,
                                              const topology::Instance& primary) const;
    void keep_running(Watched& watched);
    Task<void> start_again(InstanceKey key, std::string cluster_name, std::string why);
    Task<void> let_start(InstanceKey key, std::string cluster_name, std::string why);

    // unseen.cc: one that is kept down, and that nobody who lives saw lead
    plan::MemberWord word_on(const topology::Cluster& cluster, const topology::Instance* i,
                             const agent::Seen* seen) const;
    std::optional<plan::LastLeader> last_leader(const topology::Cluster& cluster) const;
    bool is_known_to_lead(const topology::Cluster& cluster, const topology::Instance& primary) const;
    const topology::Instance* unseen_leader(Watched& watched);

    // drive.cc: a recovery from record to end
    CasePtr open_case(const topology::Cluster& cluster, const Problem& problem, const Request& request,
                      int64_t detection_id);
    Task<Outcome> run_case(CasePtr c, bool check_again);
    Task<Result<void>> run_pre_hooks(CasePtr c);
    Task<ClusterPtr> look_at_everyone(std::string cluster_id);
    bool judged_lately(const Case& c) const;
    bool answers_again(const Case& c) const;
    Task<bool> still_so(CasePtr c);
    Task<bool> still_lost(CasePtr c);
    Task<bool> is_gone(CasePtr c, InstanceKey key);
    Task<bool> passed_over_lives(CasePtr c);
    Task<ClusterPtr> when_started(CasePtr c, InstanceKey key);
    void forgive(Case& c, const InstanceKey& key);
    std::ptrdiff_t remembered(const Case& c, const InstanceKey& key) const;
    Task<bool> over_meanwhile(CasePtr c);
    Task<std::vector<StepOutcome>> unfit_by_now(std::string cluster_id, std::vector<plan::Step> phase,
                                                MonoTime planned);
    Task<void> drive_primary(CasePtr c);
    Task<void> drive_intermediate(CasePtr c);
    Task<void> finish_since_it_is_over(CasePtr c);
    Task<bool> promote_phases(CasePtr c, plan::Plan plan, std::vector<std::vector<plan::Step>>& rest);
    Task<void> pass_over(CasePtr c, InstanceKey candidate);
    Task<bool> promotion_failed(CasePtr c, StepOutcome outcome);
    Task<int> rewire(CasePtr c, std::vector<std::vector<plan::Step>> phases);
    std::optional<analysis::Counts> testimony_on_successor(const topology::Cluster& cluster,
                                                           const Case& c) const;
    Task<bool> died_unfollowed(CasePtr c);
    void note_choice(Case& c, const plan::Choice& choice);
    void promoted(Case& c, const StepOutcome& outcome);
    void lead_clients(const Case& c);
    Task<int> run_post_hooks(CasePtr c);
    Task<int> hooks_of(CasePtr c, std::string name, std::vector<std::string> commands);
    Task<void> finish(CasePtr c, bool success, std::string error);
    Task<void> finish_in_doubt(CasePtr c, InstanceKey asked, std::string error, int64_t started_us = 0);
    void end_detections(const InstanceKey& failed);
    void mark_lost(Case& c);
    void publish_key_values(const Case& c);
    void save(const Case& c);
    void announce_recovery(const Case& c);
    HookFacts facts(const Case& c) const;

    // hung_promotion.cc: a candidate that was asked and does not get on
    plan::Policy policy_of(CasePtr c) const;
    bool another_could_lead(const CasePtr& c, const InstanceKey& key) const;
    Task<std::optional<bool>> replays_on(CasePtr c, InstanceKey key);
    Task<bool> led_or_ended(CasePtr c, StepOutcome outcome);

    // resume.cc: after a restart
    Task<void> resume(store::Recovery record);
    Task<void> finish_intermediate(CasePtr c);
    Task<void> resume_primary(CasePtr c);
    Task<bool> wait_settled(std::string id);
    const topology::Instance* promoted_instance(const topology::Cluster& cluster, const Case& c) const;
    std::vector<InstanceKey> requested_promotions(const Case& c) const;
    std::optional<InstanceKey> outstanding(const topology::Cluster& cluster, const Case& c) const;
    plan::Plan plan_survivors(const topology::Cluster& cluster, const Case& c,
                              const InstanceKey& successor) const;

    // switchover.cc: a planned switchover from the request to its end
    Task<Result<SwitchoverPtr>> survey(SwitchoverRequest request);
    void open_switchover(Switchover& s);
    Task<Outcome> run_switchover(SwitchoverPtr s);
    Task<Result<void>> hooks_before_switchover(SwitchoverPtr s);
    Task<Result<void>> still_possible(SwitchoverPtr s, MonoTime since);
    Task<void> after_promotion(SwitchoverPtr s, std::vector<std::vector<plan::Step>> rest);
    Task<void> finish_switchover(SwitchoverPtr s, std::string error);
    Task<void> end_in_doubt(SwitchoverPtr s, std::string error);
    void mark_lost_in_switchover(Case& c);
    void end_switchover(const std::string& id);

    // switchover_steps.cc: its steps
    std::optional<std::string> interrupted(const Switchover& s) const;
    Task<void> let_go_in_time(SwitchoverPtr s);
    Task<void> lead_back(SwitchoverPtr s);
    Task<void> release_clients(SwitchoverPtr s);
    Task<Result<void>> hold_clients(SwitchoverPtr s, plan::Step step);
    Task<Result<void>> order_clear(InstanceKey key, bool on, milliseconds deadline);
    Task<Result<void>> stop_in_order(SwitchoverPtr s, plan::Step step);
    Task<Result<agent::ControlData>> control_of(InstanceKey key, milliseconds deadline);
    Task<Result<void>> has_received(SwitchoverPtr s, plan::Step step);
    Task<Result<void>> make_standby_of(plan::Step step);
    Task<Result<void>> act_planned(SwitchoverPtr s, plan::Step step);
    Task<StepOutcome> run_planned(SwitchoverPtr s, plan::Step step);
    Task<std::vector<StepOutcome>> run_planned_phase(SwitchoverPtr s, std::vector<plan::Step> steps);
    Task<Reached> up_to_promotion(SwitchoverPtr s, std::vector<std::vector<plan::Step>>& rest);
    void promoted_in_switchover(SwitchoverPtr s);
    Task<Reached> promotion_settled(SwitchoverPtr s, StepOutcome outcome);
    Task<Reached> settle(SwitchoverPtr s, std::string error, MonoTime deadline);
    Task<int> bring_back(SwitchoverPtr s, std::vector<std::vector<plan::Step>> rest);

    // switchover_back.cc: its way back, and a manager that was restarted in it
    Task<Result<void>> start_once(InstanceKey key);
    Task<bool> answers_as_primary(SwitchoverPtr s);
    Task<bool> start_again(SwitchoverPtr s);
    Task<void> undo_switchover(SwitchoverPtr s, std::string why);
    Task<void> standbys_return(SwitchoverPtr s);
    SwitchoverPtr switchover_of(store::Recovery record) const;
    Task<void> resume_switchover(store::Recovery record);
    Task<void> go_on_or_back(SwitchoverPtr s);
    Task<Reached> reached_before_restart(SwitchoverPtr s);

    // schedule.cc
    void audit_schedule(const ScheduledSwitchover& s, const std::string& message);
    void begin_scheduled();
    Task<void> run_scheduled(ScheduledSwitchover s);

    void audit(const std::string& type, const InstanceKey& key, const std::string& cluster,
               const std::string& message);

    Clock& clock_;
    engine::Engine& engine_;
    store::Store& store_;
    Observer& observer_;
    ProcessRunner& processes_;
    agent::Agents& agents_;
    Announce announce_;
    Options options_;
    WarmActors warm_;
    Executor executor_;
    std::shared_ptr<Routers> routers_;
    std::shared_ptr<Rejoiner> rejoiner_;
    std::shared_ptr<SlotKeeper> slots_;
    std::map<std::string, Watched> watched_;
    bool hears_agents_ = false;       ///< one was heard in this life
    std::set<InstanceKey> withheld_;  ///< whose heartbeats get no answer
    MonoTime started_{};
    std::map<int64_t, MonoTime> began_;  ///< of the detections and recoveries that still count
    uint64_t version_ = 0;
    bool stopped_ = false;
};

std::string new_uid(Clock& clock);

}  // namespace baton::recovery
