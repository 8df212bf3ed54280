// A recovery ends as it says: with a successor that was promoted and whose commits go on, or without one
// where nobody could be promoted.
#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>

#include "sim/agents.h"
#include "sim/checkers/list.h"
#include "sim/checkers/onlooker.h"

namespace baton::sim {
namespace {

/// A connection that is refused is noticed within this.
constexpr milliseconds surely_noticed{500};

/// Judged when the record takes the end of an automatic recovery of a primary.
/// - Success: its successor was promoted since the recovery began (or before it, by an earlier life), and if
/// its
///   commits wait for standbys and the manager could ask it all the time, enough of those that it asks for
///   are there. One that went away while the recovery ran counts as there.
/// - Failure, where the failed server and everybody who was asked to promote himself are dead and the manager
/// can see
///   that: nobody else could be promoted. Could means: no wish, filter, history, lost WAL or synchronous rule
///   speaks against it, it is no replica of another standby, the manager could ask it all the time, and its
///   agent, where it has one, is connected.
class Outcomes final : public Onlooker {
  public:
    explicit Outcomes(Examined examined) : Onlooker(examined, outcomes.name) {}

    void manager_started() override {
        Onlooker::manager_started();
        streamed_.clear();
    }
    void promoted(const Server& s) override { promoted_.insert(&s); }
    /// Sent is enough: whether it arrived nobody knows who gets no answer.
    void promotion_sent(const Server& s) override {
        if (s.in_recovery()) asked_.insert(&s);
    }

    void journalled(const store::Command& command) override {
        const auto* put = std::get_if<store::PutRecovery>(&command);
        if (put == nullptr || put->recovery.kind != "primary" || put->recovery.forced) return;
        const auto& r = put->recovery;
        const auto began = began_.try_emplace(r.uid, world().now()).first->second;
        if (r.state == store::RecoveryState::running || !ended_.insert(r.uid).second) return;
        if (r.state == store::RecoveryState::succeeded) {
            judge_success(r, began);
        } else if (!r.successor) {
            judge_failure(r);
        }
        asked_.clear();
    }

  private:
    void judge_success(const store::Recovery& r, MonoTime began) {
        const auto* successor = r.successor ? world().find(*r.successor) : nullptr;
        if (successor == nullptr || !promoted_.contains(successor)) {
            violated(fmt::format("the recovery of {} has succeeded, and {} was never promoted",
                                 r.failed.text(), r.successor ? r.successor->text() : "nobody"));
        } else if (surely_askable(*successor, world().now() - began) && !successor->in_recovery() &&
                   waits_for_nobody_there(*successor, began)) {
            violated(
                fmt::format("the recovery of {} has succeeded, and commits on {} wait for standbys that it "
                            "does not have",
                            r.failed.text(), successor->key().text()));
        }
    }

    bool waits_for_nobody_there(const Server& successor, MonoTime began) const {
        if (successor.settings.synchronous_commit == "off" ||
            successor.settings.synchronous_commit == "local")
            return false;
        std::vector<StandbyPosition> there;
        for (const auto& s : world().servers()) {
            const auto down = down_.find(s.get());
            const bool gone = down != down_.end() && down->second < began - window();
            const bool leads = !s->in_recovery() && s->running();
            // Who streams is there, whether or not it lets others in; who has another history never will be.
            const bool receives = s->receives_from() == &successor;
            const bool fits = leads_to(s->branch(), s->position(), successor.branch());
            if (s.get() != &successor && (receives || (!gone && !leads && fits)))
                there.push_back({s->conninfo.application_name, {}});
        }
        return !SynchronousNames::parse(successor.settings.synchronous_standby_names).confirmed({}, there);
    }

    void judge_failure(const store::Recovery& r) {
        const auto* failed = world().find(r.failed);
        if (failed == nullptr || !seen_dead(*failed) || story().layout.configuration.contains("PreFailover"))
            return;
        if (!std::ranges::all_of(asked_, [&](const Server* s) { return seen_dead(*s); })) return;
        for (const auto& s : world().servers()) {
            if (!could_be_promoted(*s, *failed)) continue;
            violated(fmt::format("the recovery of {} ended without a successor, and {} could be promoted",
                                 r.failed.text(), s->key().text()));
        }
    }

    bool seen_dead(const Server& s) const {
        const auto at = down_.find(&s);
        return !s.listens() && at != down_.end() && world().now() - at->second > surely_noticed &&
               truth().held(truth().near_manager(s), surely_noticed);
    }

    /// What it has promised to the primary's agent only it can say (docs/fencing.md).
    bool its_agent_is_away(const Server& s) const {
        const auto* agents = world().host_agents();
        if (agents == nullptr) return false;
        const auto* agent = agents->agent_of(s);
        return agent == nullptr || agents->is_cut(s) || !agent->connected();
    }

    bool could_be_promoted(const Server& s, const Server& failed) const {
        if (its_agent_is_away(s)) return false;
        if (asked_.contains(&s) || !s.in_recovery() || !surely_askable(s, window())) return false;
        const bool direct = s.conninfo.hosts.size() == 1 && s.conninfo.hosts[0] == failed.key();
        if (!direct || s.branch() != failed.branch() || !streamed_.contains({&s, &failed})) return false;
        if (s.replay_paused() || s.half_copied() || s.settings.recovery_min_apply_delay_ms > 0) return false;
        if (!failed.settings.synchronous_standby_names.empty() || !s.forbidden.empty()) return false;
        if (failed.has_given_up(s)) return false;
        if (!world().manager_runs()) return false;
        const auto& record = world().manager().record();
        const auto rule = record.promotion_rules.find(s.key());
        const bool wished =
            rule != record.promotion_rules.end() && rule->second.rule == topology::PromotionRule::must_not;
        return !wished && !record.downtimes.contains(s.key());
    }

    void follow() override {
        for (const auto& s : world().servers()) {
            if (s->serves()) {
                down_.erase(s.get());
            } else {
                down_.try_emplace(s.get(), world().now());
            }
            const auto* upstream = s->receives_from();
            if (upstream != nullptr && truth().askable(*s) && truth().askable(*upstream))
                streamed_.insert({s.get(), upstream});
        }
    }

    std::map<std::string, MonoTime> began_;
    std::set<std::string> ended_;
    std::set<const Server*> promoted_, asked_;
    std::map<const Server*, MonoTime> down_;
    std::set<std::pair<const Server*, const Server*>> streamed_;
};

}  // namespace

constinit const CheckerInfo outcomes{
    "outcomes",
    "A recovery ends as it says: with a successor that was promoted and whose commits go on, or without one "
    "where "
    "nobody could be promoted.",
    [](Examined e) -> std::unique_ptr<Checker> { return std::make_unique<Outcomes>(e); }};

}  // namespace baton::sim
