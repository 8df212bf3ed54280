// Two servers of one cluster never both acknowledge writes that survive on different branches because of an
// action of Baton's while a replica was still receiving.
#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "sim/checkers/list.h"
#include "sim/checkers/onlooker.h"

namespace baton::sim {
namespace {

/// Judged when an automatic recovery first asks a server to promote itself. Without fencing a second history
/// cannot be ruled out; what can is that it begins although
/// - a standby that could be asked was receiving from a server that writes, for all of the window, or
/// - another server that was asked before runs and leads, or may still come to lead.
/// Left out: who was asked before and may not promote itself (no privilege), whom an operator has
/// acknowledged, the successor of a recovery that ended well (it can fail like any other primary), and
/// requests of which the record that the manager was given back says nothing.
/// How long the manager waits for a receiver that it has made to reconnect.
constexpr milliseconds receiver_returns_within{1250};

/// From the last look to the request: the journal is written and a session may have to be opened.
constexpr milliseconds journal_and_login{250};

class OneHistory final : public Onlooker {
  public:
    explicit OneHistory(Examined examined) : Onlooker(examined, one_history.name) {}

    void promotion_asked(const Server& x) override {
        if (first_automatic_ask(x)) {
            look_for_receivers(x, open_recovery(x));
            look_for_others_asked(x, open_recovery(x));
        }
        if (x.in_recovery() && !x.forbidden.contains("promote")) asked_.insert(&x);
    }

    void follow() override {
        for (const auto& s : world().servers()) {
            auto& until = refused_until_[s.get()];
            if (refused_now(*s)) {
                until = MonoTime::max();
            } else if (until == MonoTime::max()) {
                until = world().now();
            }
        }
        std::erase_if(asked_, [](const auto& a) { return !a->running(); });
        for (auto& [s, i] : interrupted_) {
            const bool receives = s->receives_from() == i.from;
            i.back = i.back || (i.gone && receives);
            i.gone = i.gone || !receives;
        }
    }

    /// What the manager itself interrupts is no loss, for as long as it has to wait for the receiver.
    void deed(const Server& s, std::string_view verb, const std::string& /*detail*/) override {
        const auto* from = s.receives_from();
        if (verb != "restart_receiver" || from == nullptr) return;
        interrupted_[&s] = {.from = from, .since = truth().receives(s, *from), .at = world().now()};
    }

    void journalled(const store::Command& command) override {
        const auto* put = std::get_if<store::PutRecovery>(&command);
        if (std::holds_alternative<store::Acknowledge>(command)) asked_.clear();
        if (put == nullptr || put->recovery.state != store::RecoveryState::succeeded) return;
        std::erase_if(asked_, [&](const auto& a) {
            return put->recovery.successor && world().find(*put->recovery.successor) == a;
        });
    }

    void manager_started() override {
        Onlooker::manager_started();
        std::erase_if(asked_, [this](const auto& a) { return !on_record(*a); });
    }

  private:
    void look_for_receivers(const Server& x, const store::Recovery* r) {
        for (const auto& p : world().servers()) {
            if (!p->accepts_writes() || !forked_by(*p, x, r)) continue;
            for (const auto& s : world().servers()) {
                if (!truth().held(received_since(*s, *p), window()) || !surely_askable(*s, window()))
                    continue;
                violated(fmt::format(
                    "{} is asked to promote itself while {}, which can be asked, receives from {}, "
                    "which takes writes, and did so for the last {}",
                    x.key().text(), s->key().text(), p->key().text(), ms_text(window())));
            }
        }
    }

    Truth::Since received_since(const Server& s, const Server& p) const {
        const auto at = interrupted_.find(&s);
        const bool lost_again = at != interrupted_.end() && at->second.back && s.receives_from() != &p;
        const bool waits = at != interrupted_.end() && !lost_again && at->second.from == &p &&
                           world().now() - at->second.at < receiver_returns_within && truth().linked(s, p) &&
                           truth().held(truth().writable(p), window());
        return waits ? at->second.since : truth().receives(s, p);
    }

    void look_for_others_asked(const Server& x, const store::Recovery* r) {
        const auto* failed = failed_of(r);
        for (const auto& other : world().servers()) {
            if (!asked_.contains(other.get()) || other.get() == &x || !other->running()) continue;
            const bool leads = !other->in_recovery();
            if (leads && descends_from(x.branch(), other->branch())) continue;
            // The two had parted before: this promotion goes on with one of them.
            const bool parted = failed != nullptr && !descends_from(failed->branch(), other->branch()) &&
                                !descends_from(other->branch(), failed->branch());
            if (rejected_by_a_firewall(*other) || (leads && parted)) continue;
            violated(fmt::format("{} is asked to promote itself although {} was asked before and {}",
                                 x.key().text(), other->key().text(), leads ? "leads" : "may still do so"));
        }
    }

    bool refused_now(const Server& s) const {
        return world().network().between("manager", s.key().host) == Link::refused;
    }

    /// It answers the manager with RST in the server's place: without an agent that is what death looks like,
    /// and a candidate has no standbys that could tell. What ended after the last look cannot be known when
    /// the request goes out.
    bool rejected_by_a_firewall(const Server& s) const {
        const auto at = refused_until_.find(&s);
        const bool lately = at != refused_until_.end() && at->second != MonoTime{} &&
                            (at->second == MonoTime::max() || world().now() - at->second < journal_and_login);
        return refused_now(s) || lately;
    }

    bool on_record(const Server& s) const {
        return std::ranges::any_of(world().disk().steps, [&](const auto& of) {
            return std::ranges::any_of(of.second,
                                       [&](const auto& step) { return tells_of_promotion(step, s); });
        });
    }

    struct Interrupted {
        const Server* from = nullptr;
        Truth::Since since;
        MonoTime at{};
        bool gone = false;  ///< it has ended
        bool back = false;  ///< and received again: what ends it after that is not the manager
    };
    std::set<const Server*> asked_;
    std::map<const Server*, MonoTime> refused_until_;
    std::map<const Server*, Interrupted> interrupted_;
};

}  // namespace

constinit const CheckerInfo one_history{
    "one_history",
    "Two servers of one cluster never both acknowledge writes that survive on different branches because of "
    "an "
    "action of Baton's while a replica was still receiving.",
    [](Examined e) -> std::unique_ptr<Checker> { return std::make_unique<OneHistory>(e); }};

}  // namespace baton::sim
