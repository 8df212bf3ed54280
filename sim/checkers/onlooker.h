#pragma once

#include <set>
#include <string>
#include <utility>
#include <vector>

#include "sim/checkers/checker.h"

namespace baton::sim {

/// What checkers of promotions have in common: what a manager could have known, and how old what it acts on
/// may rightly be.
class Onlooker : public Checker {
  public:
    Onlooker(Examined examined, std::string_view name);
    void changed() override {
        update();
        follow();
    }
    void look() override {
        update();
        follow();
    }
    void manager_started() override { life_began_ = world().now(); }

  protected:
    /// The oldest knowledge on which a promotion may rest. A server that answers is asked again after one
    /// poll; the answer may take a probe's deadline on the old session and one on a new session. What was
    /// concluded is acted on while it is fresh (250 ms), and hooks, the journal and a new session to the
    /// candidate come before the request. A manager knows nothing that is older than itself.
    Duration window() const;
    /// For this long, up to now, every question of the manager to `s` would have had its answer soon: it
    /// serves, lets the manager in and shows it everything, and the link loses and delays nothing.
    bool surely_askable(const Server& s, Duration least) const;
    /// For this long a new connection of the manager would have had some answer, a refusal by login included.
    bool surely_answers(const Server& s, Duration least) const;
    /// The open recovery of its cluster, on disk; null: there is none.
    const store::Recovery* open_recovery(const Server& s) const;
    /// What a checker keeps track of itself; called whenever the world may have changed.
    virtual void follow() {}
    /// True once for a life of the manager, a recovery and a server: requests are repeated.
    bool first_ask(const Server& s);
    /// Same, and no operator wants it.
    bool first_automatic_ask(const Server& s);
    /// The server that `r` replaces; null: none that is known.
    const Server* failed_of(const store::Recovery* r) const;
    /// By what its agent has on disk a lease binds `p`, and `x` may be promoted in its place only when it has
    /// ended. Never in stories without agents.
    bool bound_by_lease(const Server& p, const Server& x) const;
    /// In this story the manager's record gets lost, or an old one comes back: it may not know of a lease.
    bool record_gets_lost() const;
    /// `p` writes what the promotion of `x` would fork: the branch of the failed server, or a later one.
    bool forked_by(const Server& p, const Server& x, const store::Recovery* r) const;

  private:
    struct Known {
        Truth::Since askable, answers;
    };
    void update();
    size_t index(const Server& s) const;

    std::vector<Known> known_;
    Duration window_{};
    MonoTime life_began_{};
    std::set<std::pair<std::string, const Server*>> asked_;
    MonoTime asked_in_life_{};
};

/// `elder` is `branch` or one of its ancestors.
bool descends_from(const BranchPtr& branch, const BranchPtr& elder);
std::string ms_text(Duration d);

}  // namespace baton::sim
