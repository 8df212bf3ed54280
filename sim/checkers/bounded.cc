// Bounds hold: sessions, queues, the record, and what the manager keeps of the cluster.
#include <fmt/format.h>

#include <algorithm>
#include <deque>
#include <map>
#include <tuple>

#include "sim/checkers/list.h"

namespace baton::sim {
namespace {

constexpr size_t most_sessions = 5;  ///< one that looks, one that greets, one kept warm, two that do
/// One that looks, and one that is kept warm for half a minute after a doubt (a standby's) or greets.
constexpr size_t most_sessions_at_rest = 2;
/// What is there at each of so many looks rests; what a deed or a check opened has ended by then.
constexpr size_t looks_at_rest = 20;
constexpr size_t most_queued = 500;
constexpr size_t most_timers_per_server = 16;
constexpr size_t most_timers = 40;
/// Of one recovery: what is said once, and of each server; and what is said again of each candidate that
/// fails.
constexpr size_t most_steps = 60;
constexpr size_t most_steps_per_server = 25;
constexpr int looks_per_inspection = 5;
/// Of one entry of the audit, but for numbers that change: a state is told once, and may come back.
constexpr size_t most_repetitions = 8;
/// Entries of the record while nothing happens, and for each fault and recovery.
constexpr size_t most_entries = 150;
constexpr size_t most_entries_per_event = 120;

class Bounded final : public Checker {
  public:
    explicit Bounded(Examined examined) : Checker(examined, bounded.name) {}

    void journalled(const store::Command& command) override {
        if (const auto* step = std::get_if<store::AddRecoveryStep>(&command)) {
            most("steps of a recovery", ++steps_[step->step.uid],
                 most_steps + most_steps_per_server * world().servers().size());
        }
        if (const auto* audit = std::get_if<store::AddAudit>(&command)) {
            const auto& e = audit->entry;
            most("times of one and the same audit entry",
                 ++said_[{e.type, e.instance, e.message.substr(0, e.message.find(';'))}],
                 most_repetitions + story().faults.size());
        }
        events_ += std::holds_alternative<store::PutDetection>(command);
        most("entries written to the record", ++entries_,
             most_entries + most_entries_per_event * (events_ + story().faults.size()));
    }

    void look() override {
        for (const auto& s : world().servers()) {
            const auto open = s->sessions_of("manager");
            most("sessions of the manager on " + s->key().text(), open, most_sessions);
            auto& lately = lately_[s.get()];
            lately.push_back(open);
            if (lately.size() > looks_at_rest) lately.pop_front();
        }
        if (++looks_ % looks_per_inspection == 0 && world().manager_runs())
            inspect(2 * world().servers().size());
    }

    void at_end() override {
        if (!world().manager_runs() || world().recovery_open()) return;
        for (const auto& s : world().servers()) {
            if (s->serves())
                most("sessions at rest on " + s->key().text(), resting(*s), most_sessions_at_rest);
        }
        inspect(world().servers().size());
    }

  private:
    size_t resting(const Server& s) const {
        size_t least = s.sessions_of("manager");
        if (const auto at = lately_.find(&s); at != lately_.end()) {
            for (const auto open : at->second)
                least = std::min(least, open);
        }
        return least;
    }

    std::map<const Server*, std::deque<size_t>> lately_;
    void most(const std::string& what, size_t is, size_t may_be) {
        if (is > may_be) violated(fmt::format("more than {} {}", may_be, what));
    }

    /// `names`: a server may be known by its name and by its address until it is found that both reach the
    /// same.
    void inspect(size_t names) {
        const auto servers = world().servers().size();
        const store::Limits limits;
        const auto& record = world().manager().record();
        most("commands that wait for the disk", world().store().queued(), most_queued);
        most("timers of the manager", world().timers(), most_timers + most_timers_per_server * servers);
        most("servers in the view", world().manager().view()->topology->instance_count(), names);
        most("servers in the record", record.instances.size(), names);
        most("blocked recoveries in the record", record.blocked.size(), servers);
        most("recoveries in the record", record.recoveries.size(), limits.recoveries);
        most("detections in the record", record.detections.size(),
             8 + 4 * servers * (1 + story().faults.size()));
        most("audit entries in the record", record.audit.size(), limits.audit);
        for (const auto& [key, changes] : record.analysis_changes)
            most("changes of problems of " + key.text(), changes.size(),
                 limits.analysis_changes_per_instance);
    }

    std::map<std::string, size_t> steps_;
    std::map<std::tuple<std::string, topology::InstanceKey, std::string>, size_t> said_;
    size_t entries_ = 0, events_ = 0;
    int looks_ = 0;
};

}  // namespace

constinit const CheckerInfo bounded{
    "bounded", "Bounds hold: sessions, queues, the record, and what the manager keeps of the cluster.",
    [](Examined e) -> std::unique_ptr<Checker> { return std::make_unique<Bounded>(e); }};

}  // namespace baton::sim
