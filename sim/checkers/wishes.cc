// Nothing is promoted against a wish that was declared: must_not, a delayed or a paused standby.
#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "sim/checkers/list.h"
#include "sim/checkers/onlooker.h"

namespace baton::sim {
namespace {

/// Judged when an automatic recovery first asks a server to promote itself. A pause that is younger than what
/// the manager may rightly not know of yet is forgiven; a rule that went with a lost record, too.
class Wishes final : public Onlooker {
  public:
    explicit Wishes(Examined examined) : Onlooker(examined, wishes.name) {}

    void promotion_asked(const Server& x) override {
        if (!first_automatic_ask(x)) return;
        const auto& rules = world().disk().promotion_rules;
        const auto rule = rules.find(x.key());
        if (rule != rules.end() && !expires_early() && rule->second.rule == topology::PromotionRule::must_not)
            violated(fmt::format("{} is asked to promote itself against its rule must_not", x.key().text()));
        if (x.settings.recovery_min_apply_delay_ms > 0) {
            violated(fmt::format("{} is asked to promote itself though it is delayed by {} ms",
                                 x.key().text(), x.settings.recovery_min_apply_delay_ms));
        }
        const auto paused = paused_.find(&x);
        if (x.replay_paused() && paused != paused_.end() && world().now() - paused->second > window())
            violated(
                fmt::format("{} is asked to promote itself though its replay was paused", x.key().text()));
    }

  private:
    /// A rule expires at a date, and a wall clock that jumps comes to it sooner.
    bool expires_early() const {
        return std::ranges::any_of(story().faults,
                                   [](const Fault& f) { return f.kind == FaultKind::jump_wall; });
    }

    void follow() override {
        for (const auto& s : world().servers()) {
            if (s->replay_paused()) {
                paused_.try_emplace(s.get(), world().now());
            } else {
                paused_.erase(s.get());
            }
        }
    }

    std::map<const Server*, MonoTime> paused_;
};

}  // namespace

constinit const CheckerInfo wishes{
    "wishes",
    "Nothing is promoted against a wish that was declared: must_not, a delayed or a paused standby.",
    [](Examined e) -> std::unique_ptr<Checker> { return std::make_unique<Wishes>(e); }};

}  // namespace baton::sim
