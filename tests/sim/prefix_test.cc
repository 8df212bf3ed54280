// From any prefix of the journal a recovery ends in the same kind of state: the manager is killed right after
// each of its commands took its place in the record, and right after each got to the disk, and is started
// again.
#include "scenario.h"

namespace baton::sim {
namespace {

struct Play {
    const char* name;
    std::function<WorldPtr()> make;
    std::function<void(World&)> strike;
    std::vector<std::string> members;  ///< who is there at the end
    int promotions = 1;
};

void PrintTo(const Play& play, std::ostream* out) {
    *out << play.name;
}

/// Counts what a manager writes.
class Counter final : public Watcher {
  public:
    explicit Counter(World& world) { world.watch(*this); }
    void journalled(const store::Command&) override { ++commands; }
    size_t commands = 0;
};

/// Grows with each command of a recovery that gets to the disk.
size_t rows_on_disk(const World& world) {
    const auto& disk = world.disk();
    size_t rows = disk.audit.size() + disk.downtimes.size() + disk.detections.size() + disk.key_values.size();
    for (const auto& [uid, steps] : disk.steps)
        rows += steps.size();
    for (const auto& [id, r] : disk.recoveries)
        rows += r.state == store::RecoveryState::running ? 1 : 2;
    return rows;
}

/// The kind of state in which all ends.
struct End {
    bool somebody_leads = false;
    size_t following = 0;
    int promotions = 0;
    bool recovery_open = false;

    bool operator==(const End&) const = default;
};

bool follows(World& world, const std::string& name) {
    const auto writable = world.writable();
    return writable.size() == 1 && world[name].streaming() &&
           world[name].timeline() == world[writable[0]].timeline();
}

End end_of(World& world, const Play& play) {
    End end{.somebody_leads = world.writable().size() == 1,
            .promotions = world.promotions(),
            .recovery_open = world.recovery_open()};
    for (const auto& name : play.members)
        end.following += follows(world, name);
    return end;
}

std::ostream& operator<<(std::ostream& out, const End& end) {
    out << (end.somebody_leads ? "somebody leads" : "nobody leads") << ", " << end.following << " follow, "
        << end.promotions << " promotions" << (end.recovery_open ? ", a recovery is open" : "");
    return out;
}

/// Until the recovery has ended as `wanted`, or time is up; then a little longer, for what should not happen
/// any more.
void run_to_the_end(World& world, const Play& play, const std::optional<End>& wanted) {
    for (int i = 0; i < 450 && !(wanted && end_of(world, play) == *wanted); ++i)
        world.run_for(milliseconds(100));
    world.run_for(seconds(3));
}

void restart(World& world) {
    world.kill_manager();
    world.run_for(milliseconds(100));
    world.start_manager();
}

class JournalPrefix : public testing::TestWithParam<Play> {
  protected:
    void SetUp() override {
        auto world = GetParam().make();
        Counter counter(*world);
        const auto rows = rows_on_disk(*world);
        GetParam().strike(*world);
        run_to_the_end(*world, GetParam(), std::nullopt);
        undisturbed_ = end_of(*world, GetParam());
        commands_ = counter.commands;
        rows_ = rows_on_disk(*world) - rows;
        ASSERT_EQ(undisturbed_.promotions, GetParam().promotions) << world->trace().text();
        ASSERT_FALSE(undisturbed_.recovery_open) << world->trace().text();
    }

    void play_and_kill(const std::function<bool(World&, const Counter&)>& now) {
        auto world = GetParam().make();
        Counter counter(*world);
        GetParam().strike(*world);
        if (!world->run_until([&] { return now(*world, counter); }, seconds(60))) return;
        restart(*world);
        run_to_the_end(*world, GetParam(), undisturbed_);
        ASSERT_EQ(end_of(*world, GetParam()), undisturbed_) << world->trace().text();
    }

    End undisturbed_;
    size_t commands_ = 0;
    size_t rows_ = 0;
};

TEST_P(JournalPrefix, OfTheRecordInMemory) {
    for (size_t k = 1; k <= commands_ && !HasFatalFailure(); ++k) {
        SCOPED_TRACE("killed after command " + std::to_string(k));
        play_and_kill([k](World&, const Counter& counter) { return counter.commands >= k; });
    }
}

TEST_P(JournalPrefix, OfTheRecordOnDisk) {
    auto before = GetParam().make();
    const auto first = rows_on_disk(*before);
    for (size_t k = 1; k <= rows_ && !HasFatalFailure(); ++k) {
        SCOPED_TRACE("killed when row " + std::to_string(k) + " was on disk");
        play_and_kill(
            [rows = first + k](World& world, const Counter&) { return rows_on_disk(world) >= rows; });
    }
}

WorldPtr with_rule(const std::string& name, topology::PromotionRule rule) {
    auto world = three_nodes();
    const auto done = world->command([](Task<Result<void>> task) -> Task<Result<bool>> {
        co_return (co_await std::move(task)).has_value();
    }(world->manager().set_promotion_rule(at(name), rule)));
    EXPECT_TRUE(done && *done);
    world->run_for(seconds(1));
    world->trace().mark();
    return world;
}

void kill_primary(World& world) {
    world["p"].kill();
}

const Play plays[] = {
    {"PrimaryDies", [] { return three_nodes(); }, kill_primary, {"s1", "s2"}},
    {"PrimaryDiesWithHooks",
     [] {
         return three_nodes(recovers_all_and(
             R"("OnFailureDetectionProcesses": ["seen"], "PreFailoverProcesses": ["pre"], "PostFailoverProcesses": ["post"])"));
     },
     kill_primary,
     {"s1", "s2"}},
    {"PrimaryVanishes", [] { return three_nodes(); }, [](World& w) { w["p"].power_off(); }, {"s1", "s2"}},
    {"PreferredOneMustCatchUp",
     [] { return with_rule("s2", topology::PromotionRule::prefer); },
     [](World& w) {
         w.network().set("p", "s2", Link::silent);
         w.run_for(milliseconds(300));
         w["p"].kill();
         w.heal();
     },
     {"s1", "s2"}},
    {"QuorumOfTwo",
     [] {
         auto world = three_servers();
         for (const auto& s : world->servers())
             s->settings.synchronous_standby_names = "ANY 1 (p, s1, s2)";
         begin(*world);
         return world;
     },
     kill_primary,
     {"s1", "s2"}},
    {"IntermediateDies",
     [] {
         auto world = std::make_unique<World>(1, recovers_all);
         world->primary("p");
         world->standby("m");
         world->standby("a", "m");
         world->standby("b", "m");
         begin(*world);
         return world;
     },
     [](World& w) { w["m"].kill(); },
     {"a", "b"},
     0},
};

INSTANTIATE_TEST_SUITE_P(Plays, JournalPrefix, testing::ValuesIn(plays),
                         [](const auto& info) { return std::string(info.param.name); });

}  // namespace
}  // namespace baton::sim
