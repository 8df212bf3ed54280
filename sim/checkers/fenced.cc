// Where every member has an agent and a lease was in force, two servers of one cluster never acknowledge
// writes at the same moment.
#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "sim/agents.h"
#include "sim/checkers/list.h"
#include "sim/checkers/onlooker.h"

namespace baton::sim {
namespace {

/// An agent that was away freezes or ends its server this soon after it is back.
constexpr milliseconds comes_to_itself{1300};
/// The first look of an agent that is back.
constexpr milliseconds looks_within{400};
/// After this with nothing in its way an agent has a session with the manager again: its pauses grow to two
/// seconds, and a connection that is lost is given up after twenty.
constexpr milliseconds connects_again{25000};
/// From a start that nobody allowed to its end.
constexpr milliseconds ends_within{700};

/// Judged only in stories with agents.
/// - A commit that is acknowledged by a server beside another one that an automatic recovery has promoted in
/// its
///   place. Excused (docs/fencing.md, "What is not covered"): no lease was in force at the old primary when
///   the other was asked; its agent is not there, is stopped, or was so a moment ago; the manager's record
///   was lost or is an old one.
/// - A lease that ends although the manager was there, in reach and let the agent in, with no recovery open,
/// or
///   although all members of L were in reach and their agents watched; excused while clocks of the link are
///   slow: packets were lost or late.
/// - A server that is held, by what is on its agent's disk, and runs.
class Fenced final : public Onlooker {
  public:
    explicit Fenced(Examined examined) : Onlooker(examined, fenced.name), agents_(world().host_agents()) {
        follow();
    }

    void promotion_asked(const Server& x) override {
        if (agents_ == nullptr || !x.in_recovery()) return;
        const bool automatic = first_automatic_ask(x);
        auto& asked = asked_[&x];
        for (const auto& p : world().servers()) {
            if (p.get() == &x || p->in_recovery()) continue;
            const bool judged = automatic && bound_by_lease(*p, x) && !forgot_;
            if (judged) {
                asked.insert(p.get());
            } else {
                asked.erase(p.get());
            }
        }
    }

    void acknowledged(const Server& p, const Row& row, bool /*by_standbys*/) override {
        if (agents_ == nullptr) return;
        for (const auto& [x, beside] : asked_) {
            if (x == &p || x->in_recovery() || !x->running() || !beside.contains(&p)) continue;
            if (x->timeline() <= p.timeline() || !agents_->present(p, looks_within)) continue;
            violated(
                fmt::format("{} acknowledges row {} beside {}, which was promoted in its place although a "
                            "lease was in force",
                            p.key().text(), row.id, x->key().text()));
        }
    }

    void lease_ended(const Server& p) override {
        if (agents_ == nullptr || !p.running()) return;
        const auto& grant = agents_->kept(p).grant;
        const bool quiet = !agents_->is_cut(p) && open_recovery(p) == nullptr && calm(manager_, &p) &&
                           world().manager_runs() && agents_->watches(p, connects_again);
        if (quiet) {
            violated(fmt::format("the lease of {} ends although the manager is in reach", p.key().text()));
            return;
        }
        const auto vouches = [&](const agent::Member& m) {
            const auto* s = world().find(m.key);
            return s != nullptr && s->running() && s->in_recovery() && agents_->watches(*s, seconds(3)) &&
                   agents_->agent_of(*s)->guard().kept().clear_until == MonoTime{} && calm(peers_[s], &p);
        };
        if (!grant.promotable.empty() && agents_->watches(p, seconds(3)) &&
            std::ranges::all_of(grant.promotable, vouches))
            violated(fmt::format("the lease of {} ends although everybody in L is in reach", p.key().text()));
    }

    void manager_started() override {
        Onlooker::manager_started();
        for (auto& [s, since] : manager_)
            since.reset();
        // Whoever gave it back an old record, or none, has said so.
        forgot_ = forgot_ || record_gets_lost();
    }

    void follow() override {
        if (agents_ == nullptr) return;
        const auto now = world().now();
        auto& network = world().network();
        const auto keep = [now](std::optional<MonoTime>& since, bool holds) {
            if (!holds) {
                since.reset();
            } else if (!since) {
                since = now;
            }
        };
        for (const auto& p : world().servers()) {
            const auto& name = p->key().host;
            keep(manager_[p.get()],
                 world().manager_runs() && network.clear(name, "manager", milliseconds(50)));
            for (const auto& s : world().servers()) {
                if (s != p)
                    keep(peers_[s.get()][p.get()], network.clear(s->key().host, name, milliseconds(50)));
            }
            const bool held = agents_->kept(*p).hold != topology::Hold::none && p->listens() &&
                              agents_->watches(*p, comes_to_itself) && !orders(*p);
            keep(held_[p.get()], held);
        }
    }

    void look() override {
        Onlooker::look();
        for (const auto& [p, since] : held_) {
            if (since && world().now() - *since > ends_within)
                violated(fmt::format("{} is held by its agent, and runs", p->key().text()));
        }
    }

  private:
    using Since = std::map<const Server*, std::optional<MonoTime>>;

    bool calm(const Since& since, const Server* p) const {
        const auto at = since.find(p);
        if (at == since.end() || !at->second) return false;
        return world().now() - *at->second >= connects_again;
    }
    /// Its agent itself is about to start it.
    bool orders(const Server& p) const {
        const auto* agent = agents_->agent_of(p);
        return agent == nullptr || agent->guard().deed() != host::Deed::none;
    }

    HostAgents* agents_;
    std::map<const Server*, std::set<const Server*>>
        asked_;  ///< who was asked, and who bound by a lease led then
    bool forgot_ = false;
    Since manager_;
    std::map<const Server*, Since> peers_;
    Since held_;
};

}  // namespace

constinit const CheckerInfo fenced{
    "fenced",
    "Where every member has an agent and a lease was in force, two servers of one cluster never acknowledge "
    "writes at the same moment.",
    [](Examined e) -> std::unique_ptr<Checker> { return std::make_unique<Fenced>(e); }};

}  // namespace baton::sim
