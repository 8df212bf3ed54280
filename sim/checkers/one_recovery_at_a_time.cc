// No recovery loop, no two recoveries of one cluster open at once, block periods honoured.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <map>
#include <set>

#include "sim/checkers/list.h"

namespace baton::sim {
namespace {

constexpr size_t asks_per_second =
    40;  ///< the engine repeats its request every 50 ms, and at once in a new slice
constexpr int clock_error_percent = 1;
/// Three polls, less the error of a clock.
constexpr milliseconds start_delay{2970};

/// From the commands as they take their places in the record. Time is the world's, whatever a manager's
/// clocks say. Not held against a manager: what a record that was lost, or that is an old one, does not tell
/// it.
class OneRecovery final : public Checker {
  public:
    explicit OneRecovery(Examined examined)
        : Checker(examined, one_recovery_at_a_time.name), life_began_(world().now() - seconds(60)) {}

    void journalled(const store::Command& command) override {
        if (const auto* put = std::get_if<store::PutRecovery>(&command)) {
            note(put->recovery);
        } else if (const auto* seen = std::get_if<store::Acknowledge>(&command)) {
            for (const auto id : seen->recovery_ids) {
                if (const auto at = known_.find(id); at != known_.end())
                    at->second.recovery.acknowledged = true;
            }
        }
    }

    void promotion_asked(const Server& s) override {
        auto& times = asks_[&s];
        auto& oldest = times.at[times.next++ % asks_per_second];
        if (times.next > asks_per_second && world().now() - oldest < seconds(1)) {
            violated(fmt::format("{} is asked to promote itself more than {} times in a second",
                                 s.key().text(), asks_per_second));
        }
        oldest = world().now();
    }

    void changed() override { look(); }
    void look() override {
        for (const auto& s : world().servers()) {
            if (truth().askable(*s)) asked_in_this_life_.insert(s->key());
        }
    }

    void manager_started() override {
        life_began_ = world().now();
        asked_in_this_life_.clear();
        std::map<int64_t, Known> on_disk;
        for (const auto& [id, r] : world().disk().recoveries) {
            const auto at = known_.find(id);
            const bool same = at != known_.end() && at->second.recovery.uid == r.uid;
            on_disk[id] = {r, same ? at->second.began : world().now()};
        }
        known_ = std::move(on_disk);
    }

  private:
    struct Known {
        store::Recovery recovery;
        MonoTime began{};
    };
    struct Asks {
        std::array<MonoTime, asks_per_second> at{};
        size_t next = 0;
    };

    void note(const store::Recovery& r) {
        const auto at = known_.find(r.id);
        if (at != known_.end()) {
            at->second.recovery = r;
            return;
        }
        if (r.state == store::RecoveryState::running) judge(r);
        known_[r.id] = {r, world().now()};
    }

    void judge(const store::Recovery& r) {
        ++begun_;
        const auto most = 3 + 2 * story().faults.size();
        if (!r.forced && world().now() - life_began_ < start_delay &&
            !asked_in_this_life_.contains(r.failed)) {
            violated(fmt::format("recovery {} of {} begins {} after the manager, which has not seen it alive",
                                 r.id, r.failed.text(), ms(world().now() - life_began_)));
        }
        if (begun_ > most)
            violated(fmt::format("more than {} recoveries for {} faults", most, story().faults.size()));
        for (const auto& [id, other] : known_) {
            const auto& o = other.recovery;
            if (o.cluster_id != r.cluster_id) continue;
            if (o.state == store::RecoveryState::running)
                violated(fmt::format("recovery {} of {} begins while {} is open", r.id, r.failed.text(), id));
            const bool blocks = o.in_active_period && !o.acknowledged && o.kind == r.kind && !r.forced;
            if (blocks && o.state != store::RecoveryState::running &&
                world().now() - other.began < block_period()) {
                violated(fmt::format("recovery {} of {} begins {} after {} began, within the block period",
                                     r.id, r.failed.text(), ms(world().now() - other.began), id));
            }
        }
    }

    Duration block_period() const {
        return milliseconds(story().layout.recovery_block_s * (100 - clock_error_percent) * 10);
    }
    static std::string ms(Duration d) { return fmt::format("{} ms", to_ms(d)); }

    std::map<int64_t, Known> known_;
    std::map<const Server*, Asks> asks_;
    size_t begun_ = 0;
    MonoTime life_began_;
    std::set<topology::InstanceKey> asked_in_this_life_;
};

}  // namespace

constinit const CheckerInfo one_recovery_at_a_time{
    "one_recovery_at_a_time",
    "No recovery loop, no two recoveries of one cluster open at once, block periods honoured.",
    [](Examined e) -> std::unique_ptr<Checker> { return std::make_unique<OneRecovery>(e); }};

}  // namespace baton::sim
