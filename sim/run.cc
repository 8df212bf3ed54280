#include "sim/run.h"

#include <fmt/format.h>

#include <algorithm>

#include "sim/checkers/converged.h"
#include "sim/nemesis.h"

namespace baton::sim {
namespace {

constexpr milliseconds looks_every{100};
/// The longest wait that PostgreSQL has in it by default is wal_receiver_timeout, a minute.
constexpr seconds converges_within{100};
constexpr seconds operator_waits{4};
/// What was still under way when the operator looked first.
constexpr seconds operator_returns_after{20};
constexpr seconds afterwards{3};

/// One story as it is told.
class Telling {
  public:
    Telling(const Story& story, const RunOptions& options)
        : story_(story), options_(options), world_(story.seed, story.layout.configuration) {
        build();
    }

    Outcome tell() {
        world_.start_manager();
        if (world_.settle()) {
            set_rules();
            truth_.emplace(world_, story_.layout.router ? "router" : "client");
            world_.watch(*truth_);
            for (const auto& c : checkers())
                checkers_.push_back(c.make({world_, *truth_, story_, outcome_.violations}));
            for (const auto& c : checkers_)
                world_.watch(*c);
            begin();
        } else {
            outcome_.violations.push_back({"settle", world_.now(), "the manager did not find all servers"});
        }
        return conclude();
    }

  private:
    void build() {
        const auto& layout = story_.layout;
        auto& p = world_.primary("p");
        for (const auto& m : layout.standbys) {
            auto& s = world_.standby(m.name, m.upstream, 5432, m.slot);
            s.replay_takes = m.replay_takes + milliseconds(m.apply_delay_ms);
            s.settings.recovery_min_apply_delay_ms = m.apply_delay_ms;
            if (m.diverged) s.become_diverged(1 << 20);
            prepare(s);
        }
        if (layout.several_hosts) look_for_the_primary();
        prepare(p);
        world_.manager_clock({.drift_ppm = layout.manager_drift_ppm});
        if (layout.agents) world_.guard_hosts(layout.agent_drift_ppm);
        if (layout.router) world_.router();
        world_.client(layout.write_pause);
    }

    void look_for_the_primary() {
        for (const auto& s : world_.servers()) {
            if (!s->in_recovery() || s->conninfo.hosts.at(0) != world_.servers().front()->key()) continue;
            const auto first = s->conninfo.hosts.at(0);
            s->conninfo.target_session_attrs = "read-write";
            for (const auto& other : world_.servers()) {
                if (other != s && other->key() != first) s->conninfo.hosts.push_back(other->key());
            }
        }
    }

    void prepare(Server& server) const {
        server.settings.synchronous_standby_names = story_.layout.synchronous;
        server.settings.wal_retrieve_retry_interval_ms = story_.layout.retry_interval_ms;
        server.pace.segment_copy = {story_.layout.segment_copy / 4, story_.layout.segment_copy};
        server.settings.wal_receiver_timeout_ms = story_.layout.receiver_timeout_ms;
    }

    void set_rules() {
        for (const auto& m : story_.layout.standbys) {
            if (m.rule == "neutral") continue;
            const auto rule = topology::parse_promotion_rule(m.rule);
            (void)world_.command(worked(world_.manager().set_promotion_rule(world_[m.name].key(), *rule)));
        }
    }

    template <class T>
    static Task<Result<bool>> worked(Task<Result<T>> task) {
        const auto done = co_await std::move(task);
        co_return done.has_value();
    }

    void begin() {
        world_.trace().mark();
        steps_before_ = world_.steps();
        nemesis_.emplace(world_, story_);
        world_.watch(*nemesis_);
        const auto began = world_.now();
        if (!go_on(story_.faults_end)) return;
        nemesis_->mend();
        if (!go_on(operator_waits)) return;
        for (const auto& c : checkers_)
            c->mended();
        operators_part();
        auto acknowledged = world_.now();
        while (world_.now() - began < story_.faults_end + converges_within) {
            if (!go_on(milliseconds(500))) return;
            if (world_.now() - acknowledged > operator_returns_after) {
                name_the_right_one();
                acknowledge();
                acknowledged = world_.now();
            }
            if (!nemesis_->all_mended() || !converged(world_)) continue;
            if (!go_on(afterwards)) return;
            if (converged(world_)) break;
        }
        for (const auto& c : checkers_)
            c->at_end();
    }

    /// Runs on; false when the run is to stop here.
    bool go_on(Duration time) {
        const auto until = world_.now() + time;
        while (world_.now() < until) {
            world_.run_for(std::min<Duration>(looks_every, until - world_.now()));
            for (const auto& c : checkers_)
                c->look();
            if (options_.most_steps > 0 && world_.steps() - steps_before_ >= options_.most_steps)
                return false;
        }
        return true;
    }

    void acknowledge() {
        if (!world_.manager_runs()) return;
        world_.trace().note("operator", "acknowledges what was recovered");
        (void)world_.command(world_.manager().acknowledge({}, "operator", "the simulated world"), seconds(5));
    }

    /// The manager never saw the primary, its standbys are on different branches, and it asks which is the
    /// right one. People know whom they promoted by mistake.
    void name_the_right_one() {
        if (!world_.manager_runs()) return;
        const auto& recoveries = world_.manager().record().recoveries;
        if (recoveries.empty()) return;
        const auto last = recoveries.rbegin()->second;
        const bool asks = std::ranges::any_of(
            last.errors, [](const std::string& e) { return e.contains("name the right one to recover"); });
        const auto* failed = world_.find(last.failed);
        if (last.state != store::RecoveryState::failed || !asks || failed == nullptr || failed->listens())
            return;
        const Server* right = nullptr;
        for (const auto& s : world_.servers()) {
            if (!s->in_recovery() || s->branch() != failed->branch() || s->half_copied()) continue;
            if (right == nullptr || s->position() > right->position()) right = s.get();
        }
        if (right == nullptr || !right->serves()) return;  // it comes back: at the next visit
        world_.trace().note("operator", fmt::format("names {} to recover", right->key().text()));
        // Goes on by itself: the checkers are to look meanwhile.
        (void)world_.command(
            worked(world_.manager().recover(
                {.failed = last.failed, .candidate = right->key(), .command_hint = "recover"}, {"operator"})),
            milliseconds(1));
    }

    /// What people do when all is calm again: allow the next recovery, and make standbys of former primaries.
    void operators_part() {
        name_the_right_one();
        acknowledge();
        if (!story_.operator_rejoins) return;
        auto* leader = world_.leader();
        for (const auto& s : world_.servers()) {
            if (leader == nullptr || !leader->serves()) break;  // there is nothing to copy from
            if (s.get() == leader || s->in_recovery() || !s->running()) continue;
            s->reclone(*leader, true);
        }
    }

    Outcome conclude() {
        outcome_.seed = story_.seed;
        outcome_.hash = world_.trace().hash();
        outcome_.steps = world_.steps() - steps_before_;
        outcome_.promotions = world_.promotions();
        outcome_.recoveries = world_.disk().recoveries.size();
        outcome_.virtual_time = world_.now().time_since_epoch();
        for (const auto& c : world_.clients())
            outcome_.outage = std::max(outcome_.outage, c->longest_outage());
        if (nemesis_) outcome_.faults = nemesis_->happened();
        if (options_.keep_trace) outcome_.trace = world_.trace().text();
        return std::move(outcome_);
    }

    const Story& story_;
    const RunOptions options_;
    Outcome outcome_;
    World world_;
    std::optional<Truth> truth_;
    std::vector<std::unique_ptr<Checker>> checkers_;
    std::optional<Nemesis> nemesis_;
    uint64_t steps_before_ = 0;
};

}  // namespace

int Outcome::count(std::string_view checker) const {
    return static_cast<int>(std::ranges::count(violations, checker, &Violation::checker));
}

Outcome run(const Story& story, const RunOptions& options) {
    return Telling(story, options).tell();
}

}  // namespace baton::sim
