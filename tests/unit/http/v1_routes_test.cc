#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "http/v1/answer.h"
#include "http/v1/routes.h"
#include "v1_harness.h"

namespace baton::http {
namespace {

using namespace baton::http::testing;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

TEST(V1Routes, TableIsOrchestrators) {
    std::vector<std::string> here;
    for (const auto& route : v1_routes()) {
        EXPECT_EQ(route.method, "GET");
        EXPECT_FALSE(route.doc.empty()) << route.pattern;
        here.push_back(route.pattern + (route.needs_write ? " write" : " read"));
    }
    auto wanted = lines_of("v1_routes.txt");
    std::ranges::sort(here);
    std::ranges::sort(wanted);
    std::vector<std::string> missing, beyond;
    std::ranges::set_difference(wanted, here, std::back_inserter(missing));
    std::ranges::set_difference(here, wanted, std::back_inserter(beyond));
    EXPECT_THAT(missing, IsEmpty());
    EXPECT_THAT(beyond, IsEmpty());
}

TEST(V1Routes, NoTwoPatternsMeanTheSame) {
    EXPECT_THAT(Router(v1_routes(), "").duplicates(), IsEmpty());
}

/// Every route answers something sensible to arguments that make no sense: an answer with a JSON body, never
/// a crash.
TEST(V1Routes, NoArgumentIsTrusted) {
    V1World world;
    for (const auto& route : v1_routes()) {
        for (const std::string value : {"x", "5432", "-1", "99999999999999999999", "\x01\"<"}) {
            std::string path;
            for (const auto& segment : split(route.pattern.substr(5), '/')) {
                path += (path.empty() ? "" : "/") + (segment.starts_with(':') ? value : segment);
            }
            const auto response = world.get(path);
            EXPECT_TRUE(response.status == 200 || response.status == 500) << path;
            boost::system::error_code code;
            boost::json::parse(response.body, code);
            EXPECT_FALSE(code) << path << ": " << response.body;
        }
    }
}

struct Exchange {
    const char* path;
    int status;
    const char* body;
};

void PrintTo(const Exchange& e, std::ostream* out) {
    *out << e.path;
}

class V1Answer : public ::testing::TestWithParam<Exchange> {};

TEST_P(V1Answer, IsAsOrchestratorGivesIt) {
    V1World world;
    const auto response = world.get(GetParam().path);
    EXPECT_EQ(response.body, GetParam().body);
    EXPECT_EQ(response.status, GetParam().status);
}

#define ERROR_ENVELOPE(message) "{\"Code\":\"ERROR\",\"Message\":\"" message "\",\"Details\":null}"
#define KEY(host) "{\"Hostname\":\"" host "\",\"Port\":5432}"

INSTANTIATE_TEST_SUITE_P(
    Reading, V1Answer,
    ::testing::Values(
        Exchange{"clusters", 200, R"(["db1:5432"])"}, Exchange{"problems", 200, "null"},
        Exchange{"downtimed", 200, "[]"}, Exchange{"audit", 200, "[]"}, Exchange{"tags/db2/5432", 200, "[]"},
        Exchange{"maintenance", 200, "[]"}, Exchange{"blocked-recoveries", 200, "[]"},
        Exchange{"replication-analysis-changelog", 200, "null"},
        Exchange{"replication-analysis", 200, R"({"Code":"OK","Message":"Analysis","Details":[]})"},
        Exchange{"leader-check", 200, R"("OK")"}, Exchange{"lb-check", 200, R"("OK")"},
        Exchange{"bulk-instances", 200, "[" KEY("db1") "," KEY("db2") "," KEY("db3") "]"},
        Exchange{"instance/db9/5432", 500, ERROR_ENVELOPE("Cannot read instance: db9:5432")},
        Exchange{"cluster/nosuch", 500,
                 ERROR_ENVELOPE("Unable to determine cluster name. clusterHint=nosuch")},
        Exchange{"check-global-recoveries", 200,
                 R"({"Code":"OK","Message":"Global recoveries enabled","Details":"enabled"})"},
        Exchange{"automated-recovery-filters", 200,
                 R"({"Code":"OK","Message":"Automated recovery configuration details","Details":)"
                 R"({"RecoverIntermediateMasterClusterFilters":[],"RecoverMasterClusterFilters":[],)"
                 R"("RecoveryIgnoreHostnameFilters":[]}})"},
        Exchange{"raft-state", 500, ERROR_ENVELOPE("raft-state: not running with raft setup")},
        Exchange{"agents", 500, ERROR_ENVELOPE("Agents not served")}, Exchange{"tagged?tag=role", 200, "[]"},
        Exchange{"tagged?tag=~role", 200, "[" KEY("db1") "," KEY("db2") "," KEY("db3") "]"},
        Exchange{"can-replicate-from/db2/5432/db1/5432", 200,
                 R"({"Code":"OK","Message":"true","Details":)" KEY("db1") "}"}));

INSTANTIATE_TEST_SUITE_P(
    Writing, V1Answer,
    ::testing::Values(
        Exchange{"begin-downtime/db2/5432/ops/test/10m", 200,
                 R"({"Code":"OK","Message":"Downtime begun: db2:5432","Details":)" KEY("db2") "}"},
        Exchange{"end-downtime/db2/5432", 200,
                 R"({"Code":"OK","Message":"Downtime ended: db2:5432","Details":)" KEY("db2") "}"},
        Exchange{"disable-global-recoveries", 200,
                 R"({"Code":"OK","Message":"Globally disabled recoveries","Details":"disabled"})"},
        Exchange{"register-candidate/db2/5432/bogus", 500,
                 ERROR_ENVELOPE("Invalid CandidatePromotionRule: bogus")},
        Exchange{"ack-all-recoveries", 500, ERROR_ENVELOPE("No acknowledge comment given")},
        Exchange{"ack-recovery/cluster/shop", 500, ERROR_ENVELOPE("No acknowledge comment given")},
        Exchange{"ack-recovery/cluster/shop?comment=drill", 200,
                 R"({"Code":"OK","Message":"Acknowledged cluster recoveries","Details":"db1:5432"})"},
        Exchange{"ack-all-recoveries?comment=drill", 200,
                 R"({"Code":"OK","Message":"Acknowledged all recoveries","Details":"drill"})"},
        Exchange{"recover/db1/5432", 200,
                 R"({"Code":"OK","Message":"Recovery executed on db1:5432","Details":)" KEY("db1") "}"},
        Exchange{"force-master-takeover/shop/db9/5432", 500, ERROR_ENVELOPE("Instance not found: db9:5432")},
        Exchange{"force-master-failover/nosuch", 500,
                 ERROR_ENVELOPE("Unable to determine cluster name. clusterHint=nosuch")},
        Exchange{
            "reload-cluster-alias", 500,
            ERROR_ENVELOPE("This API call has been retired: an alias is in force as soon as it is set")}));

TEST(V1Routes, ClusterIsFoundByAllItsNames) {
    V1World world;
    for (const std::string hint : {"db1:5432", "db0:5432", "shop", "shop.db.example.com", "db3:5432"}) {
        EXPECT_EQ(world.json("cluster-info/" + hint).at("ClusterName").as_string(), "db1:5432") << hint;
    }
    world.control.change_config([](config::Config& c) { c.DefaultInstancePort = 5432; });
    EXPECT_EQ(world.get("cluster-info/db2").status, 200);
    EXPECT_EQ(world.message("topology/db0/5432"), "Topology for cluster db1:5432") << "a former name";
    EXPECT_EQ(world.get("cluster/instance/db0/5432").status, 200);
    EXPECT_EQ(world.message("topology/db9/5432"), "Cannot read instance: db9:5432");
}

TEST(V1Routes, InstancesComeByDepthThenKey) {
    V1World world;
    std::vector<std::string> hosts;
    for (const auto& i : world.json("all-instances").as_array()) {
        hosts.emplace_back(i.at("Key").at("Hostname").as_string());
    }
    EXPECT_THAT(hosts, ElementsAre("db1", "db2", "db3"));
    EXPECT_EQ(world.json("search/ DB3\n").as_array().size(), 1U);
    EXPECT_EQ(world.json("search?s=15.18").as_array().size(), 3U);
    EXPECT_EQ(world.json("instance-replicas/db1/5432").as_array().size(), 2U);
    EXPECT_EQ(world.json("masters").as_array().size(), 1U);
}

TEST(V1Routes, CommandsReachTheControlThread) {
    V1World world;
    world.get("relocate/db2/5432/db3/5432");
    world.get("begin-downtime/db3/5432/ops/long job\n/2h");
    world.get("recover-lite/db1/5432/db2/5432");
    world.get("stop-slave/db2/5432");
    const auto calls = world.control.calls();
    EXPECT_THAT(calls, Contains(HasSubstr("relocate db2:5432 db3:5432 by alice")));
    EXPECT_THAT(calls, Contains(HasSubstr("begin_downtime db3:5432 7200s long job by ops")));
    EXPECT_THAT(calls, Contains(HasSubstr("recover db1:5432 candidate=db2:5432 skip_hooks by alice")));
    EXPECT_THAT(calls, Contains(HasSubstr("pause_replication db2:5432")));
}

TEST(V1Routes, ErrorsOfTheControlThreadAreTold) {
    V1World world;
    world.control.failures["relocate"] = {
        .kind = ErrorKind::refused_by_policy, .message = "it is ahead of db3:5432", .who = "db2:5432"};
    const auto response = world.get("relocate/db2/5432/db3/5432");
    EXPECT_EQ(response.status, 500);
    EXPECT_EQ(response.body, ERROR_ENVELOPE("db2:5432: it is ahead of db3:5432"));
}

TEST(V1Routes, BadPortAndDurationAreNamed) {
    V1World world;
    for (const std::string port : {"abc", "0", "70000", "-1"}) {
        EXPECT_THAT(world.message("discover/db1/" + port), HasSubstr("Invalid port: " + port));
    }
    for (const std::string text : {"10", "m", "1y", "-5m", "99999999999999999999w", "5000000000w"}) {
        EXPECT_THAT(world.message("begin-downtime/db1/5432/o/r/" + text),
                    HasSubstr("Cannot parse duration: " + text));
    }
}

TEST(V1Routes, Durations) {
    const std::pair<const char*, int64_t> cases[] = {{"30s", 30},    {"10m", 600},   {"2h", 7200},
                                                     {"3d", 259200}, {"1w", 604800}, {"0s", 0}};
    for (const auto& [text, expected] : cases)
        EXPECT_EQ(v1::parse_duration(text)->count(), expected) << text;
}

TEST(V1Routes, MysqlOperationsSayWhatToUse) {
    V1World world;
    EXPECT_EQ(world.message("move-below-gtid/db2/5432/db3/5432"),
              "move-below-gtid is a MySQL operation; db2:5432 is PostgreSQL: use relocate");
    EXPECT_EQ(world.message("match-below/db2/5432/db3/5432"),
              "match-below is a MySQL operation; db2:5432 is PostgreSQL: use relocate");
    EXPECT_EQ(world.message("stop-replica-nice/db2/5432"),
              "stop-replica-nice is a MySQL operation; db2:5432 is PostgreSQL: use stop-replica");
    EXPECT_EQ(world.message("enable-gtid/db9/5432"), "Cannot read instance: db9:5432");
}

TEST(V1Routes, TakeoverChecksBeforeItRefuses) {
    V1World world;
    EXPECT_THAT(world.message("graceful-master-takeover/shop"),
                HasSubstr("target instance not indicated, auto=false"));
    EXPECT_THAT(world.message("graceful-master-takeover/shop/db1/5432"),
                HasSubstr("must be directly replicating from the master db1:5432"));
    world.control.change_config([](config::Config& c) { c.PromotionIgnoreHostnameFilters = {"db2"}; });
    EXPECT_THAT(world.message("graceful-master-takeover/shop/db2/5432"),
                HasSubstr("PromotionIgnoreHostnameFilters"));
    world.set_instances({sample_primary()});
    EXPECT_EQ(world.message("graceful-master-takeover/shop"),
              "Master db1:5432 doesn't seem to have replicas");
    world.set_instances({sample_standby("db2:5432")});
    EXPECT_EQ(world.message("graceful-master-takeover/shop"), "Cannot deduce cluster master for shop");
}

TEST(V1Routes, PlannedTakeoverAnswersAsOrchestratorDoes) {
    V1World world;
    const auto done = world.json("graceful-master-takeover/shop/db2/5432");
    EXPECT_EQ(done.at("Message").as_string(), "graceful-master-takeover: successor promoted");
    EXPECT_EQ(done.at("Details").at("SuccessorKey").at("Hostname").as_string(), "db1");
    EXPECT_THAT(world.control.calls(), Contains(HasSubstr("to db2:5432 by")));
    EXPECT_EQ(world.message("graceful-master-takeover-auto/db3/5432"),
              "graceful-master-takeover: successor promoted");
    world.control.switchover_outcome =
        control::SwitchoverOutcome{.obstacles = {"no agent guards db1:5432", "a disk is full"}};
    EXPECT_EQ(world.message("graceful-master-takeover-auto/shop"),
              "graceful-master-takeover: not begun: no agent guards db1:5432; a disk is full");
    world.control.switchover_outcome->attempted = true;
    world.control.switchover_outcome->recovery.errors = {"db2:5432: no answer"};
    const auto undone = world.json("graceful-master-takeover-auto/shop");
    EXPECT_EQ(undone.at("Code").as_string(), "ERROR");
    EXPECT_EQ(undone.at("Message").as_string(),
              "graceful-master-takeover: no successor promoted: db2:5432: no answer");
    EXPECT_TRUE(undone.at("Details").at("SuccessorKey").is_null());
    world.control.failures["switchover"] = {ErrorKind::conflict, "a switchover is under way", "db1:5432"};
    EXPECT_THAT(world.message("graceful-master-takeover-auto/shop"), HasSubstr("a switchover is under way"));
}

TEST(V1Routes, ForcedTakeoverOnlyOfADirectReplica) {
    V1World world;
    world.set_instances(
        {sample_primary(), sample_standby("db2:5432"), sample_standby("db3:5432", "db2:5432")});
    EXPECT_EQ(
        world.message("force-master-takeover/shop/db3/5432"),
        "You may only promote a direct child of the master db1:5432. The master of db3:5432 is db2:5432.");
    const auto done = world.json("force-master-takeover/shop/db2/5432");
    EXPECT_EQ(done.at("Message").as_string(), "Master failed over");
    EXPECT_EQ(done.at("Details").at("SuccessorKey").at("Hostname").as_string(), "db1");
    EXPECT_THAT(world.control.calls(),
                Contains(HasSubstr("candidate=db2:5432 force hint=force-master-takeover")));
}

TEST(V1Routes, RecoveryThatDidNotHappenSaysWhy) {
    V1World world;
    world.control.outcome = control::RecoveryOutcome{
        .recovery = {}, .attempted = false, .not_attempted_because = "db1:5432 has no problem"};
    const auto recover = world.json("recover/db1/5432");
    EXPECT_EQ(recover.at("Message").as_string(), "Recovery not attempted: db1:5432 has no problem");
    EXPECT_EQ(recover.at("Details").at("Hostname").as_string(), "db1");
    EXPECT_THAT(world.message("force-master-failover/shop"), HasSubstr("Master not failed over"));
    world.control.outcome->attempted = true;
    EXPECT_EQ(world.message("recover/db1/5432"), "Recovery attempted but no instance promoted");
}

TEST(V1Routes, RecoveriesByEveryFilter) {
    V1World world;
    const auto uid = sample_recovery().uid;
    for (const std::string path :
         {"audit-recovery", "audit-recovery/0", "audit-recovery/nonsense", "audit-recovery/id/17",
          "audit-recovery/alias/shop", "audit-recovery/cluster/db0:5432"}) {
        EXPECT_EQ(world.json(path).as_array().size(), 1U) << path;
    }
    EXPECT_EQ(world.json("audit-recovery/uid/" + uid).as_array().size(), 1U);
    EXPECT_EQ(world.json("audit-recovery-steps/" + uid).as_array().size(), 2U);
    EXPECT_EQ(world.json("audit-recovery/1").as_array().size(), 0U);
    EXPECT_EQ(world.json("active-cluster-recovery/shop").as_array().size(), 0U);
    EXPECT_THAT(world.message("audit-recovery/id/x"), HasSubstr("Invalid id: x"));
    world.get("ack-recovery/instance/db0/5432?comment=seen");
    EXPECT_EQ(world.json("audit-recovery?unacknowledged=true").as_array().size(), 0U);
}

TEST(V1Routes, TagsAreSelected) {
    V1World world;
    auto db2 = sample_standby("db2:5432"), db3 = sample_standby("db3:5432");
    db2.tags = {{"role", "backup"}, {"drained", ""}};
    db3.tags = {{"role", "reader"}};
    world.set_instances({sample_primary(), db2, db3});
    const auto count = [&](const std::string& selector) {
        return world.json("tagged?tag=" + selector).as_array().size();
    };
    EXPECT_EQ(count("role"), 2U);
    EXPECT_EQ(count("role=backup"), 1U);
    EXPECT_EQ(count("role,~drained"), 1U);
    EXPECT_EQ(count("!role=backup"), 2U);
    EXPECT_EQ(world.get("tags/db2/5432").body, R"(["drained=","role=backup"])");
    EXPECT_EQ(world.get("tag-value/db2/5432?tag=role").body, R"("backup")");
    EXPECT_EQ(world.message("tag-value/db3/5432/drained"), "tag drained not found for db3:5432");
    EXPECT_THAT(world.message("untag-all?tag=role"), HasSubstr("needs a value"));
    EXPECT_THAT(world.message("tagged?tag=~"), HasSubstr("Unable to parse tag: '~'"));
}

TEST(V1Routes, AnalysisIsOneEntryForEachServer) {
    V1World world;
    const auto problem = [](const char* name, analysis::Code code) {
        analysis::Problem p;
        p.instance = key_of(name);
        p.cluster_id = sample_cluster_id;
        p.code = code;
        return p;
    };
    const auto problems = std::make_shared<const std::vector<analysis::Problem>>(
        std::vector{problem("db1:5432", analysis::Code::slow_promotion_setting),
                    problem("db1:5432", analysis::Code::dead_primary),
                    problem("db2:5432", analysis::Code::replay_paused)});
    world.control.change_view([&](control::View& v) { v.problems = problems; });
    const auto details = world.json("replication-analysis/shop").at("Details").as_array();
    ASSERT_EQ(details.size(), 2U);
    EXPECT_EQ(details[0].at("Analysis").as_string(), "DeadPrimary");
    EXPECT_EQ(boost::json::serialize(details[0].at("StructureAnalysis")), R"(["SlowPromotionSetting"])");
    EXPECT_EQ(world.json("replication-analysis/instance/db2/5432").at("Details").as_array().size(), 1U);
}

TEST(V1Routes, HealthTellsTheReason) {
    V1World world;
    EXPECT_EQ(world.message("health"), "Application node is healthy");
    world.control.unhealthy = Error{.kind = ErrorKind::io, .message = "disk full"};
    const auto response = world.get("health");
    EXPECT_EQ(response.status, 500);
    EXPECT_THAT(response.body, HasSubstr("Application node is unhealthy disk full"));
    EXPECT_THAT(response.body, HasSubstr(R"("Error":{})"));
}

TEST(V1Routes, AThousandInstancesInOneAnswer) {
    V1World world;
    world.control.change_view([](control::View& v) { v.topology = wide_topology(1000); });
    const auto before = std::chrono::steady_clock::now();
    const auto response = world.get("cluster/shop");
    const std::chrono::duration<double, std::milli> took = std::chrono::steady_clock::now() - before;
    RecordProperty("milliseconds", std::to_string(took.count()));
    EXPECT_EQ(boost::json::parse(response.body).as_array().size(), 1000U);
}

TEST(V1Routes, PoolsAndMetrics) {
    V1World world;
    world.on_control([](FakeControl& c) {
        c.state.pools["readers"] = {sample_wall, {key_of("db2:5432"), key_of("other:5432")}};
        c.discovery_figures = {{sample_wall, key_of("db1:5432"), 0.5, ""},
                               {sample_wall, key_of("db2:5432"), 1.5, "timeout"}};
        return true;
    });
    EXPECT_EQ(boost::json::serialize(world.json("cluster-pool-instances/shop").at("Details")),
              R"({"readers":[{"Hostname":"db2","Port":5432}]})");
    EXPECT_EQ(world.json("heuristic-cluster-pool-instances/shop/readers").at("Details").as_array().size(),
              1U);
    EXPECT_EQ(world.json("heuristic-cluster-pool-lag/shop").at("Details").as_int64(), 0);
    const auto figures = world.json("discovery-metrics-aggregated/60");
    EXPECT_EQ(figures.at("CountDistinctFailedInstanceKeys").as_int64(), 1);
    EXPECT_EQ(figures.at("FailedMaxTotalSeconds").to_number<double>(), 1.5);
    EXPECT_EQ(world.json("discovery-metrics-raw/60").as_array().size(), 2U);
    EXPECT_THAT(world.message("discovery-metrics-raw/0"), HasSubstr("Invalid seconds: 0"));
}

/// In orchestrator's shape; what has no meaning here is empty.
TEST(V1Agents, AreShownWhereTheyAreServed) {
    V1World world;
    world.control.change_config([](config::Config& c) { c.ServeAgentsHttp = true; });
    EXPECT_EQ(world.get("agents").body, "[]");
    EXPECT_EQ(world.message("agent/host1"), "No such agent: host1");
    world.control.change_view([](control::View& v) {
        agent::Seen seen;
        seen.host = "host1";
        seen.heard = sample_now - seconds(10);
        seen.status.key = key_of("db1:5433");
        seen.status.state = topology::ServerState::running;
        seen.status.data_directory = "/data/15";
        seen.status.data_disk = topology::Disk{.path = "/data", .total_bytes = 100, .free_bytes = 40};
        v.agents = std::make_shared<const std::vector<agent::Seen>>(1, seen);
    });
    const std::string one =
        R"({"Hostname":"host1","Port":0,"Token":"","LastSubmitted":"2026-11-20 09:59:50","AvailableLocalSnapshots":[],)"
        R"("AvailableSnapshots":[],"LogicalVolumes":[],"MountPoint":{"Path":"/data","Device":"","LVPath":"","FileSystem":"",)"
        R"("IsMounted":true,"DiskUsage":60,"MySQLDataPath":"/data/15","MySQLDiskUsage":0},"MySQLRunning":true,)"
        R"("MySQLDiskUsage":60,"MySQLPort":5433,"MySQLDatadirDiskFree":40,"MySQLErrorLogTail":[]})";
    EXPECT_EQ(world.get("agents").body, "[" + one + "]");
    EXPECT_EQ(world.get("agent/host1").body, one);
    EXPECT_EQ(world.get("agents-hosts").body, R"(["host1"])");
    EXPECT_EQ(world.get("agents-instances?format=txt").body, "db1:5433");
    EXPECT_EQ(world.get("agent-ping").body, R"("OK")");
    EXPECT_EQ(world.get("agent-umount/host1").status, 500);
}

}  // namespace
}  // namespace baton::http
