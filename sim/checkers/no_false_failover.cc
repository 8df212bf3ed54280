// Nothing is promoted while the primary was alive and reachable by clients and replicas.
#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "sim/checkers/list.h"
#include "sim/checkers/onlooker.h"

namespace baton::sim {
namespace {

/// A lost SYN is sent again after a second, and a connection is made in less than 100 ms.
constexpr milliseconds connects_within{1100};

/// Judged when an automatic recovery first asks a server to promote itself, against every server that writes
/// what this promotion would fork. It is false
/// - while that server takes writes, clients reach it, and a standby that can be asked streams from it, or
/// could (it
///   follows it by its settings, the link is up, slot and history let it, its replay is not paused), all this
///   for the whole window; one that could but does not is given one wal_retrieve_retry_interval more;
/// - while that server answers the manager itself: that it is full, that it refuses the password, while no
///   lock keeps looks waiting that it takes writes, or that it is
///   starting (which it may for PrimaryStartTimeoutSeconds).
class NoFalseFailover final : public Onlooker {
  public:
    explicit NoFalseFailover(Examined examined) : Onlooker(examined, no_false_failover.name) { follow(); }

    void promotion_asked(const Server& x) override {
        if (!first_automatic_ask(x)) return;
        const auto* r = open_recovery(x);
        changed();
        for (const auto& p : world().servers()) {
            if (p->in_recovery() || !forked_by(*p, x, r)) continue;
            if (says_that_it_lives(*p, x)) {
                violated(fmt::format(
                    "{} is asked to promote itself while {} tells the manager itself that it lives, "
                    "and did so for the last {}",
                    x.key().text(), p->key().text(), ms_text(window())));
            }
            if (const auto* s = witness(*p)) {
                violated(fmt::format(
                    "{} is asked to promote itself while {} takes writes and is reached by clients "
                    "and by {}, which can be asked, for the last {} or more",
                    x.key().text(), p->key().text(), s->key().text(), ms_text(window())));
            }
        }
    }

    void look_arrived(const Server& p) override { heard_[&p] = world().now(); }
    void promotion_sent(const Server& x) override { sent_.try_emplace(request(x), world().now()); }
    void manager_started() override {
        Onlooker::manager_started();
        heard_.clear();
        sent_.clear();
    }

  private:
    using Pair = std::pair<const Server*, const Server*>;

    using Request = std::pair<std::string, const Server*>;

    Request request(const Server& x) const {
        const auto* r = open_recovery(x);
        return {r != nullptr ? r->uid : std::string{}, &x};
    }

    /// No lock has kept looks waiting for the window, or one has got through since the lock ended, and before
    /// the first request left: between two polls nobody can know that it ended.
    bool lets_look(const Server& p, const Server& x) const {
        const auto since = unlocked_.find(&p);
        if (since == unlocked_.end()) return false;
        if (world().now() - since->second >= window()) return true;
        const auto heard = heard_.find(&p);
        const auto sent = sent_.find(request(x));
        const auto left = sent == sent_.end() ? world().now() : sent->second;
        return heard != heard_.end() && heard->second >= since->second && heard->second < left;
    }

    bool says_that_it_lives(const Server& p, const Server& x) const {
        if (!surely_answers(p, window()) || !lets_look(p, x)) return false;
        if (p.running()) return p.accepts_writes();
        const auto at = starting_.find(&p);
        return at != starting_.end() && world().now() - at->second < seconds(30);
    }

    const Server* witness(const Server& p) const {
        if (!truth().held(truth().writable(p), window()) || !truth().held(truth().near_clients(p), window()))
            return nullptr;
        for (const auto& s : world().servers()) {
            if (s.get() == &p || !surely_askable(*s, window())) continue;
            if (truth().held(truth().receives(*s, p), window())) return s.get();
            const auto could = could_.find({s.get(), &p});
            const auto wait = milliseconds(s->settings.wal_retrieve_retry_interval_ms) + connects_within;
            if (could == could_.end()) continue;
            const auto least = window() + wait;
            if (truth().held(could->second, least) && truth().held(truth().writable(p), least))
                return s.get();
        }
        return nullptr;
    }

    void follow() override {
        const auto now = world().now();
        for (const auto& p : world().servers()) {
            if (p->looks_blocked()) {
                unlocked_.erase(p.get());
            } else {
                unlocked_.try_emplace(p.get(), now);
            }
            if (p->in_recovery() || !p->listens() || p->running()) {
                starting_.erase(p.get());
            } else {
                starting_.try_emplace(p.get(), now);
            }
            for (const auto& s : world().servers()) {
                if (s == p || !s->in_recovery()) continue;
                if (could_stream(*s, *p)) {
                    could_.try_emplace({s.get(), p.get()}, now);
                } else {
                    could_.erase({s.get(), p.get()});
                }
            }
        }
    }

    bool could_stream(const Server& s, const Server& p) const {
        if (!p.accepts_writes() || !s.running() || s.hung() || s.replay_paused() || !truth().linked(s, p))
            return false;
        if (std::ranges::find(s.conninfo.hosts, p.key()) == s.conninfo.hosts.end()) return false;
        if (!leads_to(s.branch(), s.position(), p.branch()) || s.position() > p.position()) return false;
        const auto& name = s.settings.primary_slot_name;
        if (name.empty()) return true;
        const auto slot = p.slots().find(name);
        return slot != p.slots().end() && slot->second.wal_status != "lost" &&
               (!slot->second.active || s.receives_from() == &p);
    }

    std::map<const Server*, MonoTime> starting_, unlocked_, heard_;
    std::map<Request, MonoTime> sent_;
    std::map<Pair, MonoTime> could_;
};

}  // namespace

constinit const CheckerInfo no_false_failover{
    "no_false_failover",
    "Nothing is promoted while the primary was alive and reachable by clients and replicas.",
    [](Examined e) -> std::unique_ptr<Checker> { return std::make_unique<NoFalseFailover>(e); }};

}  // namespace baton::sim
