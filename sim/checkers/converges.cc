// After faults end, within a bound of virtual time, the cluster has one primary, everyone reachable follows
// it, and no recovery is open.
#include <fmt/format.h>

#include <algorithm>
#include <span>

#include "sim/checkers/converged.h"
#include "sim/checkers/list.h"

namespace baton::sim {
namespace {

using analysis::Code;

/// The cluster as it truly is, against the manager's view of it.
class Picture {
  public:
    explicit Picture(World& world) : world_(world) {
        for (const auto& s : world_.servers()) {
            const bool newer = leader_ == nullptr || s->timeline() > leader_->timeline();
            if (s->serves() && !s->in_recovery() && newer) leader_ = s.get();
        }
    }

    std::string first_flaw() {
        if (!world_.manager_runs()) return "no manager runs";
        view_ = world_.manager().view();
        if (auto flaw = of_record(); !flaw.empty()) return flaw;
        if (leader_ == nullptr || !leader_->accepts_writes()) return "nobody leads and takes writes";
        for (const auto& s : world_.servers()) {
            if (auto flaw = of_view(*s); !flaw.empty()) return s->key().text() + " " + flaw;
            if (auto flaw = of_place(*s); !flaw.empty()) return s->key().text() + " " + flaw;
        }
        return {};
    }

  private:
    std::string of_record() const {
        const auto& recoveries = world_.manager().record().recoveries;
        const auto open = std::ranges::find_if(
            recoveries, [](const auto& r) { return r.second.state == store::RecoveryState::running; });
        return open == recoveries.end() ? std::string{} : fmt::format("recovery {} is open", open->first);
    }

    /// By its name, or by an address where it was found under that.
    topology::InstancePtr shown(const Server& s) const {
        if (const auto by_name = view_->topology->find_instance(s.key())) return by_name;
        for (const auto& [id, cluster] : view_->topology->clusters) {
            for (const auto& instance : cluster->instances) {
                if (world_.find(instance->key) == &s) return instance;
            }
        }
        return nullptr;
    }

    /// Roles, reach and edges as the manager shows them.
    std::string of_view(const Server& s) const {
        const auto seen = shown(s);
        if (!seen) return "is not known to the manager";
        const bool up = s.serves();
        if (seen->health.ok() != up)
            return up ? "is up, and the manager says it is not" : "is taken to be up";
        if (!up) return {};
        if (seen->is_primary() == s.in_recovery()) return "is shown in a role that it does not have";
        if (!s.in_recovery()) return {};
        const auto follows = s.streams_from().value_or(s.conninfo.hosts.at(0));
        if (seen->upstream && world_.find(follows) == world_.find(*seen->upstream)) return {};
        // One that looks for the primary itself follows nobody in particular until it has found it.
        if (!s.streaming() && s.conninfo.hosts.size() > 1) return {};
        return fmt::format("follows {}, and is shown below {}", follows.text(),
                           seen->upstream ? seen->upstream->text() : "nobody");
    }

    std::string of_place(const Server& s) const {
        if (&s == leader_ || !s.serves()) return {};
        if (!s.in_recovery()) {
            if (is_reported(s.key(), std::array{Code::stale_primary, Code::split_brain})) return {};
            return "is out of recovery beside the leader, and that is not reported";
        }
        if (follows_leader(s)) return {};
        const auto why = cannot_follow(s);
        if (why.empty()) return "does not stream from the leader, and nothing prevents it";
        if (reported(s)) return {};
        return fmt::format("does not stream from the leader ({}), and that is not reported", why);
    }

    bool follows_leader(const Server& s) const {
        const Server* at = &s;
        for (size_t i = 0; i < world_.servers().size() && at != nullptr; ++i) {
            if (at == leader_) return s.branch() == leader_->branch();
            at = at->receives_from();
        }
        return false;
    }

    /// Why no manager without agents can make it follow.
    /// `above`: how many servers stand between it and the one that was asked about (standbys may stand in a
    /// circle).
    std::string cannot_follow(const Server& s, size_t above = 0) const {
        if (above > world_.servers().size()) return "it follows its own replica";
        if (!leads_to(s.branch(), s.position(), leader_->branch())) return "its history is another";
        if (s.replay_paused()) return "its replay is paused";
        if (s.forbidden.contains("follow")) return "the manager may not move it";
        const auto* upstream = upstream_of(s);
        if (upstream == nullptr) return "its upstream is not known";
        const auto slot = upstream->slots().find(s.settings.primary_slot_name);
        if (slot != upstream->slots().end() && slot->second.wal_status == "lost")
            return "the WAL of its slot is lost";
        if (upstream != leader_ && !cannot_follow_at_all(*upstream, above + 1).empty())
            return "its upstream does not follow";
        return {};
    }
    std::string cannot_follow_at_all(const Server& s, size_t above) const {
        if (!s.serves()) return "it is down";
        if (!s.in_recovery()) return "it leads another history";
        return follows_leader(s) ? std::string{} : cannot_follow(s, above);
    }

    const Server* upstream_of(const Server& s) const {
        const bool finds_leader =
            leader_ != nullptr && s.conninfo.finds_primary_itself() &&
            std::ranges::find(s.conninfo.hosts, leader_->key()) != s.conninfo.hosts.end();
        if (finds_leader && !s.streaming()) return leader_;
        const auto at = std::ranges::find_if(world_.servers(), [&](const auto& u) {
            return std::ranges::find(s.conninfo.hosts, u->key()) != s.conninfo.hosts.end();
        });
        return at == world_.servers().end() ? nullptr : at->get();
    }

    bool is_reported(const topology::InstanceKey& name, std::span<const Code> codes) const {
        const auto known = shown(*world_.find(name));
        return known && std::ranges::any_of(*view_->problems, [&](const analysis::Problem& p) {
                   return p.instance == known->key && std::ranges::find(codes, p.code) != codes.end();
               });
    }

    /// By a problem of its own, by one of its upstream's that says who does not receive, or because what is
    /// above it is.
    bool reported(const Server& s, size_t hops = 0) const {
        constexpr std::array own{Code::replica_diverged, Code::slot_wal_lost, Code::replay_paused,
                                 Code::stranded_standby, Code::missing_privilege};
        constexpr std::array above{Code::standby_not_replicating,
                                   Code::all_standbys_not_replicating,
                                   Code::all_intermediate_standbys_not_replicating,
                                   Code::slot_wal_lost,
                                   Code::stale_primary,
                                   Code::split_brain,
                                   Code::dead_intermediate_primary,
                                   Code::dead_primary_and_some_standbys};
        if (is_reported(s.key(), own)) return true;
        const auto* upstream = upstream_of(s);
        if (upstream == nullptr || hops > world_.servers().size()) return false;
        const bool through = upstream != leader_ && s.receives_from() == upstream;
        return is_reported(upstream->key(), above) || (through && reported(*upstream, hops + 1));
    }

    World& world_;
    const Server* leader_ = nullptr;  ///< of those that are there: a newer one may be gone for good
    control::ViewPtr view_;
};

class Converges final : public Checker {
  public:
    explicit Converges(Examined examined) : Checker(examined, converges.name) {}
    void at_end() override {
        if (const auto flaw = unsettled(world()); !flaw.empty()) violated(flaw);
    }
};

}  // namespace

std::string unsettled(World& world) {
    return Picture(world).first_flaw();
}

constinit const CheckerInfo converges{
    "converges",
    "After faults end, within a bound of virtual time, the cluster has one primary, everyone reachable "
    "follows it, and no recovery is open.",
    [](Examined e) -> std::unique_ptr<Checker> { return std::make_unique<Converges>(e); }};

}  // namespace baton::sim
