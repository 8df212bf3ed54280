#pragma once

#include <map>
#include <set>

#include "base/defect.h"
#include "recovery/executor.h"
#include "recovery/journal.h"
#include "recovery/recovery.h"

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
    std::set<ProblemKey> responding;  ///< a coroutine is dealing with it
    bool recovering = false;          ///< one recovery of a cluster at a time
    bool busy() const { return recovering && !defect("two-recoveries-at-once"); }
    std::map<InstanceKey, MonoTime> receiver_checks;
    std::map<ProblemKey, MonoTime> since;        ///< when it was first seen
    std::map<ProblemKey, Told> reported;         ///< the reason last given for not acting
    std::map<InstanceKey, MonoTime> reattached;  ///< when a stranded standby was last rewired
    std::map<InstanceKey, MonoTime> unjudged;    ///< since when it is not known whether it may follow
    std::map<InstanceKey, std::string> codes;    ///< as last written to the changelog
    std::set<int64_t> hopeless_detections;       ///< a recovery found no way out for them
    std::set<int64_t> forbidden_detections;      ///< a detection hook failed for them
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
};
using CasePtr = std::shared_ptr<Case>;

/// The reason of the downtimes that a recovery begins.
inline constexpr std::string_view lost_in_recovery = "lost-in-recovery";
/// The deed of a journal's step that says whose promotion is in doubt.
inline constexpr std::string_view in_doubt_deed = "in-doubt ";
/// That deed, with when the postmaster had started that was asked (0: unknown).
std::string doubt_about(const InstanceKey& asked, int64_t started_us);
/// It does not remember the request, which is a file that a starting postmaster removes.
bool started_anew(const topology::Instance& i, int64_t started_us);

class Impl final : public Recovery, public std::enable_shared_from_this<Impl> {
  public:
    Impl(Clock& clock, engine::Engine& engine, store::Store& store, Observer& observer,
         ProcessRunner& processes, Announce announce, Options options);

    void start() override;
    void stop() override { stopped_ = true; }
    void set_options(Options options) override { options_ = std::move(options); }
    void on_cluster(const std::string& id, const ClusterPtr& cluster) override;
    std::vector<Problem> problems() const override;
    uint64_t problems_version() const override { return version_; }
    Task<Result<Outcome>> recover(Request request) override;
    Task<Result<Executed>> execute(plan::Plan plan) override;
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

    void audit(const std::string& type, const InstanceKey& key, const std::string& cluster,
               const std::string& message);

    Clock& clock_;
    engine::Engine& engine_;
    store::Store& store_;
    Observer& observer_;
    ProcessRunner& processes_;
    Announce announce_;
    Options options_;
    WarmActors warm_;
    Executor executor_;
    std::map<std::string, Watched> watched_;
    MonoTime started_{};
    std::map<int64_t, MonoTime> began_;  ///< of the detections and recoveries that still count
    uint64_t version_ = 0;
    bool stopped_ = false;
};

std::string new_uid(Clock& clock);

}  // namespace baton::recovery
