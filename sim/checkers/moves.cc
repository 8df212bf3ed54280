// In a failover a standby is led only to a server that leads, and whose history it can follow.
#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "sim/checkers/list.h"

namespace baton::sim {
namespace {

/// What a manager that can ask a standby knows of it is not older.
constexpr seconds surely_known{3};

/// Judged when a manager tells a standby to follow somebody. In a recovery of a primary that somebody is out
/// of recovery, except where the journal says that this standby was chosen and first streams what it lacks.
/// What the standby has is not past the point at which the history of that server left it, if the manager
/// could see that since before it decided. Outside of recoveries a history that nobody could read yet is
/// forgiven.
class Moves final : public Checker {
  public:
    explicit Moves(Examined examined) : Checker(examined, moves.name) {}

    void deed(const Server& s, std::string_view verb, const std::string& detail) override {
        if (verb != "follow" || !world().manager_runs()) return;
        const auto& all = world().servers();
        const auto at = std::ranges::find_if(all, [&](const auto& u) { return u->key().text() == detail; });
        if (at == all.end()) return;
        const auto& upstream = **at;
        if (upstream.in_recovery()) {
            if (is_premature(s))
                violated(fmt::format("{} is led to {}, which does not lead", s.key().text(), detail));
        } else if (is_known_to_differ(s, upstream)) {
            violated(fmt::format("{} is led to {}, whose history is another", s.key().text(), detail));
        }
    }

    void journalled(const store::Command& command) override {
        const auto* put = std::get_if<store::PutRecovery>(&command);
        if (put != nullptr) began_.try_emplace(put->recovery.uid, world().now());
    }

    void look() override {
        for (const auto& s : world().servers()) {
            auto& known = known_[s.get()];
            if (!known.is(*s)) known = {s->branch(), s->position(), world().now()};
        }
    }

  private:
    struct Known {
        BranchPtr branch;
        Lsn position;
        MonoTime since{};
        bool is(const Server& s) const { return branch == s.branch() && position == s.position(); }
    };

    /// The step says that `s` was chosen and first streams what it lacks, by whichever of its names.
    bool tells_of_catching_up(const store::RecoveryStep& step, const Server& s) const {
        constexpr std::string_view verb = "chose ";
        if (!step.message.starts_with(verb) || !step.message.contains("first streams")) return false;
        const auto name = step.message.substr(verb.size(), step.message.find(' ', verb.size()) - verb.size());
        const auto key = topology::parse_instance_key(name, 0);
        return key && world().find(*key) == &s;
    }

    bool is_premature(const Server& s) const {
        const auto& record = world().manager().record();
        const auto* r = record.running_recovery(s.system_identifier());
        if (r == nullptr || r->kind != "primary") return false;
        const auto steps = record.steps.find(r->uid);
        return steps == record.steps.end() || std::ranges::none_of(steps->second, [&](const auto& step) {
                   return tells_of_catching_up(step, s);
               });
    }

    bool knows_history_of(const Server& upstream) const {
        const auto topology = world().manager().view()->topology;
        const auto cluster = topology->cluster(upstream.system_identifier());
        return cluster && cluster->history && cluster->history->timeline == upstream.timeline();
    }

    bool is_known_to_differ(const Server& s, const Server& upstream) const {
        const auto at = known_.find(&s);
        if (at == known_.end() || !at->second.is(s) || !truth().held(truth().askable(s), surely_known))
            return false;
        const auto* r = world().manager().record().running_recovery(s.system_identifier());
        if (r == nullptr && !knows_history_of(upstream)) return false;
        const auto began = r != nullptr ? began_.find(r->uid) : began_.end();
        const auto decided = began != began_.end() ? began->second : world().now();
        return decided - at->second.since >= surely_known &&
               !leads_to(s.branch(), s.position(), upstream.branch());
    }

    std::map<std::string, MonoTime> began_;  ///< by uid of the recovery
    std::map<const Server*, Known> known_;
};

}  // namespace

constinit const CheckerInfo moves{
    "moves", "In a failover a standby is led only to a server that leads, and whose history it can follow.",
    [](Examined e) -> std::unique_ptr<Checker> { return std::make_unique<Moves>(e); }};

}  // namespace baton::sim
