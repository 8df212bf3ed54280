// No acknowledged row is lost beyond the policy in force: none that standbys confirmed, and of the others
// none that a standby which could be asked had received.
#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <vector>

#include "sim/agents.h"
#include "sim/checkers/list.h"
#include "sim/checkers/onlooker.h"

namespace baton::sim {
namespace {

/// The first look of an agent that is back.
constexpr milliseconds looks_within{400};

/// What was acknowledged on one branch, by the ends of the commits.
struct Acknowledged {
    struct Confirmed {
        Lsn end;
        MonoTime at;
        bool guarded = false;  ///< its agent was there, and must have stopped it if its lease had ended
    };
    BranchPtr branch;
    std::vector<Lsn> all;
    std::vector<Confirmed> confirmed;  ///< by standbys
    std::optional<MonoTime>
        superseded;      ///< a promotion that forks it, or an ancestor of it, was first asked for
    bool bound = false;  ///< … and a lease bound the server that wrote it then
    std::optional<MonoTime> moved_on;  ///< to another standby, out of everybody's sight
};

/// How much of a branch belongs to a history: nothing of one that is no ancestor.
class History {
  public:
    History(BranchPtr branch, Lsn end) {
        for (; branch; branch = branch->parent) {
            parts_.emplace_back(branch.get(), end);
            end = std::min(end, branch->begins);
        }
    }
    Lsn of(const Branch* branch) const {
        const auto at = std::ranges::find(parts_, branch, &std::pair<const Branch*, Lsn>::first);
        return at == parts_.end() ? Lsn{} : at->second;
    }
    const std::vector<std::pair<const Branch*, Lsn>>& parts() const { return parts_; }

  private:
    std::vector<std::pair<const Branch*, Lsn>> parts_;
};

/// Asynchronous rows: what a standby had received when the promotion was first asked for must be in the
/// history of the promoted one. Counted are standbys that the manager could ask from the window before the
/// request on until it was done, and whose history is that of the failed server (one that had diverged before
/// has nothing to give). Delayed and paused ones count: received is received. Confirmed rows: all must be in
/// the history of the promoted one where its predecessor demanded confirmation when it was lost, and of the
/// leader at the end. Given up are only those that were lost in a failover of a server which demanded none
/// any more (the synchronous policy had been relaxed, and the rule above holds for them), and those that a
/// former primary with FIRST (a rule that moves on to the next standby) acknowledged after the promotion was
/// asked for: without fencing nobody can stop it. Where a lease bound it and its agent was there they count.
/// Given up are also those that it acknowledged after it lost the slot of a standby while it was out of the
/// manager's sight and of that standby's: it moves on at once, and a receiver that has timed out long ago
/// does not tell.
class NoLostRows final : public Onlooker {
  public:
    explicit NoLostRows(Examined examined) : Onlooker(examined, no_lost_rows.name) {}

    void acknowledged(const Server& server, const Row& row, bool by_standbys) override {
        auto& on = acknowledged_on(server.branch());
        on.all.push_back(row.end);
        if (!by_standbys) return;
        const auto* agents = world().host_agents();
        const bool guarded = agents != nullptr && agents->present(server, looks_within);
        on.confirmed.push_back({row.end, world().now(), guarded});
    }

    void slot_lost(const Server& p, const std::string& slot) override {
        auto& links = world().network();
        if (p.in_recovery() || links.between("manager", p.key().host) == Link::up) return;
        for (const auto& s : world().servers()) {
            const bool hidden = links.between(s->key().host, p.key().host) != Link::up;
            auto& moved_on = acknowledged_on(p.branch()).moved_on;
            if (hidden && s->settings.primary_slot_name == slot && !moved_on) moved_on = world().now();
        }
    }

    void promotion_asked(const Server& x) override {
        if (!first_automatic_ask(x)) return;
        const auto* r = open_recovery(x);
        const auto* failed = failed_of(r);
        Asked asked{.at = world().now(),
                    .window = window(),
                    .lineage = failed != nullptr ? failed->branch() : x.branch()};
        asked.synchronous = failed != nullptr && demands_confirmation(*failed);
        acknowledged_on(asked.lineage);
        const bool bound = failed != nullptr && bound_by_lease(*failed, x) && !record_gets_lost();
        for (auto& on : rows_) {
            if (on.superseded || !descends_from(on.branch, asked.lineage)) continue;
            on.superseded = asked.at;
            on.bound = bound && on.branch == asked.lineage;
        }
        for (const auto& s : world().servers()) {
            if (s.get() == &x || !s->in_recovery() || !surely_askable(*s, asked.window)) continue;
            if (!leads_to(s->branch(), s->position(), asked.lineage)) continue;
            asked.holders.push_back({s.get(), s->branch(), s->position()});
        }
        asked_[&x] = std::move(asked);
    }

    void promoted(const Server& x) override {
        const auto node = asked_.extract(&x);
        if (!node) return;
        const auto& asked = node.mapped();
        const History kept(x.branch(), x.position());
        for (const auto& h : asked.holders) {
            if (surely_askable(*h.server, world().now() - asked.at + asked.window)) look_for_lost(x, h, kept);
        }
        for (auto& on : rows_) {
            const auto is_lost = [&](const auto& row) { return row.end > kept.of(on.branch.get()); };
            if (asked.synchronous && descends_from(asked.lineage, on.branch)) {
                tell(on,
                     std::ranges::count_if(on.confirmed,
                                           [&](const auto& row) {
                                               return is_lost(row) && row.at <= asked.at &&
                                                      !unstoppable(on, row);
                                           }),
                     "the promotion of " + x.key().text());
            }
            std::erase_if(on.confirmed, is_lost);
        }
    }

    void at_end() override {
        const auto* leader = world().leader();
        if (leader == nullptr) return;
        const History kept(leader->branch(), leader->position());
        for (const auto& on : rows_) {
            tell(on,
                 std::ranges::count_if(on.confirmed,
                                       [&](const auto& row) {
                                           return row.end > kept.of(on.branch.get()) && !unstoppable(on, row);
                                       }),
                 "the end");
        }
    }

  private:
    struct Holder {
        const Server* server;
        BranchPtr branch;
        Lsn position;
    };
    struct Asked {
        MonoTime at{};
        Duration window{};
        BranchPtr lineage;
        bool synchronous = false;
        std::vector<Holder> holders{};
    };

    /// Acknowledged by a former primary after somebody was promoted in its place, or after it moved on out of
    /// sight: only fencing could prevent it.
    static bool unstoppable(const Acknowledged& on, const Acknowledged::Confirmed& row) {
        const bool fenced = on.bound && row.guarded;
        return (on.superseded && row.at > *on.superseded && !fenced) ||
               (on.moved_on && row.at > *on.moved_on);
    }

    Acknowledged& acknowledged_on(const BranchPtr& branch) {
        // Rows come in runs.
        if (last_ < rows_.size() && rows_[last_].branch == branch) return rows_[last_];
        const auto at = std::ranges::find(rows_, branch, &Acknowledged::branch);
        last_ = static_cast<size_t>(at - rows_.begin());
        if (at == rows_.end()) rows_.push_back({.branch = branch});
        return rows_[last_];
    }

    static bool demands_confirmation(const Server& s) {
        const auto& settings = s.settings;
        return !settings.synchronous_standby_names.empty() && settings.synchronous_commit != "off" &&
               settings.synchronous_commit != "local";
    }

    void look_for_lost(const Server& x, const Holder& holder, const History& kept) {
        ptrdiff_t lost = 0;
        for (const auto& [branch, received] : History(holder.branch, holder.position).parts()) {
            const auto at = std::ranges::find(rows_, branch, [](const auto& on) { return on.branch.get(); });
            if (at == rows_.end()) continue;
            lost += std::ranges::count_if(at->all, [&, from = kept.of(branch), to = received](Lsn end) {
                return end > from && end <= to;
            });
        }
        if (lost == 0) return;
        violated(fmt::format(
            "{} is promoted without {} acknowledged row{} that {}, which could be asked, had received",
            x.key().text(), lost, lost == 1 ? "" : "s", holder.server->key().text()));
    }

    void tell(const Acknowledged& on, ptrdiff_t lost, const std::string& when) {
        if (lost == 0) return;
        violated(fmt::format("{} row{} of timeline {} that standbys had confirmed {} missing after {}", lost,
                             lost == 1 ? "" : "s", on.branch->timeline, lost == 1 ? "is" : "are", when));
    }

    std::vector<Acknowledged> rows_;
    size_t last_ = 0;
    std::map<const Server*, Asked> asked_;
};

}  // namespace

constinit const CheckerInfo no_lost_rows{
    "no_lost_rows",
    "No acknowledged row is lost beyond the policy in force: none that standbys confirmed, and of the others "
    "none "
    "that a standby which could be asked had received.",
    [](Examined e) -> std::unique_ptr<Checker> { return std::make_unique<NoLostRows>(e); }};

}  // namespace baton::sim
