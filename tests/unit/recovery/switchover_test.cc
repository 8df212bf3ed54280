#include "recovery/planned_world.h"

namespace baton::recovery {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;

const store::Recovery& last(PlannedWorld& w) {
    return w.store().state().recoveries.rbegin()->second;
}

/// Asks for two at once, and gives both answers in that order.
std::vector<Result<Outcome>> race(PlannedWorld& w, const std::string& one, const std::string& other) {
    std::vector<Task<Result<Outcome>>> asked;
    for (const auto& to : {one, other})
        asked.push_back(w.recovery().switchover({.cluster_id = system_id, .candidate = key(to)}));
    return w.run(gather(w.clock(), std::move(asked)));
}

TEST(Switchover, does_everything_in_its_order) {
    PlannedWorld w;
    const auto outcome = w.switch_over();
    ASSERT_TRUE(outcome) << outcome.error().text();
    ASSERT_TRUE(outcome->recovery.successor) << w.journal();
    EXPECT_THAT(w.log, ElementsAre("slot s1 s2_slot", "slot s1 p", "checkpoint p", "pause pb", "stop p fast",
                                   "stand-clear s1 on", "promote s1", "point pb at s1 held", "resume pb",
                                   "make-standby p of s1 through p", "follow s2 of s1"));
    EXPECT_THAT(w.writers(), ElementsAre("s1"));
    const auto& r = last(w);
    EXPECT_EQ(r.kind, "switchover");
    EXPECT_EQ(r.state, store::RecoveryState::succeeded);
    EXPECT_EQ(r.command_hint, "graceful-master-takeover");
    EXPECT_FALSE(r.in_active_period) << "it must not block the next failover";
    EXPECT_EQ(r.participating.size(), 2U);
    EXPECT_TRUE(r.lost.empty());
}

TEST(Switchover, is_refused_with_all_that_hinders_it) {
    PlannedWorld w;
    w.nodes["p"].agent = w.nodes["s1"].agent = false;
    w.failures["check pb"] = {ErrorKind::refused, "nobody listens there", "pb:6432", ""};
    const auto outcome = w.switch_over();
    ASSERT_TRUE(outcome);
    EXPECT_FALSE(outcome->attempted);
    EXPECT_THAT(outcome->obstacles,
                ElementsAre(HasSubstr("no agent guards p"), HasSubstr("no agent guards s1"),
                            HasSubstr("router pb does not answer")));
    EXPECT_TRUE(w.log.empty());
    EXPECT_TRUE(w.store().state().recoveries.empty());
}

TEST(Switchover, shows_its_plan_and_changes_nothing) {
    PlannedWorld w;
    const auto plan = w.run(w.recovery().plan_switchover({.cluster_id = system_id}));
    ASSERT_TRUE(plan);
    EXPECT_TRUE(plan->obstacles.empty());
    EXPECT_THAT(plan->text(), HasSubstr("router pb holds its clients"));
    EXPECT_TRUE(w.log.empty());
}

struct Failing {
    const char* name;
    std::function<void(PlannedWorld&)> arrange;
    std::vector<std::string> afterwards;  ///< the end of what was done
};

Error error(ErrorKind kind) {
    return {kind, "as the test wants it", "x", ""};
}

/// Whatever fails before the promotion: the old primary takes writes, and the clients go on.
TEST(Switchover, goes_back_from_every_failure_before_the_promotion) {
    const Failing cases[] = {
        {"a slot cannot be made",
         [](auto& w) { w.failures["slot s1"] = error(ErrorKind::privilege); },
         {"slot s1 s2_slot", "slot s1 p"}},
        {"the candidate does not stand clear",
         [](auto& w) { w.failures["stand-clear s1"] = error(ErrorKind::timeout); },
         {"stop p fast", "stand-clear s1 on", "start p", "resume pb", "stand-clear s1 off"}},
        {"the checkpoint takes too long",
         [](auto& w) { w.failures["checkpoint p"] = error(ErrorKind::timeout); },
         {"checkpoint p"}},
        {"clients do not come to an end",
         [](auto& w) { w.failures["pause pb"] = error(ErrorKind::timeout); },
         {"pause pb", "resume pb"}},
        {"the shutdown does not end",
         [](auto& w) { w.failures["stop p"] = error(ErrorKind::timeout); },
         {"stop p fast", "stand-clear s1 on", "start p", "resume pb", "stand-clear s1 off"}},
        {"the candidate has not got everything",
         [](auto& w) { w.nodes["s1"].receives = false; },
         {"stop p fast", "stand-clear s1 on", "start p", "resume pb", "stand-clear s1 off"}},
        {"it did not end in order",
         [](auto& w) {
             w.before["stop p"] = [&w] { w.nodes["p"].primary = true; };
             w.nodes["p"].control.state = "in production";
             w.before["control-data p"] = [] {};
             w.failures["stop p"] = error(ErrorKind::sql);
         },
         {"stop p fast", "stand-clear s1 on", "start p", "resume pb", "stand-clear s1 off"}},
        {"the promotion is refused",
         [](auto& w) { w.failures["promote s1"] = error(ErrorKind::privilege); },
         {"promote s1", "start p", "resume pb", "stand-clear s1 off"}},
        {"the candidate dies before it was promoted",
         [](auto& w) { w.before["promote s1"] = [&w] { w.crash("s1"); }; },
         {"promote s1", "start p", "resume pb", "stand-clear s1 off"}},
    };
    for (const auto& c : cases) {
        PlannedWorld w;
        c.arrange(w);
        const auto outcome = w.switch_over();
        ASSERT_TRUE(outcome) << c.name;
        EXPECT_FALSE(outcome->recovery.successor) << c.name;
        EXPECT_THAT(w.writers(), ElementsAre("p")) << c.name << "\n" << w.journal();
        ASSERT_GE(w.log.size(), c.afterwards.size()) << c.name;
        EXPECT_EQ(std::vector<std::string>(w.log.end() - static_cast<long>(c.afterwards.size()), w.log.end()),
                  c.afterwards)
            << c.name << "\n"
            << w.journal();
        EXPECT_EQ(last(w).state, store::RecoveryState::failed) << c.name;
        EXPECT_FALSE(last(w).in_active_period) << c.name;
        EXPECT_FALSE(last(w).errors.empty()) << c.name;
    }
}

TEST(Switchover, goes_on_where_the_answer_to_the_promotion_was_lost) {
    PlannedWorld w;
    w.failures["promote s1"] = error(ErrorKind::timeout);
    w.before["promote s1"] = [&w] {
        w.nodes["s1"].primary = true;
        w.nodes["s1"].timeline = 2;
    };
    ASSERT_TRUE(w.switch_over()->recovery.successor) << w.journal();
    EXPECT_THAT(w.writers(), ElementsAre("s1"));
    EXPECT_TRUE(w.logged("resume pb"));
    EXPECT_TRUE(w.logged("make-standby p of s1 through p"));
    EXPECT_TRUE(w.logged("follow s2 of s1"));
}

TEST(Switchover, starts_a_candidate_again_that_may_have_led) {
    PlannedWorld w;
    w.failures["promote s1"] = error(ErrorKind::broken);
    w.before["promote s1"] = [&w] {
        w.nodes["s1"].primary = true;
        w.nodes["s1"].timeline = 2;
        w.crash("s1");
    };
    ASSERT_TRUE(w.switch_over()->recovery.successor) << w.journal();
    EXPECT_TRUE(w.logged("start s1"));
    EXPECT_FALSE(w.logged("start p")) << "what the other one acknowledged would be lost";
    EXPECT_THAT(w.writers(), ElementsAre("s1"));
}

TEST(Switchover, does_without_a_checkpoint_that_it_may_not_ask_for) {
    PlannedWorld w;
    w.failures["checkpoint p"] = error(ErrorKind::privilege);
    ASSERT_TRUE(w.switch_over()->recovery.successor);
    EXPECT_THAT(w.writers(), ElementsAre("s1"));
}

TEST(Switchover, lets_clients_go_when_their_time_is_up) {
    PlannedWorld w;
    w.options.switchover.pause = milliseconds(80);
    w.recovery().set_options(w.options);
    w.slow["stop p"] = milliseconds(300);
    ASSERT_FALSE(w.switch_over()->recovery.successor);
    EXPECT_THAT(w.journal(), HasSubstr("held for as long as they may be"));
    EXPECT_THAT(w.writers(), ElementsAre("p"));
    EXPECT_FALSE(w.logged("promote s1"));
    // Not after the old primary was back, which was too late for them.
    EXPECT_LT(std::ranges::find(w.log, "resume pb"), std::ranges::find(w.log, "start p"));
}

TEST(Switchover, cuts_a_shutdown_short_that_does_not_end) {
    PlannedWorld w;
    w.failures["stop p"] = error(ErrorKind::timeout);
    w.before["stop p"] = [&w] { w.crash("p"); };
    w.failures["start p"] = error(ErrorKind::conflict);
    w.before["stop p immediate"] = [&w] { w.failures.erase("start p"); };
    ASSERT_FALSE(w.switch_over()->recovery.successor);
    EXPECT_TRUE(w.logged("stop p immediate")) << w.journal();
    EXPECT_THAT(w.writers(), ElementsAre("p"));
}

TEST(Switchover, promotes_nobody_else_beside_one_that_may_have_been) {
    PlannedWorld w;
    w.failures["promote s1"] = error(ErrorKind::broken);
    const auto outcome = w.switch_over();
    ASSERT_TRUE(outcome);
    EXPECT_FALSE(outcome->recovery.successor);
    EXPECT_FALSE(w.logged("start p")) << "both could lead";
    EXPECT_TRUE(w.logged("resume pb"));
    EXPECT_TRUE(last(w).in_active_period);
    EXPECT_THAT(w.journal(), HasSubstr("it is not known whether s1:5432 has promoted itself"));
    // The failover that would follow is blocked by the doubt.
    w.recovery().on_cluster(system_id, w.cluster(system_id));
    const auto later = w.clock().now() + milliseconds(700);
    w.run_until([&] { return w.clock().now() > later; });
    EXPECT_TRUE(w.writers().empty());
    EXPECT_FALSE(w.logged("promote s2"));
}

TEST(Switchover, leaves_a_primary_that_dies_in_it_to_the_failover) {
    PlannedWorld w;
    w.before["checkpoint p"] = [&w] { w.crash("p"); };
    const auto outcome = w.switch_over();
    ASSERT_TRUE(outcome);
    EXPECT_FALSE(outcome->recovery.successor);
    ASSERT_TRUE(w.run_until([&] { return !w.writers().empty(); })) << w.journal();
    EXPECT_EQ(w.writers().size(), 1U);
    EXPECT_FALSE(w.logged("start p"));
    EXPECT_FALSE(w.logged("stop p fast"));
    ASSERT_TRUE(w.run_until([&] { return last(w).state != store::RecoveryState::running; }));
    EXPECT_EQ(last(w).kind, "primary");
    EXPECT_EQ(last(w).state, store::RecoveryState::succeeded);
    EXPECT_TRUE(w.logged("point pb at " + w.writers().front())) << "routers are told at a failover, too";
}

TEST(Switchover, is_one_at_a_time) {
    PlannedWorld w;
    std::optional<Result<Outcome>> second;
    w.before["checkpoint p"] = [&w, &second] {
        spawn(
            w.clock().executor(), [](PlannedWorld& world, std::optional<Result<Outcome>>& out) -> Task<void> {
                out = co_await world.recovery().switchover({.cluster_id = system_id, .candidate = key("s2")});
            }(w, second));
    };
    w.slow["checkpoint p"] = milliseconds(30);
    EXPECT_TRUE(w.switch_over()->recovery.successor);
    ASSERT_TRUE(second.has_value());
    ASSERT_FALSE(*second);
    EXPECT_EQ(second->error().kind, ErrorKind::conflict);
}

TEST(Switchover, that_is_refused_does_not_keep_another_one_out) {
    PlannedWorld w;
    w.nodes["s2"].agent = false;
    const auto both = race(w, "s2", "s1");
    ASSERT_TRUE(both[0]);
    EXPECT_THAT(both[0]->not_attempted_because, testing::HasSubstr("no agent guards s2"));
    ASSERT_TRUE(both[1]) << both[1].error().text();
    EXPECT_TRUE(both[1]->recovery.successor);
    EXPECT_EQ(w.writers(), std::vector<std::string>{"s1"});
}

TEST(Switchover, begins_once_of_two_that_were_checked_side_by_side) {
    PlannedWorld w;
    const auto both = race(w, "s1", "s2");
    const auto won = std::ranges::count_if(both, [](const auto& o) { return o && o->recovery.successor; });
    EXPECT_EQ(won, 1);
    const auto& lost = both[0] ? both[1] : both[0];
    ASSERT_FALSE(lost);
    EXPECT_EQ(lost.error().kind, ErrorKind::conflict);
    EXPECT_EQ(w.writers().size(), 1u);
}

TEST(Switchover, costs_no_more_than_the_old_primary_when_that_does_not_come_back) {
    PlannedWorld w;
    w.failures["make-standby p"] = error(ErrorKind::io);
    const auto outcome = w.switch_over();
    ASSERT_TRUE(outcome);
    EXPECT_EQ(outcome->recovery.successor, key("s1"));
    EXPECT_THAT(last(w).lost, ElementsAre(key("p")));
    EXPECT_TRUE(w.store().state().downtimes.contains(key("p")));
    EXPECT_FALSE(w.store().state().downtimes.contains(key("s1")));
}

TEST(Switchover, retries_a_router_that_could_not_be_told_and_lets_its_clients_go) {
    PlannedWorld w;
    w.failures["point pb"] = error(ErrorKind::unreachable);
    w.before["resume pb"] = [&w] { w.failures.erase("point pb"); };
    EXPECT_TRUE(w.switch_over()->recovery.successor);
    EXPECT_TRUE(w.logged("resume pb"));
    EXPECT_TRUE(w.run_until([&] { return w.logged("point pb at s1"); })) << w.journal();
}

TEST(Switchover, runs_the_hooks_of_orchestrator) {
    PlannedWorld w;
    w.options.hooks.pre_graceful_takeover = {"a {successorHost}"};
    w.options.hooks.pre_failover = {"b"};
    w.options.hooks.post_primary_failover = {"c"};
    w.options.hooks.post_failover = {"d"};
    w.options.hooks.post_graceful_takeover = {"e"};
    w.recovery().set_options(w.options);
    EXPECT_TRUE(w.switch_over()->recovery.successor);
    std::string order;
    for (const auto* name :
         {"PreGracefulTakeoverProcesses", "PreFailoverProcesses", "PostMasterFailoverProcesses",
          "PostFailoverProcesses", "PostGracefulTakeoverProcesses"})
        order += w.journal().find("Running " + std::string(name)) == std::string::npos ? '-' : '+';
    EXPECT_EQ(order, "+++++") << w.journal();
    EXPECT_EQ(w.log.front(), "hook for s1") << "the first one knows who will lead";

    PlannedWorld refusing;
    refusing.options.hooks.pre_graceful_takeover = {"a"};
    refusing.recovery().set_options(refusing.options);
    refusing.failures["hook"] = error(ErrorKind::io);
    const auto outcome = refusing.switch_over();
    EXPECT_FALSE(outcome->attempted);
    EXPECT_THAT(refusing.log, ElementsAre("hook for s1"));
}

/// A life that ended in the middle: its record is open, with these deeds.
void leave_open(PlannedWorld& w, const std::vector<std::string>& deeds) {
    store::Recovery r{.id = 1,
                      .uid = "1:abc",
                      .code = "DeadPrimary",
                      .kind = "switchover",
                      .command_hint = "graceful-master-takeover",
                      .cluster_id = system_id,
                      .cluster_name = "p:5432",
                      .failed = key("p"),
                      .started = w.clock().wall()};
    store::Limits limits;
    w.disk->apply(store::PutRecovery{r}, limits);
    for (const auto& deed : deeds)
        w.disk->apply(store::AddRecoveryStep{{.uid = r.uid, .message = deed, .deed = deed}}, limits);
    w.begin_life();
    w.recovery().start();
}

bool ends(PlannedWorld& w) {
    return w.run_until([&] { return last(w).state != store::RecoveryState::running; });
}

void stopped_by_an_earlier_life(PlannedWorld& w) {
    auto& p = w.nodes["p"];
    p.running = false;
    p.hold = topology::Hold::down;
    p.control = {.state = "shut down", .timeline = 1, .checkpoint = p.at};
    for (const auto* name : {"p", "s1", "s2"})
        w.nodes[name].at.value += 120;
}

TEST(SwitchoverAfterARestart, goes_back_where_nobody_was_asked) {
    PlannedWorld w;
    stopped_by_an_earlier_life(w);
    leave_open(w, {"switch-to s1:5432", "stop p:5432"});
    ASSERT_TRUE(ends(w)) << w.journal();
    EXPECT_THAT(w.writers(), ElementsAre("p"));
    EXPECT_THAT(w.log, ElementsAre("start p", "resume pb", "stand-clear s1 off"));
    EXPECT_EQ(last(w).state, store::RecoveryState::failed);
}

TEST(Switchover, tells_the_router_how_long_clients_wait_whatever_becomes_of_it) {
    PlannedWorld w;
    ASSERT_TRUE(w.switch_over());
    EXPECT_GT(w.leash.span, w.options.switchover.pause);
    EXPECT_LT(w.leash.span, w.options.switchover.pause + seconds(1));
    EXPECT_EQ(w.leash.then.text(), "s1:5432");
}

TEST(SwitchoverAfterARestart, leads_clients_back_that_went_on_without_it) {
    PlannedWorld w;
    stopped_by_an_earlier_life(w);
    w.standing.routes = {{.database = "app", .to = {"s1", 5432}}};
    leave_open(w, {"switch-to s1:5432", "stop p:5432"});
    ASSERT_TRUE(ends(w)) << w.journal();
    EXPECT_THAT(w.writers(), ElementsAre("p"));
    EXPECT_THAT(w.log,
                ElementsAre("start p", "resume pb", "point pb at p held", "resume pb", "stand-clear s1 off"));
}

TEST(SwitchoverAfterARestart, goes_back_where_nothing_was_touched_yet) {
    PlannedWorld w;
    leave_open(w, {"switch-to s1:5432"});
    ASSERT_TRUE(ends(w)) << w.journal();
    EXPECT_THAT(w.writers(), ElementsAre("p"));
    EXPECT_TRUE(w.log.empty());
}

TEST(SwitchoverAfterARestart, goes_on_where_the_successor_leads) {
    PlannedWorld w;
    stopped_by_an_earlier_life(w);
    w.nodes["s1"].primary = true;
    w.nodes["s1"].timeline = 2;
    leave_open(w, {"switch-to s1:5432", "stop p:5432", "promote s1:5432"});
    ASSERT_TRUE(ends(w)) << w.journal();
    EXPECT_THAT(w.writers(), ElementsAre("s1"));
    EXPECT_EQ(last(w).state, store::RecoveryState::succeeded) << w.journal();
    EXPECT_TRUE(w.logged("resume pb"));
    EXPECT_TRUE(w.logged("make-standby p of s1 through p"));
    EXPECT_TRUE(w.logged("follow s2 of s1"));
}

TEST(SwitchoverAfterARestart, asks_again_where_the_request_may_have_been_lost) {
    PlannedWorld w;
    stopped_by_an_earlier_life(w);
    leave_open(w, {"switch-to s1:5432", "stop p:5432", "promote s1:5432"});
    ASSERT_TRUE(ends(w)) << w.journal();
    EXPECT_THAT(w.writers(), ElementsAre("s1"));
    EXPECT_TRUE(w.logged("promote s1"));
    EXPECT_FALSE(w.logged("start p"));
}

TEST(SwitchoverAfterARestart, does_not_know_where_the_successor_is_silent) {
    PlannedWorld w;
    stopped_by_an_earlier_life(w);
    w.nodes["s1"].running = w.nodes["s1"].agent = false;
    w.nodes["s1"].silent = true;
    w.options.plan.promotion_timeout = milliseconds(200);
    leave_open(w, {"switch-to s1:5432", "stop p:5432", "promote s1:5432"});
    ASSERT_TRUE(ends(w)) << w.journal();
    EXPECT_TRUE(w.writers().empty());
    EXPECT_TRUE(w.logged("resume pb")) << "clients are let go in any case";
    EXPECT_TRUE(last(w).in_active_period);
}

TEST(ScheduledSwitchover, begins_when_its_time_has_come) {
    PlannedWorld w;
    w.recovery().start();
    ASSERT_TRUE(
        w.run(w.recovery().schedule_switchover({.cluster_id = system_id, .candidate = key("s1"), .by = "ann"},
                                               w.clock().wall() + milliseconds(300))));
    ASSERT_EQ(w.recovery().scheduled_switchovers().size(), 1U);
    // It is in the record: the next life begins it.
    w.begin_life();
    w.recovery().start();
    ASSERT_EQ(w.recovery().scheduled_switchovers().size(), 1U);
    EXPECT_TRUE(w.run_until([&] { return w.logged("promote s1"); }));
    EXPECT_TRUE(w.recovery().scheduled_switchovers().empty());
    EXPECT_TRUE(w.run_until([&] { return last(w).state == store::RecoveryState::succeeded; })) << w.journal();
}

TEST(ScheduledSwitchover, can_be_called_off) {
    PlannedWorld w;
    const auto at = w.clock().wall() + std::chrono::hours(1);
    ASSERT_TRUE(w.run(w.recovery().schedule_switchover({.cluster_id = system_id}, at)));
    const auto cancelled = w.run(w.recovery().cancel_switchover(system_id, "ann"));
    ASSERT_TRUE(cancelled);
    EXPECT_EQ(cancelled->at, at);
    EXPECT_TRUE(w.recovery().scheduled_switchovers().empty());
    const auto again = w.run(w.recovery().cancel_switchover(system_id, "ann"));
    ASSERT_FALSE(again);
    EXPECT_EQ(again.error().kind, ErrorKind::not_found);
    EXPECT_FALSE(w.run(w.recovery().schedule_switchover({.cluster_id = system_id}, w.clock().wall())));
}

TEST(ScheduledSwitchover, is_not_begun_when_it_was_missed) {
    PlannedWorld w;
    store::Limits limits;
    const auto at = w.clock().wall() - seconds(61);
    w.disk->apply(store::PutKeyValue{"baton/switchover/" + system_id,
                                     "{\"at_us\":" + std::to_string(at.time_since_epoch().count()) + "}"},
                  limits);
    w.begin_life();
    w.recovery().start();
    EXPECT_TRUE(w.run_until([&] { return w.recovery().scheduled_switchovers().empty(); }));
    ASSERT_FALSE(w.store().state().audit.empty());
    EXPECT_THAT(w.store().state().audit.rbegin()->second.message, HasSubstr("was missed, and is not begun"));
    EXPECT_TRUE(w.log.empty());
}

TEST(ScheduledSwitchover, that_is_hindered_is_told_of) {
    PlannedWorld w;
    w.nodes["p"].agent = false;
    w.recovery().start();
    ASSERT_TRUE(w.run(
        w.recovery().schedule_switchover({.cluster_id = system_id}, w.clock().wall() + milliseconds(100))));
    EXPECT_TRUE(w.run_until([&] {
        const auto& audit = w.store().state().audit;
        return !audit.empty() && audit.rbegin()->second.message.find("was not begun") != std::string::npos;
    }));
}

}  // namespace
}  // namespace baton::recovery
