// Every action is explained: a journal entry with its reason exists before each irreversible step.
#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>

#include "sim/checkers/list.h"

namespace baton::sim {
namespace {

/// What was decided on may be on its way while the reason goes.
constexpr seconds on_its_way{2};
/// The deadlines of the steps that lead a standby somewhere.
constexpr seconds leads_for{30};

/// A promotion is asked for only while the record on disk has an open recovery of that cluster with a reason,
/// and in it the step that names this deed. All other deeds can be undone. For them the record (which the
/// disk has within milliseconds) says why, no later than the deed: an open recovery of that cluster, or for a
/// standby that is led back or whose receiver is tried, a problem that was noted, and not ended before the
/// deed can have been on its way; for a slot that is kept for a member, that it is one.
class Explained final : public Checker {
  public:
    explicit Explained(Examined examined) : Checker(examined, explained.name) { recall(); }

    void promotion_asked(const Server& s) override {
        const auto& disk = world().disk();
        const auto* r = disk.running_recovery(s.system_identifier());
        if (r == nullptr) {
            violated(fmt::format("{} is asked to promote itself, and no recovery is open on disk",
                                 s.key().text()));
            return;
        }
        if (r->description.empty() || r->code.empty())
            violated(
                fmt::format("{} is asked to promote itself in a recovery without a reason", s.key().text()));
        const auto deed = "promote " + s.key().text();
        const auto steps = disk.steps.find(r->uid);
        const bool told =
            steps != disk.steps.end() && std::ranges::any_of(steps->second, [&](const auto& step) {
                return tells_of_promotion(step, s) && !step.message.empty();
            });
        if (!told)
            violated(fmt::format("{} is asked to promote itself before that is on disk", s.key().text()));
    }

    void deed(const Server& s, std::string_view verb, const std::string& detail) override {
        if (open_.contains(s.system_identifier())) return;
        const bool of_standby =
            verb == "follow" || verb == "restart_receiver" || verb == "create_slot" || verb == "drop_slot";
        const bool in_trouble = !troubled_.empty() || world().now() - trouble_ended_ < on_its_way;
        if (of_standby && in_trouble) return;
        if (verb.ends_with("_slot") && kept_for_members_.contains({world().find(s.key()), detail})) return;
        if (of_standby && led_at_ && world().now() - *led_at_ < leads_for) return;
        violated(fmt::format("{} {} on {}, and the record does not say why", verb, detail, s.key().text()));
    }

    void journalled(const store::Command& command) override {
        if (const auto* put = std::get_if<store::PutRecovery>(&command)) {
            note(put->recovery);
        } else if (const auto* change = std::get_if<store::AddAnalysisChange>(&command)) {
            note(change->change);
        } else if (const auto* audit = std::get_if<store::AddAudit>(&command)) {
            if (audit->entry.type == "reattach-replica" || audit->entry.type == "rejoin-begin")
                led_at_ = world().now();
        } else if (const auto* slot = std::get_if<store::PutMemberSlot>(&command)) {
            kept_for_members_.insert({world().find(slot->slot.holder), slot->slot.name});
        }
    }

    void manager_started() override { recall(); }

  private:
    void note(const store::Recovery& r) {
        if (r.state == store::RecoveryState::running) {
            open_[r.cluster_id] = r.id;
        } else if (const auto at = open_.find(r.cluster_id); at != open_.end() && at->second == r.id) {
            open_.erase(at);
        }
    }

    void note(const store::AnalysisChange& change) {
        if (change.codes == "NoProblem,") {
            if (troubled_.erase(change.instance) > 0) trouble_ended_ = world().now();
        } else {
            troubled_.insert(change.instance);
        }
    }

    /// What was only in memory went with the process; what is on disk is what the next one begins with.
    void recall() {
        open_.clear();
        led_at_.reset();
        for (const auto& [id, r] : world().disk().recoveries)
            note(r);
        for (const auto& [key, changes] : world().disk().analysis_changes) {
            if (!changes.empty()) note(changes.back());
        }
    }

    std::map<std::string, int64_t> open_;
    std::set<topology::InstanceKey> troubled_;
    /// Slots that the record calls the manager's own: made where a standby may need them.
    std::set<std::pair<const Server*, std::string>> kept_for_members_;
    MonoTime trouble_ended_{};
    std::optional<MonoTime> led_at_;  ///< an audit entry says which standby is led where it belongs
};

}  // namespace

constinit const CheckerInfo explained{
    "explained",
    "Every action is explained: a journal entry with its reason exists before each irreversible step.",
    [](Examined e) -> std::unique_ptr<Checker> { return std::make_unique<Explained>(e); }};

}  // namespace baton::sim
