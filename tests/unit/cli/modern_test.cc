#include "cli/modern.h"

#include <gmock/gmock.h>

#include "base/text.h"
#include "cli/help.h"
#include "fake_world.h"

namespace baton::cli {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;

const std::string uid =
    "1795170833043899958:9ff16eeffcaee98ab0718d9927d6d7c967249a4ba29e5484b4503427e4443049";
const std::string cluster =
    R"({"ClusterName":"db1:5432","ClusterAlias":"shop","CountInstances":3,"HeuristicLag":0,"HasAutomatedMasterRecovery":true})";
const std::string standby =
    R"({"Key":{"Hostname":"db2","Port":5432},"MasterKey":{"Hostname":"db1","Port":5432},"ReadOnly":true,"IsLastCheckValid":true,)"
    R"("ReplicationLagSeconds":{"Int64":4,"Valid":true},"Version":"15.8","FlavorName":"PostgreSQL","ClusterName":"db1:5432",)"
    R"("SuggestedClusterAlias":"shop","Problems":["replication_lag"],"PromotionRule":"prefer","Replicas":[],)"
    R"("SelfBinlogCoordinates":{"LogFile":"wal","LogPos":7,"Type":0}})";
const std::string primary =
    R"({"Key":{"Hostname":"db1","Port":5432},"MasterKey":{"Hostname":"","Port":0},"ReadOnly":false,"IsLastCheckValid":true,)"
    R"("ReplicationLagSeconds":{"Int64":0,"Valid":false},"Version":"15.8","ClusterName":"db1:5432","Problems":[],"PromotionRule":"neutral"})";
const std::string recovery =
    R"({"UID":")" + uid +
    R"(","AnalysisEntry":{"AnalyzedInstanceKey":{"Hostname":"db1","Port":5432},"Analysis":"DeadMaster",)"
    R"("ClusterDetails":{"ClusterName":"db1:5432","ClusterAlias":"shop"}},"SuccessorKey":{"Hostname":"db2","Port":5432},)"
    R"("IsSuccessful":true,"Acknowledged":false,"RecoveryStartTimestamp":"2026-11-20T10:33:53Z",)"
    R"("RecoveryEndTimestamp":"2026-11-20 10:33:54"})";

const std::string guarded =
    R"({"Key":{"Hostname":"db1","Port":5432},"ClusterName":"db1:5432","Agent":"f00d","Host":"host1","Version":"0.1.0",)"
    R"("Address":"10.0.0.1","PeerAddress":"host1:3002","Connected":true,"LastHeardMilliseconds":120,"State":"running",)"
    R"("Hold":"none","Quarantine":"","LastFailure":"","ServerVersion":"15.18","DataDirectory":"/data",)"
    R"("DataDisk":{"Path":"/data","Health":"good","TotalBytes":21474836480,"FreeBytes":10737418240},"WalDisk":null,)"
    R"("Lease":{"On":true,"HeldBy":"heartbeat","Promotable":[{"Hostname":"db2","Port":5432}]},"Job":null})";
const std::string cloning =
    R"({"Key":{"Hostname":"db2","Port":5432},"ClusterName":"","Version":"0.1.0","Connected":false,"LastHeardMilliseconds":75000,)"
    R"("State":"down","Hold":"fenced","DataDisk":{"Health":"full","FreeBytes":1536},"Lease":{"On":false},)"
    R"("Job":{"Verb":"clone","Phase":"copying","DoneBytes":1048576,"TotalBytes":2097152,"BytesPerSecond":524288,"EtaSeconds":2}})";

struct Row {
    std::string line;
    std::string path;
    std::string body;
    std::string out;
};

TEST(ModernCommands, AskTheirRouteAndPrint) {
    const std::vector<Row> rows = {
        {"clusters", "clusters-info", "[" + cluster + "]",
         "CLUSTER   ALIAS  INSTANCES  LAG  AUTOMATIC RECOVERY\ndb1:5432  shop   3          0s   on\n"},
        {"clusters", "clusters-info", "[]", "no clusters yet: baton discover HOST:PORT\n"},
        {"topology shop", "topology/shop", ok(R"("db1:5432 [0s,ok]")"), "db1:5432 [0s,ok]\n"},
        {"tree shop", "topology/shop", ok(R"("db1:5432 [0s,ok]")"), "db1:5432 [0s,ok]\n"},
        {"instances shop", "cluster/shop", "[" + primary + "," + standby + "]",
         "INSTANCE  ROLE     STATE            LAG  FOLLOWS   VERSION  CLUSTER   NOTES\n"
         "db1:5432  primary  ok               -    -         15.8     db1:5432\n"
         "db2:5432  standby  replication_lag  4s   db1:5432  15.8     shop      prefer\n"},
        {"primaries", "masters", "null", "no instances\n"},
        {"discover db1", "discover/db1/5432", ok(primary, "Instance discovered: db1:5432"),
         "Instance discovered: db1:5432\n"},
        {"forget db4:5433", "forget/db4/5433", ok("null", "Instance forgotten: db4:5433"),
         "Instance forgotten: db4:5433\n"},
        {"forget-cluster old", "forget-cluster/old", ok("null", "Cluster forgotten: old"),
         "Cluster forgotten: old\n"},
        {"set-alias db1:5432 shop", "set-cluster-alias/db1:5432?alias=shop", ok("null", "done"), "done\n"},
        {"recover db1:5432 db2:5432", "recover/db1/5432/db2/5432", ok(R"({"Hostname":"db2","Port":5432})"),
         "promoted db2:5432\n"},
        {"failover shop", "force-master-failover/shop", ok(recovery),
         "promoted db2:5432\nbaton timeline " + uid + "\n"},
        {"failover shop db2", "force-master-takeover/shop/db2/5432", ok(recovery),
         "promoted db2:5432\nbaton timeline " + uid + "\n"},
        {"switchover shop", "v2/clusters/shop/switchover", ok(recovery),
         "promoted db2:5432\nbaton timeline " + uid + "\n"},
        {"switchover shop --to db2", "v2/clusters/shop/switchover?to=db2:5432", ok(recovery),
         "promoted db2:5432\nbaton timeline " + uid + "\n"},
        {"switchover shop --dry-run --to db2:5432", "v2/clusters/shop/switchover/plan?to=db2:5432",
         ok(R"({"Text":"switchover for db1:5432\n","Obstacles":[]})"), "switchover for db1:5432\n"},
        {"switchover shop --at +30m", "v2/clusters/shop/switchover?at=%2B30m",
         ok(R"({"ClusterName":"db1:5432","Candidate":"","At":"2026-11-20T11:00:00Z"})"),
         "a switchover of db1:5432 to the best replica begins at 2026-11-20T11:00:00Z\n"},
        {"switchover shop --at 2026-11-20T11:00:00Z --to db2",
         "v2/clusters/shop/switchover?at=2026-11-20T11:00:00Z&to=db2:5432",
         ok(R"({"ClusterName":"db1:5432","Candidate":"db2:5432","At":"2026-11-20T11:00:00Z"})"),
         "a switchover of db1:5432 to db2:5432 begins at 2026-11-20T11:00:00Z\n"},
        {"switchover shop --cancel", "v2/clusters/shop/switchover/cancel",
         ok(R"({"ClusterName":"db1:5432","At":"2026-11-20T11:00:00Z"})"),
         "the switchover of db1:5432 that was to begin at 2026-11-20T11:00:00Z is cancelled\n"},
        {"relocate db2 db1", "relocate/db2/5432/db1/5432", ok(standby), "db2:5432 follows db1:5432\n"},
        {"move-up db2:5432", "move-up/db2/5432", ok(standby), "db2:5432 follows db1:5432\n"},
        {"move-below db2 db1", "move-below/db2/5432/db1/5432", ok(standby), "db2:5432 follows db1:5432\n"},
        {"repoint db2 db1", "repoint/db2/5432/db1/5432", ok(standby), "db2:5432 follows db1:5432\n"},
        {"relocate-replicas db3 db1", "relocate-replicas/db3/5432/db1/5432",
         ok("[" + standby + "]", "Moved 1 replica"), "Moved 1 replica\ndb2:5432 follows db1:5432\n"},
        {"regroup-replicas db1", "regroup-replicas/db1/5432",
         ok(R"({"Hostname":"db2","Port":5432})", "promoted replica: db2:5432, lost: 0"),
         "promoted replica: db2:5432, lost: 0\n"},
        {"recoveries shop", "audit-recovery/cluster/shop", "[]", "no recoveries\n"},
        {"blocked", "blocked-recoveries", "[]", "nothing is blocked\n"},
        {"maintenance", "maintenance", "[]", "nothing is in maintenance\n"},
        {"maintenance db2 --reason x", "begin-maintenance/db2/5432/ops/x", ok("null", "begun"), "begun\n"},
        {"downtime db2 --duration 2h -m disk", "begin-downtime/db2/5432/ops/disk/2h",
         ok("null", "Downtime begun: db2:5432"), "Downtime begun: db2:5432\n"},
        {"end-downtime db2", "end-downtime/db2/5432", ok("null", "ended"), "ended\n"},
        {"tag db2 role=x", "tag/db2/5432?tag=role%3Dx", ok("null", "tagged"), "tagged\n"},
        {"tags db2", "tags/db2/5432", R"(["role=x"])", "role=x\n"},
        {"untag db2 role", "untag/db2/5432?tag=role", ok("null", "1 removed"), "1 removed\n"},
        {"promotion-rule db2 must_not", "register-candidate/db2/5432/must_not", ok("null", "Registered"),
         "Registered\n"},
        {"disable-recoveries", "disable-global-recoveries",
         ok(R"("disabled")", "Globally disabled recoveries"), "Globally disabled recoveries\n"},
        {"ack shop --comment ok", "ack-recovery/cluster/shop?comment=ok", ok(R"("x")", "Acknowledged"),
         "Acknowledged\n"},
        {"ack " + uid + " --comment ok", "ack-recovery/uid/" + uid + "?comment=ok",
         ok(R"("x")", "Acknowledged"), "Acknowledged\n"},
        {"ack --all --comment ok", "ack-all-recoveries?comment=ok", ok(R"("ok")", "Acknowledged"),
         "Acknowledged\n"},
        {"agents", "v2/agents", R"({"status":"ok","data":[]})",
         "no host agent has connected (ServeAgentsHttp)\n"},
        {"agents", "v2/agents", R"({"status":"ok","data":[)" + guarded + "," + cloning + "]}",
         "SERVER    CLUSTER   AGENT           VERSION  STATE              LEASE         DISK                "
         "JOB\n"
         "db1:5432  db1:5432  connected       0.1.0    running            by heartbeat  10 GiB free         "
         "-\n"
         "db2:5432  -         lost 1m15s ago  0.1.0    down, kept fenced  off           full, 1.5 KiB free  "
         "clone: "
         "copying, 1.0 MiB of 2.0 MiB, 512 KiB/s, 2s left\n"},
        {"agents db1", "v2/agents/db1/5432", R"({"status":"ok","data":)" + guarded + "}",
         "server          db1:5432\ncluster         db1:5432\nagent           connected\nhost            "
         "host1\n"
         "agent version   0.1.0\nagent id        f00d\ncomes from      10.0.0.1\nvouches at      host1:3002\n"
         "state           running\nserver version  15.18\ndata directory  /data\ndata disk       10 GiB "
         "free\n"
         "lease           by heartbeat\nmay take over   db2:5432\n"},
        {"api v2/status", "v2/status", R"({"status":"ok","data":1})", "{\"status\":\"ok\",\"data\":1}\n"},
    };
    for (const auto& row : rows) {
        SCOPED_TRACE(row.line);
        FakeWorld world;
        world.http.replies[row.path] = {200, row.body};
        const auto got = world.baton(words(row.line));
        EXPECT_EQ(got.code, 0) << got.err;
        EXPECT_EQ(got.out, row.out);
        EXPECT_THAT(world.http.paths(), ElementsAre(row.path));
    }
}

TEST(ModernCommands, JsonIsTheContentWithoutItsWrapping) {
    FakeWorld world;
    world.is_terminal = true;
    world.http.replies["clusters-info"] = {200, "[" + cluster + "]"};
    world.http.replies["discover/db1/5432"] = {200, ok(R"({"Key":1})", "x")};
    world.http.replies["v2/problems"] = {200, R"({"status":"ok","data":[]})"};
    EXPECT_EQ(world.baton({"clusters", "--json"}).out, "[" + cluster + "]\n");
    EXPECT_EQ(world.baton({"--json", "discover", "db1"}).out, "{\"Key\":1}\n");
    EXPECT_EQ(world.baton({"problems", "--json"}).out, "[]\n");
}

TEST(ModernCommands, ExitCodesTellWhatWentWrong) {
    struct Case {
        const char* line;
        int code;
        const char* message;
    };
    const Case cases[] = {
        {"instance db9:1", exit_refused, "baton: Cannot read instance: db9:1\n"},
        {"instance", exit_usage, "baton: instance wants HOST:PORT\n"},
        {"relocate db1", exit_usage, "baton: relocate wants UPSTREAM\n"},
        {"clusters extra", exit_usage,
         "baton: clusters does not know what to do with \"extra\"; usage: baton clusters\n"},
        {"downtime db1", exit_usage, "baton: downtime wants --reason TEXT\n"},
        {"ack shop", exit_usage, "baton: ack wants --comment TEXT: why it may be ticked off\n"},
        {"topolgy", exit_usage,
         "baton: unknown command \"topolgy\", did you mean topology?; `baton help` lists all\n"},
        {"clusters --jsn", exit_usage, "baton: unknown option --jsn; did you mean --json?\n"},
        {"clusters --api", exit_usage, "baton: option --api wants a value: URL\n"},
        {"forget db1 --watch", exit_usage,
         "baton: --watch is for commands that only look; forget does not\n"},
        {"rejoin db1 --to db2", exit_usage,
         "baton: rejoin does not take --to; `baton rejoin --help` lists what it takes\n"},
        {"forget db1 --dry-run", exit_usage,
         "baton: forget does not take --dry-run; `baton forget --help` lists what it takes\n"},
        {"clusters --watch=soon", exit_usage, "baton: --watch wants seconds, not \"soon\"\n"},
    };
    for (const auto& one : cases) {
        FakeWorld world;
        world.http.replies["instance/db9/1"] = no("Cannot read instance: db9:1");
        const auto got = world.baton(words(one.line));
        EXPECT_EQ(got.code, one.code) << one.line;
        EXPECT_EQ(got.err, one.message) << one.line;
        EXPECT_EQ(got.out, "") << one.line;
    }
}

TEST(ModernCommands, AnUnreachableManagerIsExitCodeThree) {
    FakeWorld world;
    world.http.unreachable = Error{ErrorKind::refused, "connection refused"};
    const auto got = world.baton({"clusters", "--api", "http://m:3000"});
    EXPECT_EQ(got.code, exit_unreachable);
    EXPECT_EQ(got.err,
              "baton: cannot reach the API at http://m:3000/api: connection refused; is the manager running? "
              "Name its "
              "address with --api or BATON_API\n");
    EXPECT_LT(world.http.requests.size(), 8U);
    EXPECT_EQ(world.baton({"events"}).code, exit_unreachable);
}

TEST(ModernCommands, AllTopologiesWithoutACluster) {
    FakeWorld world;
    world.http.replies["clusters-info"] = {200, "[" + cluster + "," + cluster + "]"};
    world.http.replies["topology/db1:5432"] = {200, ok(R"("db1:5432 [0s,ok]")")};
    EXPECT_EQ(world.baton({"topology"}).out, "shop\ndb1:5432 [0s,ok]\n\nshop\ndb1:5432 [0s,ok]\n");
}

TEST(ModernCommands, ProblemsShowTheEvidence) {
    FakeWorld world;
    world.http.replies["v2/clusters/shop/problems"] = {
        200,
        R"({"status":"ok","data":[{"Code":"DeadPrimary","Severity":"critical","Instance":{"Hostname":"db1","Port":5432},)"
        R"("Description":"refused, 2 of 2 agree","ClusterName":"db1:5432","ClusterAlias":"shop"}]})"};
    world.http.replies["problems/shop"] = {200, "[" + standby + "," + primary + "]"};
    EXPECT_EQ(world.baton({"problems", "shop"}).out,
              "PROBLEM          INSTANCE  CLUSTER   WHAT\n"
              "DeadPrimary      db1:5432  shop      refused, 2 of 2 agree\n"
              "replication_lag  db2:5432  db1:5432  prefer\n");
    world.http.replies["v2/problems"] = {200, R"({"status":"ok","data":[]})"};
    world.http.replies["problems"] = {200, "null"};
    EXPECT_EQ(world.baton({"problems"}).out, "no problems\n");
}

TEST(ModernCommands, ProblemsFromAnApiWithoutV2) {
    FakeWorld world;
    world.http.replies["replication-analysis"] = {
        200,
        ok(R"([{"AnalyzedInstanceKey":{"Hostname":"db1","Port":5432},"Analysis":"DeadMaster","StructureAnalysis":["X"],)"
           R"("Description":"all agree","ClusterDetails":{"ClusterName":"db1:5432"}}])")};
    world.http.replies["problems"] = {200, "null"};
    EXPECT_EQ(world.baton({"problems"}).out,
              "PROBLEM        INSTANCE  CLUSTER   WHAT\nDeadMaster, X  db1:5432  db1:5432  all agree\n");
}

TEST(ModernCommands, TimelineOfTheLastRecoveryInMilliseconds) {
    FakeWorld world;
    world.http.replies["audit-recovery/cluster/shop"] = {200, "[" + recovery + "]"};
    std::string detail = recovery;
    detail.pop_back();
    detail += R"(,"Steps":[{"Message":"db1:5432 refused","ElapsedMilliseconds":0},)"
              R"({"Message":"promoted db2:5432","ElapsedMilliseconds":120.4}]})";
    world.http.replies["v2/recoveries/" + uid] = {200, R"({"status":"ok","data":)" + detail + "}"};
    const auto want =
        "DeadMaster on db1:5432, cluster db1:5432: successful, successor db2:5432\n"
        "      0.0 ms  db1:5432 refused\n"
        "    120.4 ms  promoted db2:5432\n";
    EXPECT_EQ(world.baton({"timeline", "shop"}).out, want);
    EXPECT_EQ(world.baton({"timeline", uid}).out, want);
}

TEST(ModernCommands, TimelineFromAnApiWithoutMilliseconds) {
    FakeWorld world;
    world.http.replies["audit-recovery/uid/" + uid] = {200, "[" + recovery + "]"};
    world.http.replies["audit-recovery-steps/" + uid] = {
        200,
        R"([{"AuditAt":"2026-11-20T23:59:59.900Z","Message":"a"},{"AuditAt":"2026-11-21T00:00:01.000Z","Message":"b"},{"AuditAt":"2026-11-21T00:00:02Z","Message":"c"}])"};
    EXPECT_THAT(world.baton({"timeline", uid}).out,
                HasSubstr("      0.0 ms  a\n   1100.0 ms  b\n2026-11-21T00:00:02Z  c\n"));
    world.http.replies["audit-recovery"] = {200, "[]"};
    EXPECT_EQ(world.baton({"timeline"}).err, "baton: there was no recovery yet\n");
}

TEST(ModernCommands, PlanSaysWhoAndWhyNotTheOthers) {
    FakeWorld world;
    world.http.replies["v2/clusters/shop/plan"] = {
        200,
        R"({"status":"ok","data":{"chosen":"db2:5432","why":"most advanced","rejected":[{"instance":{"Hostname":"db3","Port":5432},)"
        R"("reason":"must_not","detail":"set by an operator"}],"steps":[{"what":"promote db2:5432","irreversible":true}],)"
        R"("lost":["db4:5432"],"remarks":["no quorum"]}})"};
    EXPECT_EQ(world.baton({"plan", "shop"}).out,
              "would promote db2:5432\n  most advanced\n\n"
              "NOT PROMOTED  REASON    DETAIL\ndb3:5432      must_not  set by an operator\n\n"
              "STEPS\n  promote db2:5432  (point of no return)\ncannot follow: db4:5432\nno quorum\n");
    world.http.replies["v2/clusters/x/plan?candidate=db3:5432"] = {
        404, R"({"status":"error","error":{"code":"NOT_FOUND","message":"no cluster x"}})"};
    const auto got = world.baton({"plan", "x", "db3"});
    EXPECT_EQ(got.code, exit_refused);
    EXPECT_EQ(got.err, "baton: no cluster x\n");
}

TEST(ModernCommands, StatusOfManagerAndRecovery) {
    FakeWorld world;
    world.http.replies["health"] = {
        200,
        ok(R"({"Healthy":true,"Hostname":"m1","IsActiveNode":true,"ActiveNode":{"Hostname":"m1","AppVersion":"0.1.0"}})")};
    world.http.replies["check-global-recoveries"] = {200, ok(R"("disabled")")};
    world.http.replies["clusters-info"] = {200, "[" + cluster + "]"};
    const auto got = world.baton({"status"});
    EXPECT_EQ(got.code, 0);
    EXPECT_EQ(got.out,
              "manager    healthy on m1, version 0.1.0, leads\n"
              "recovery   switched off: baton enable-recoveries\n"
              "watching   3 instances in 1 clusters\n");
    world.http.replies["health"] = no("store is not writable", R"({"Healthy":false,"Hostname":"m1"})");
    EXPECT_EQ(world.baton({"status"}).code, exit_refused);
}

TEST(ModernCommands, EventsAreCutFromTheStreamAndTakenUpAgain) {
    FakeWorld world;
    world.http.stream_body =
        "retry: 1000\nevent: hello\ndata: {}\n\n: alive\n\nid: 7\nevent: problem\n"
        "data: {\"Code\":\"DeadPrimary\",\"Instance\":\"db1:5432\",\"ClusterName\":\"shop\"}\n\n"
        "id: 8\nevent: recovery-step\r\ndata: {\"Message\":\"promoted\"}\r\n\r\ndata: cut";
    world.rounds = 40;  // one whole stream, and a part of the next
    const auto got = world.baton({"events"});
    EXPECT_EQ(got.code, 0);
    EXPECT_TRUE(
        got.out.starts_with("10:30:53.000  problem         DeadPrimary db1:5432 (shop)\n"
                            "10:30:53.000  recovery-step   promoted\n"))
        << got.out;
    EXPECT_THAT(world.http.requests.at(1).headers, ElementsAre("Last-Event-ID: 8"));
    EXPECT_TRUE(
        world.baton({"events", "--json"}).out.starts_with("{\"event\":\"problem\",\"data\":{\"Code\""));
}

TEST(ModernCommands, EventsAsJsonAreJsonWhateverComes) {
    FakeWorld world;
    world.rounds = 40;
    world.http.stream_body = "id: a\rb\nevent: prob\"lem\ndata: not json\n\n";
    EXPECT_TRUE(world.baton({"events", "--json"})
                    .out.starts_with("{\"event\":\"prob\\\"lem\",\"data\":\"not json\"}\n"));
    world.http.stream_body = "event: a\ndata: \xeb\n\n";
    EXPECT_TRUE(
        world.baton({"events", "--json"}).out.starts_with("{\"event\":\"a\",\"data\":\"\\ufffd\"}\n"));
    for (const auto& request : world.http.requests)
        for (const auto& header : request.headers)
            EXPECT_EQ(header.find('\r'), std::string::npos) << header;
}

TEST(ModernCommands, NothingOfAnAnswerControlsTheTerminal) {
    FakeWorld world;
    world.rounds = 40;
    world.is_terminal = true;
    world.http.replies["instance/db1/5432"] = {
        200,
        R"({"Key":{"Hostname":"db1","Port":5432},"Version":"\u001b[2J","LastIOError":"\u009b2J\u0007"})"};
    const auto shown = world.baton({"instance", "db1:5432"}).out;
    EXPECT_THAT(shown, HasSubstr(R"(\x1b[2J)"));
    EXPECT_EQ(shown.find("\x1b[2J"), std::string::npos);
    EXPECT_EQ(shown.find('\a'), std::string::npos);
    world.http.replies["clusters-info"] = {502, "<html>\x1b[2J</html>"};
    EXPECT_EQ(world.baton({"clusters"}).err.find('\x1b'), std::string::npos);
    world.http.stream_body = "event: \x1b[2J\ndata: \x1b[2J\n\n";
    EXPECT_EQ(world.baton({"events"}).out.find("\x1b[2J"), std::string::npos);
}

TEST(ModernCommands, NumbersThatDoNotFitDoNoHarm) {
    FakeWorld world;
    world.http.replies["health"] = {200, R"({"Code":"OK","Message":"","Details":{"Healthy":true}})"};
    world.http.replies["check-global-recoveries"] = {200, ok("\"enabled\"")};
    world.http.replies["clusters-info"] = {
        200,
        R"([{"CountInstances":9223372036854775807},{"CountInstances":9223372036854775807},{"CountInstances":1e300}])"};
    EXPECT_EQ(world.baton({"status"}).code, exit_ok);
    for (const auto* seconds : {"nan", "-1e300", "1e300", "-1", "inf"})
        EXPECT_EQ(world.baton({"clusters", std::string("--watch=") + seconds}).code, exit_usage) << seconds;
}

TEST(ModernCommands, ARecoveryEventTellsItsStateAndSuccessor) {
    FakeWorld world;
    world.http.stream_body =
        "event: recovery\ndata: {\"cluster\":\"db1:5432\",\"code\":\"DeadPrimary\",\"failed\":\"db1:5432\","
        "\"state\":\"running\",\"successor\":\"\"}\n\n"
        "event: recovery\ndata: {\"cluster\":\"db1:5432\",\"code\":\"DeadPrimary\",\"failed\":\"db1:5432\","
        "\"state\":\"successful\",\"successor\":\"db2:5432\"}\n\n";
    world.rounds = 60;
    EXPECT_TRUE(world.baton({"events"})
                    .out.starts_with("10:30:53.000  recovery        DeadPrimary db1:5432 (db1:5432) running\n"
                                     "10:30:53.000  recovery        DeadPrimary db1:5432 (db1:5432) "
                                     "successful, successor db2:5432\n"));
}

TEST(ModernCommands, AnInstanceShowsItsRuleAndItsDowntimeApart) {
    FakeWorld world;
    const std::string start = R"({"Key":{"Hostname":"db1","Port":5432},"PromotionRule":"prefer")";
    world.http.replies["instance/db1/5432"] = {200, start + "}"};
    auto got = world.baton({"instance", "db1"});
    EXPECT_THAT(got.out, HasSubstr("promotion rule  prefer\n"));
    EXPECT_THAT(got.out, Not(HasSubstr("downtime")));
    world.http.replies["instance/db1/5432"] = {
        200, start + R"(,"IsDowntimed":true,"DowntimeReason":"disk","DowntimeOwner":"ops",)"
                     R"("DowntimeEndTimestamp":"2026-11-20 12:00:00"})"};
    got = world.baton({"instance", "db1"});
    EXPECT_THAT(got.out, HasSubstr("downtime        until 2026-11-20 12:00:00, by ops: disk\n"));
}

TEST(ModernCommands, WatchedJsonIsNothingButJson) {
    FakeWorld world;
    world.rounds = 2;
    world.http.replies["clusters-info"] = {200, "[]"};
    EXPECT_EQ(world.baton({"clusters", "--watch", "1", "--json"}).out, "[]\n[]\n");
}

TEST(ModernCommands, WatchLooksAgain) {
    FakeWorld world;
    world.rounds = 3;
    world.http.replies["clusters-info"] = {200, "[]"};
    auto got = world.baton({"clusters", "--watch", "0.5"});
    EXPECT_EQ(world.http.requests.size(), 3U);
    EXPECT_THAT(world.sleeps, ElementsAre(milliseconds(500), milliseconds(500), milliseconds(500)));
    EXPECT_THAT(got.out, HasSubstr("baton clusters  every 0.5 s  2026-11-20 10:30:53\n"));
    EXPECT_THAT(got.out, Not(HasSubstr("\x1b")));
    world.http.unreachable = Error{ErrorKind::refused, "refused"};
    world.is_terminal = true;
    got = world.baton({"clusters", "-w"});
    EXPECT_THAT(got.out, AllOf(HasSubstr("\x1b[H\x1b[2J"), HasSubstr("cannot reach the API")));
}

TEST(Colour, IsForTerminalsThatWantIt) {
    FakeWorld world;
    world.http.replies["topology/shop"] = {
        200, ok(R"("db1:5432   [0s,ok,15.8,rw]\n- db2:5432 [null,nonreplicating,15.8,ro,downtimed]")")};
    const std::string plain = world.baton({"topology", "shop"}).out;
    EXPECT_THAT(plain, Not(HasSubstr("\x1b")));
    world.is_terminal = true;
    std::string coloured = world.baton({"topology", "shop"}).out;
    EXPECT_THAT(coloured, HasSubstr("\x1b[32mok\x1b[0m"));
    EXPECT_THAT(coloured, HasSubstr("\x1b[31mnonreplicating\x1b[0m"));
    for (const std::string_view code : {"\x1b[0m", "\x1b[1m", "\x1b[2m", "\x1b[31m", "\x1b[32m", "\x1b[33m"})
        for (auto at = coloured.find(code); at != std::string::npos; at = coloured.find(code))
            coloured.erase(at, code.size());
    EXPECT_EQ(coloured, plain);
    world.environment["NO_COLOR"] = "1";
    EXPECT_EQ(world.baton({"topology", "shop"}).out, plain);
}

TEST(Help, EveryCommandExplainsItself) {
    FakeWorld world;
    const auto overview_text = world.baton({"help"}).out;
    EXPECT_EQ(world.baton({"--help"}).out, overview_text);
    EXPECT_EQ(overview_text, overview(Personality::baton));
    for (const std::string_view word :
         {"serve", "config check", "doctor", "certs", "completion", "Exit codes", "BATON_API"})
        EXPECT_THAT(overview_text, HasSubstr(std::string(word)));
    for (const auto& command : modern_commands()) {
        SCOPED_TRACE(command.name);
        const auto got = world.baton({std::string(command.name), "--help"});
        EXPECT_EQ(got.code, 0);
        EXPECT_THAT(got.out, AllOf(HasSubstr("Usage: baton " + std::string(command.name)),
                                   HasSubstr("Examples\n  baton "), HasSubstr("cannot be reached")));
        EXPECT_EQ(world.baton({"help", std::string(command.name)}).out, got.out);
        EXPECT_THAT(overview_text, HasSubstr("  " + std::string(command.name)));
        EXPECT_TRUE(command.view != nullptr || command.special != nullptr);
    }
    EXPECT_THAT(overview_text, Not(HasSubstr("--no-wait")));
    EXPECT_THAT(world.baton({"rejoin", "--help"}).out,
                AllOf(HasSubstr("--no-wait"), Not(HasSubstr("--to "))));
    EXPECT_THAT(world.baton({"help", "topolgy"}).err, HasSubstr("did you mean topology?"));
}

TEST(Help, ExamplesAreWellFormed) {
    for (const auto& command : modern_commands())
        for (const auto& example : split(command.examples, '\n')) {
            FakeWorld world;
            world.rounds = 2;
            EXPECT_NE(world.baton(words(example)).code, exit_usage) << example;
        }
}

TEST(Completion, HoldsEveryWord) {
    for (const std::string_view shell : {"bash", "zsh"}) {
        const auto script = completion(shell);
        ASSERT_TRUE(script);
        for (const auto word : all_words())
            EXPECT_THAT(*script, HasSubstr(std::string(word)));
        EXPECT_THAT(*script,
                    AllOf(HasSubstr("relocate-replicas"), HasSubstr("--watch"), HasSubstr("must_not")));
        EXPECT_THAT(*script, Not(HasSubstr("{{")));
    }
    EXPECT_FALSE(completion("fish"));
}

}  // namespace
}  // namespace baton::cli
