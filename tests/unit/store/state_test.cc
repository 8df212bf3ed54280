#include <gtest/gtest.h>

#include "samples.h"
#include "store/rows.h"

namespace baton::store::test {
namespace {

Recovery recovery(int64_t id, RecoveryState state, bool active = false) {
    Recovery r;
    r.id = id;
    r.uid = "uid" + std::to_string(id);
    r.cluster_id = "c" + std::to_string(id);
    r.state = state;
    r.in_active_period = active;
    return r;
}

template <class Map>
std::vector<int64_t> ids(const Map& map) {
    std::vector<int64_t> out;
    for (const auto& [id, value] : map)
        out.push_back(id);
    return out;
}

using Ids = std::vector<int64_t>;

TEST(State, IdsFollowTheLargestSeen) {
    State s;
    s.apply(AddAudit{sample_audit(41)}, {});
    EXPECT_EQ(s.next_id, 42);
    s.apply(AddAudit{sample_audit(7)}, {});
    EXPECT_EQ(s.next_id, 42);
    s.apply(AddAudit{sample_audit()}, {});
    EXPECT_EQ(s.audit.rbegin()->first, 42) << "an entry without an id gets the next one";
    EXPECT_EQ(s.next_id, 43);
}

TEST(State, AuditDropsTheOldest) {
    State s;
    const Limits limits{.audit = 3};
    for (int i = 1; i <= 5; ++i)
        s.apply(AddAudit{sample_audit(i)}, limits);
    EXPECT_EQ(ids(s.audit), (Ids{3, 4, 5}));
}

TEST(State, DetectionsThatAreOverGoFirst) {
    State s;
    const Limits limits{.detections = 2};
    for (int i = 1; i <= 2; ++i)
        s.apply(PutDetection{{.id = i, .instance = db1, .active = true}}, limits);
    s.apply(EndDetection{2}, limits);
    s.apply(PutDetection{{.id = 3, .instance = db1, .active = true}}, limits);
    EXPECT_EQ(ids(s.detections), (Ids{1, 3}));
    s.apply(PutDetection{{.id = 4, .instance = db1, .active = true}}, limits);
    EXPECT_EQ(ids(s.detections), (Ids{3, 4})) << "bounded even if all are active";
}

TEST(State, RecoveriesDropOrder) {
    State s;
    const Limits limits{.recoveries = 3};
    s.apply(PutRecovery{recovery(1, RecoveryState::running, true)}, limits);
    s.apply(PutRecovery{recovery(2, RecoveryState::failed, true)}, limits);
    s.apply(PutRecovery{recovery(3, RecoveryState::succeeded)}, limits);
    for (int i = 1; i <= 3; ++i)
        s.apply(AddRecoveryStep{sample_step("uid" + std::to_string(i))}, limits);
    s.apply(PutRecovery{recovery(4, RecoveryState::running, true)}, limits);
    EXPECT_EQ(ids(s.recoveries), (Ids{1, 2, 4})) << "what blocks nothing goes before what blocks";
    EXPECT_FALSE(s.steps.contains("uid3")) << "the journal goes with its recovery";
    s.apply(PutRecovery{recovery(5, RecoveryState::running, true)}, limits);
    EXPECT_EQ(ids(s.recoveries), (Ids{1, 4, 5}));
    s.apply(PutRecovery{recovery(6, RecoveryState::running, true)}, limits);
    EXPECT_EQ(ids(s.recoveries), (Ids{1, 4, 5, 6})) << "a running recovery stays, whatever the limit";
    s.apply(PutRecovery{recovery(1, RecoveryState::succeeded)}, limits);
    EXPECT_EQ(ids(s.recoveries), (Ids{4, 5, 6}));
    EXPECT_TRUE(s.steps.empty());
}

TEST(State, StepsThatTellOfADeedOutliveTalk) {
    State s;
    const Limits limits{.steps_per_recovery = 3};
    s.apply(AddRecoveryStep{sample_step("u", 1, "promote db2:5433")}, limits);
    s.apply(AddRecoveryStep{sample_step("u", 2, "")}, limits);
    s.apply(AddRecoveryStep{sample_step("u", 3, "")}, limits);
    s.apply(AddRecoveryStep{sample_step("u", 4, "follow db3:5434")}, limits);
    s.apply(AddRecoveryStep{sample_step("u", 5, "follow db4:5434")}, limits);
    Ids left;
    for (const auto& step : s.steps["u"])
        left.push_back(step.id);
    EXPECT_EQ(left, (Ids{1, 4, 5}));
    s.apply(AddRecoveryStep{sample_step("u", 6, "follow db5:5434")}, limits);
    EXPECT_EQ(s.steps["u"].size(), 3u);
    EXPECT_EQ(s.steps["u"].front().id, 4);
}

TEST(State, JournalsWithoutARecoveryAreBounded) {
    State s;
    const Limits limits{.recoveries = 2};
    s.apply(PutRecovery{recovery(1, RecoveryState::succeeded)}, limits);
    for (const auto* uid : {"uid1", "a", "b", "c"})
        s.apply(AddRecoveryStep{sample_step(uid)}, limits);
    EXPECT_TRUE(s.steps.contains("uid1"));
    EXPECT_TRUE(s.steps.contains("c"));
    EXPECT_EQ(s.steps.size(), 2u);
}

TEST(State, TheSameStepTwiceIsOne) {
    State s;
    for (int i = 0; i < 2; ++i)
        s.apply(AddRecoveryStep{sample_step("u", 9)}, {});
    EXPECT_EQ(s.steps["u"].size(), 1u);
}

TEST(State, AnalysisChangesAreBoundedPerInstance) {
    State s;
    const Limits limits{.analysis_changes_per_instance = 2};
    for (int i = 1; i <= 3; ++i) {
        s.apply(AddAnalysisChange{{db1, moment(i), std::to_string(i), 0}}, limits);
        s.apply(AddAnalysisChange{{db2, moment(i), std::to_string(i), 0}}, limits);
    }
    ASSERT_EQ(s.analysis_changes[db1].size(), 2u);
    EXPECT_EQ(s.analysis_changes[db1].front().codes, "2");
    EXPECT_EQ(s.analysis_changes[db2].size(), 2u);
}

TEST(State, ForgettingKeepsWhatAnOperatorSaid) {
    State s;
    s.apply(PutInstance{sample_instance()}, {});
    s.apply(AddAnalysisChange{sample_change()}, {});
    s.apply(PutBlocked{sample_blocked()}, {});
    s.apply(BeginDowntime{db1, sample_downtime()}, {});
    s.apply(ForgetInstance{db1}, {});
    EXPECT_TRUE(s.instances.empty());
    EXPECT_TRUE(s.analysis_changes.empty());
    EXPECT_TRUE(s.blocked.empty());
    EXPECT_TRUE(s.downtimes.contains(db1));
}

TEST(State, AcknowledgingEndsTheActivePeriod) {
    State s;
    s.apply(PutRecovery{recovery(1, RecoveryState::failed, true)}, {});
    s.apply(Acknowledge{{1, 99}, "ann", "seen", moment(1)}, {});
    const auto& r = s.recoveries.at(1);
    EXPECT_TRUE(r.acknowledged);
    EXPECT_FALSE(r.in_active_period);
    EXPECT_EQ(r.acknowledged_by, "ann");
    EXPECT_EQ(r.acknowledged_comment, "seen");
    EXPECT_EQ(r.acknowledged_at, moment(1));
}

TEST(State, RemovingWhatIsNotThereDoesNothing) {
    State s;
    Changes changes;
    for (const Command& c : std::initializer_list<Command>{
             ForgetInstance{db1}, ForgetCluster{"x"}, EndDetection{1}, EndActivePeriod{1}, RemoveBlocked{db1},
             EndDowntime{db1}, EndMaintenance{1}, RemoveTag{db1, "x"}, RemovePromotionRule{db1},
             SetPool{"p", {}, {}}, PutHostnameUnresolve{db1, ""}, Acknowledge{{1}, "", "", {}}}) {
        apply_command(s, c, {}, &changes);
    }
    EXPECT_TRUE(changes.empty());
    EXPECT_EQ(s.next_id, 1);
}

TEST(State, AnUnchangedInstanceIsNotWrittenAgain) {
    State s;
    Changes changes;
    apply_command(s, PutInstance{sample_instance()}, {}, &changes);
    apply_command(s, PutInstance{sample_instance()}, {}, &changes);
    EXPECT_EQ(changes.size(), 1u);
}

TEST(State, MemberSlotsGoWithTheirCluster) {
    State s;
    Changes changes;
    const InstanceKey holder{"db1", 5432};
    apply_command(s, PutMemberSlot{{holder, "db2", {"db2", 5432}, "7000"}}, {}, &changes);
    apply_command(s, PutMemberSlot{{holder, "db2", {"db2", 5432}, "7000"}}, {}, &changes);
    EXPECT_EQ(changes.size(), 1u) << "the same again is no change";
    apply_command(s, PutMemberSlot{{holder, "db3", {"db3", 5432}, "7001"}}, {}, &changes);
    apply_command(s, ForgetCluster{"7000"}, {}, &changes);
    ASSERT_EQ(s.member_slots.size(), 1u);
    EXPECT_EQ(s.member_slots.begin()->second.name, "db3");
    EXPECT_EQ(changes.size(), 3u);
}

TEST(State, AnEpochOnlyGrows) {
    State s;
    Changes changes;
    for (const uint64_t epoch : {4u, 3u, 4u})
        apply_command(s, PutEpoch{epoch}, {}, &changes);
    EXPECT_EQ(s.epoch, 4u);
    EXPECT_EQ(changes.size(), 1u);
}

TEST(State, FindsRecoveries) {
    State s;
    s.apply(PutRecovery{recovery(1, RecoveryState::running)}, {});
    s.apply(PutRecovery{recovery(2, RecoveryState::failed)}, {});
    ASSERT_NE(s.recovery_by_uid("uid2"), nullptr);
    EXPECT_EQ(s.recovery_by_uid("uid2")->id, 2);
    EXPECT_EQ(s.recovery_by_uid("uid3"), nullptr);
    ASSERT_NE(s.running_recovery("c1"), nullptr);
    EXPECT_EQ(s.running_recovery("c1")->id, 1);
    EXPECT_EQ(s.running_recovery("c2"), nullptr);
}

}  // namespace
}  // namespace baton::store::test
