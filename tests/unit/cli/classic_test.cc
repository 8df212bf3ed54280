#include "cli/classic.h"

#include <gmock/gmock.h>

#include "fake_world.h"

namespace baton::cli {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

const std::string key1 = R"({"Hostname":"db1","Port":3401})";
const std::string key2 = R"({"Hostname":"db2","Port":3402})";
const std::string replica =
    R"({"Key":{"Hostname":"db2","Port":3402},"MasterKey":{"Hostname":"db1","Port":3401},)"
    R"("ReplicationSQLThreadRuning":true,"ReplicationIOThreadRuning":true,"ReplicationSQLThreadState":1,)"
    R"("ReplicationIOThreadState":1,"LastSQLError":"","LastIOError":"","GtidErrant":"","ClusterName":"db1:3401","DataCenter":"dc1"})";
const std::string primary =
    R"({"Key":{"Hostname":"db1","Port":3401},"MasterKey":{"Hostname":"","Port":0},"ReplicationSQLThreadRuning":false,)"
    R"("ReplicationIOThreadRuning":false,"ReplicationSQLThreadState":-1,"ReplicationIOThreadState":-1,"LastSQLError":"",)"
    R"("LastIOError":"","ClusterName":"db1:3401","DataCenter":"dc2"})";
const std::string broken =
    R"({"Key":{"Hostname":"db3","Port":3403},"MasterKey":{"Hostname":"db1","Port":3401},"ReplicationSQLThreadRuning":true,)"
    R"("ReplicationIOThreadRuning":false,"ReplicationSQLThreadState":0,"ReplicationIOThreadState":0,"LastSQLError":"",)"
    R"("LastIOError":"\"timeout\"","IsDowntimed":true,"DowntimeReason":"lost-in-recovery"})";
const std::string cluster =
    R"({"ClusterName":"db1:3401","ClusterAlias":"shop","ClusterDomain":"shop.example","CountInstances":3,"HeuristicLag":7})";
const std::string recovery = R"({"Id":2,"UID":"1:a","SuccessorKey":{"Hostname":"db2","Port":3402},)"
                             R"("SuccessorBinlogCoordinates":{"LogFile":"wal","LogPos":83886080,"Type":0}})";
const std::string analysis =
    R"([{"AnalyzedInstanceKey":{"Hostname":"db1","Port":3401},"ClusterDetails":{"ClusterName":"db1:3401"},"Analysis":"DeadMaster",)"
    R"("StructureAnalysis":["NoFailoverSupportStructureWarning"],"IsDowntimed":false},)"
    R"({"AnalyzedInstanceKey":{"Hostname":"db4","Port":3404},"ClusterDetails":{"ClusterName":"db4:3404"},"Analysis":"NoProblem",)"
    R"("StructureAnalysis":["StatementAndMixedLoggingReplicasStructureWarning"],"IsDowntimed":true}])";

struct Row {
    std::string command;  ///< behind -c
    std::string path;     ///< asked below /api/
    std::string body;
    std::string script;        ///< printed as orchestrator-client
    std::string binary = "=";  ///< printed as orchestrator; "=" is the same
};

std::string two(const std::string& a, const std::string& b) {
    return "[" + a + "," + b + "]";
}

const std::vector<Row>& rows() {
    static const std::vector<Row> all = {
        {"async-discover -i db2:3402", "async-discover/db2/3402", ok("null"), "db2:3402\n"},
        {"discover -i db2:3402", "discover/db2/3402", ok(replica), "db2:3402\n"},
        {"discover -i [fd00::1]:5432", "discover/fd00::1/5432", ok(R"({"Hostname":"fd00::1","Port":5432})"),
         "[fd00::1]:5432\n"},
        {"forget -i db2:3402", "forget/db2/3402", ok(key2), "", "db2:3402\n"},
        {"forget-cluster -i db1:3401", "forget-cluster/db1:3401", ok("null"), ""},
        {"forget-cluster --alias shop", "forget-cluster/shop", ok("null"), ""},
        {"topology -i db1:3401", "topology/db1:3401", ok(R"("db1:3401 [0s,ok,15.8,rw]\n+ db2:3402 [0s]")"),
         "db1:3401 [0s,ok,15.8,rw]\n+ db2:3402 [0s]\n"},
        {"topology-tabulated -a shop", "topology-tabulated/shop", ok(R"("a|b")"), "a|b\n"},
        {"topology-tags -a shop", "topology-tags/shop", ok(R"("a []")"), "a []\n"},
        {"snapshot-topologies", "snapshot-topologies", ok(R"("Took 3ms")"), "Took 3ms\n", ""},
        {"clusters", "clusters-info", "[" + cluster + "]", "db1:3401\n"},
        {"clusters-alias", "clusters-info", "[" + cluster + "]", "db1:3401,shop\n", "db1:3401\tshop\n"},
        {"search -i 340", "search?s=340", two(primary, replica), "db1:3401\ndb2:3402\n"},
        {"search --pattern 340", "search?s=340", two(primary, replica), "db1:3401\ndb2:3402\n"},
        {"find --pattern db[23]:", "all-instances", two(primary, replica), "db2:3402\n"},
        {"instance -i db2:3402", "instance/db2/3402", replica, "db2:3402\n"},
        {"which-instance -i db2:3402", "instance/db2/3402", replica, "db2:3402\n"},
        {"which-master -i db2:3402", "instance/db2/3402", replica, "db1:3401\n"},
        {"which-master -i db1:3401", "instance/db1/3401", primary, ":0\n", ""},
        {"which-replicas -i db1:3401", "instance-replicas/db1/3401", two(replica, broken),
         "db2:3402\ndb3:3403\n"},
        {"which-slaves -i db1:3401", "instance-replicas/db1/3401", two(replica, broken),
         "db2:3402\ndb3:3403\n"},
        {"which-broken-replicas -i db1:3401", "instance-replicas/db1/3401", two(replica, broken),
         "db3:3403\n"},
        {"which-cluster-instances -a shop", "cluster/shop", two(primary, replica), "db1:3401\ndb2:3402\n"},
        {"which-cluster -i db2:3402", "cluster-info/db2:3402", cluster, "db1:3401\n"},
        {"which-cluster-alias -i db2:3402", "cluster-info/db2:3402", cluster, "shop\n"},
        {"which-cluster-domain -a shop", "cluster-info/shop", cluster, "shop.example\n"},
        {"get-cluster-heuristic-lag -a shop", "cluster-info/shop", cluster, "7\n"},
        {"which-cluster-master -a shop", "master/shop", primary, "db1:3401\n"},
        {"all-clusters-masters", "masters", "[" + primary + "]", "db1:3401\n"},
        {"all-clusters-masters", "masters", "null", ""},
        {"all-instances", "all-instances", two(primary, replica), "db1:3401\ndb2:3402\n"},
        {"which-cluster-osc-slaves -a shop", "cluster-osc-replicas/shop", two(replica, broken),
         "db2:3402\ndb3:3403\n"},
        {"which-cluster-osc-running-replicas -a shop", "cluster-osc-replicas/shop", two(replica, broken),
         "db2:3402\n"},
        {"downtimed", "downtimed", "[" + broken + "]", "db3:3403\n"},
        {"downtimed -a shop", "downtimed/shop", "[" + broken + "]", "db3:3403\n"},
        {"which-downtimed-instances -a shop", "downtimed/shop", "[" + broken + "]", "db3:3403\n"},
        {"which-lost-in-recovery", "all-instances", two(replica, broken), "db3:3403\n"},
        {"dominant-dc", "masters", "[" + primary + "," + replica + "," + primary + "]", "dc2\n"},
        {"submit-masters-to-kv-stores -a shop", "submit-masters-to-kv-stores/shop",
         ok(R"([{"Key":"mysql/master/shop","Value":"db1:3401"}])"), "mysql/master/shop:db1:3401\n"},
        {"submit-masters-to-kv-stores", "submit-masters-to-kv-stores", ok("[]"), ""},
        {"relocate -i db2:3402 -d db1:3401", "relocate/db2/3402/db1/3401", ok(replica),
         "db2:3402<db1:3401\n"},
        {"relocate-below -i db2:3402 -s db1:3401", "relocate/db2/3402/db1/3401", ok(replica),
         "db2:3402<db1:3401\n"},
        {"relocate-slaves -i db1:3401 -d db2:3402", "relocate-replicas/db1/3401/db2/3402",
         ok("[" + broken + "]"), "db3:3403\n"},
        {"move-up -i db2:3402", "move-up/db2/3402", ok(replica), "db2:3402<db1:3401\n"},
        {"move-up-replicas -i db2:3402", "move-up-replicas/db2/3402", ok("[" + broken + "]"), "db3:3403\n"},
        {"match-up-replicas -i db2:3402", "match-up-replicas/db2/3402", ok(key1), "db1:3401\n"},
        {"move-replicas-gtid -i db1:3401 -d db2:3402", "move-replicas-gtid/db1/3401/db2/3402", ok(key2),
         "db2:3402\n"},
        {"move-gtid -i db2:3402 -d db1:3401", "move-below-gtid/db2/3402/db1/3401", ok(replica),
         "db2:3402<db1:3401\n"},
        {"repoint -i db2:3402 -d db1:3401", "repoint/db2/3402/db1/3401", ok(replica), "db2:3402<db1:3401\n"},
        {"repoint-replicas -i db1:3401", "repoint-replicas/db1/3401", ok("[" + replica + "]"), "db2:3402\n",
         "db2:3402<db1:3401\n"},
        {"take-siblings -i db2:3402", "take-siblings/db2/3402", ok(replica), "db2:3402<db1:3401\n",
         "db2:3402\n"},
        {"enslave-siblings -i db2:3402", "take-siblings/db2/3402", ok(replica), "db2:3402<db1:3401\n",
         "db2:3402\n"},
        {"regroup-replicas -i db1:3401", "regroup-replicas/db1/3401",
         ok(key2, "promoted replica: db2:3402, lost: 0, trivial: 1, pseudo-gtid: 0"),
         "db2:3402\ndb2:3402 lost: 0, trivial: 1, pseudo-gtid: 0\n"},
        {"tags -i db2:3402", "tags/db2/3402", R"(["role=reporting","x="])", "role=reporting\nx=\n"},
        {"tag-value -i db2:3402 --tag role", "tag-value/db2/3402?tag=role", R"("reporting")", "reporting\n"},
        {"tag -i db2:3402 --tag role=a&b", "tag/db2/3402?tag=role%3Da%26b", ok(key2), "db2:3402\n"},
        {"untag -i db2:3402 -t role", "untag/db2/3402?tag=role", ok("[" + key2 + "]"), "db2:3402\n"},
        {"untag-all -t role=x", "untag-all?tag=role%3Dx", ok(two(key1, key2)), "db1:3401\ndb2:3402\n"},
        {"tagged --tag role=x,~y", "tagged?tag=role%3Dx,~y", two(key1, key2), "db1:3401\ndb2:3402\n"},
        {"submit-pool-instances -i db1:1,db2:2 --pool readers",
         "submit-pool-instances/readers?instances=db1:1,db2:2", ok(R"("readers")"), "readers\n", ""},
        {"which-heuristic-cluster-pool-instances -a shop -l readers",
         "heuristic-cluster-pool-instances/shop/readers", ok("[" + replica + "]"), "db2:3402\n"},
        {"begin-downtime -i db2:3402 --duration 2h --owner me --reason x/y",
         "begin-downtime/db2/3402/me/x%2Fy/2h", ok(key2), "db2:3402\n"},
        {"begin-downtime -i db2:3402 -r test", "begin-downtime/db2/3402/ops/test/10m", ok(key2),
         "db2:3402\n"},
        {"end-downtime -i db2:3402", "end-downtime/db2/3402", ok(key2), "db2:3402\n"},
        {"begin-maintenance -i db2:3402 -o me -r test", "begin-maintenance/db2/3402/me/test", ok(key2),
         "db2:3402\n"},
        {"end-maintenance -i db2:3402", "end-maintenance/db2/3402", ok(key2), "db2:3402\n"},
        {"in-maintenance -i db2:3402", "in-maintenance/db2/3402", ok(R"("db2:3402")", "true"), "db2:3402\n"},
        {"in-maintenance -i db2:3402", "in-maintenance/db2/3402", ok(R"("")", "false"), ""},
        {"register-candidate -i db2:3402 --promotion-rule=prefer_not",
         "register-candidate/db2/3402/prefer_not", ok(key2), "db2:3402\n"},
        {"register-hostname-unresolve -i db2:3402 -H vip", "register-hostname-unresolve/db2/3402/vip",
         ok(key2), "db2:3402\n"},
        {"stop-slave -i db2:3402", "stop-replica/db2/3402", ok(replica), "db2:3402\n"},
        {"start-replica -i db2:3402", "start-replica/db2/3402", ok(replica), "db2:3402\n"},
        {"detach-replica-master-host -i db2:3402", "detach-replica-master-host/db2/3402", ok(replica),
         "db2:3402\n"},
        {"which-gtid-errant -i db2:3402", "instance/db2/3402", replica, "\n"},
        {"locate-gtid-errant -i db2:3402", "locate-gtid-errant/db2/3402", ok(R"(["bin.1","bin.2"])"),
         "bin.1\nbin.2\n"},
        {"restart-replica-statements -i db2:3402 -q select", "restart-replica-statements/db2/3402?q=select",
         ok(R"(["a","b"])"), "[ \"a\", \"b\" ]\n", "a\nb\n"},
        {"delay-replication -i db2:3402 -S 60", "delay-replication/db2/3402/60", ok("60"), "60\n"},
        {"can-replicate-from -i db2:3402 -d db1:3401", "can-replicate-from/db2/3402/db1/3401",
         ok(key1, "true"), "db1:3401\n"},
        {"can-replicate-from -i db2:3402 -d db1:3401", "can-replicate-from/db2/3402/db1/3401",
         ok(key1, "false"), ""},
        {"is-replicating -i db2:3402", "instance/db2/3402", replica, "db2:3402\n"},
        {"is-replicating -i db1:3401", "instance/db1/3401", primary, ""},
        {"is-replication-stopped -i db3:3403", "instance/db3/3403", broken, "db3:3403\n"},
        {"is-replication-stopped -i db2:3402", "instance/db2/3402", replica, ""},
        {"set-read-only -i db2:3402", "set-read-only/db2/3402", ok(replica), "db2:3402\n"},
        {"purge-binary-logs -i db2:3402 -n bin.3", "purge-binary-logs/db2/3402/bin.3", ok(replica),
         "db2:3402\n"},
        {"last-pseudo-gtid -i db2:3402", "last-pseudo-gtid/db2/3402", ok(R"("drop view")", "bin.1:7"),
         "drop view\n", "bin.1:7:drop view\n"},
        {"recover -i db1:3401", "recover/db1/3401", ok(key2), "db2:3402\n"},
        {"recover -i db1:3401 -d db2:3402", "recover/db1/3401/db2/3402", ok(key2), "db2:3402\n"},
        {"recover-lite -i db1:3401", "recover-lite/db1/3401", ok(key2), "db2:3402\n"},
        {"graceful-master-takeover -a shop -d db2:3402", "graceful-master-takeover/shop/db2/3402",
         ok(recovery), "db2:3402\n", "db2:3402\n{wal 83886080 0}\n"},
        {"graceful-master-takeover-auto -a shop", "graceful-master-takeover-auto/shop", ok(recovery),
         "db2:3402\n", "db2:3402\n{wal 83886080 0}\n"},
        {"force-master-failover -a shop", "force-master-failover/shop", ok(recovery), "db2:3402\n"},
        {"force-master-takeover -i db1:3401 -d db2:3402", "force-master-takeover/db1:3401/db2/3402",
         ok(recovery), "db2:3402\n"},
        {"disable-global-recoveries", "disable-global-recoveries", ok(R"("disabled")"), "disabled\n",
         "OK: Orchestrator recoveries DISABLED globally\n"},
        {"enable-global-recoveries", "enable-global-recoveries", ok(R"("enabled")"), "enabled\n",
         "OK: Orchestrator recoveries ENABLED globally\n"},
        {"check-global-recoveries", "check-global-recoveries", ok(R"("enabled")"), "enabled\n",
         "OK: Global recoveries disabled: false\n"},
        {"check-global-recoveries", "check-global-recoveries", ok(R"("disabled")"), "disabled\n",
         "OK: Global recoveries disabled: true\n"},
        {"replication-analysis", "replication-analysis", ok(analysis, "Analysis"),
         "db1:3401 (cluster db1:3401): DeadMaster\n"
         "db4:3404 (cluster db4:3404): StatementAndMixedLoggingReplicasStructureWarning\n",
         "db1:3401 (cluster db1:3401): DeadMaster, NoFailoverSupportStructureWarning\n"},
        {"raft-health", "raft-health", R"("healthy")", "healthy\n"},
        {"bulk-instances", "bulk-instances", two(key2, key1), "db1:3401\ndb2:3402\n"},
        {"bulk-promotion-rules", "bulk-promotion-rules",
         R"([{"Hostname":"b","Port":1,"PromotionRule":"prefer"},{"Hostname":"a","Port":1,"PromotionRule":"must_not"}])",
         "a:1 must_not\nb:1 prefer\n"},
        {"resolve -i db2:3402", "resolve/db2/3402", ok(key2), "db2:3402\n"},
        {"reset-hostname-resolve-cache", "reset-hostname-resolve-cache", ok("null"),
         "hostname resolve cache cleared\n"},
        {"instance-status -i db2:3402", "topology/db2/3402",
         ok(R"("db1:3401   [0s,ok,rw]\n+ db2:3402 [0s,ok,ro] []")"), "[0s,ok,ro] []\n"},
        {"api --path cluster-info/shop", "cluster-info/shop", R"({"a":"x<y","b":[],"c":[1,{"d":null}]})",
         "{ \"a\": \"x<y\", \"b\": [], \"c\": [ 1, { \"d\": null } ] }\n"},
        {"proxysql-servers", "proxysql/servers",
         ok(R"([{"hostgroup_id":10,"hostname":"db2","port":3306,"status":"ONLINE","weight":1}])"),
         "HOSTGROUP   HOSTNAME                      PORT  STATUS         WEIGHT\n"
         "10          db2                           3306  ONLINE         1\n"},
    };
    return all;
}

std::vector<std::string> args_of(const std::string& line) {
    auto args = words(line);
    args.insert(args.begin(), "-c");
    return args;
}

TEST(ClassicCommands, AskTheirRouteAndPrintAsTheShellClient) {
    for (const auto& row : rows()) {
        SCOPED_TRACE(row.command);
        FakeWorld world;
        world.http.replies[row.path] = {200, row.body};
        const auto got = world.script(args_of(row.command));
        EXPECT_EQ(got.code, 0) << got.err;
        EXPECT_EQ(got.out, row.script);
        EXPECT_THAT(world.http.paths(), ElementsAre(row.path));
    }
}

TEST(ClassicCommands, PrintAsTheBinary) {
    for (const auto& row : rows()) {
        SCOPED_TRACE(row.command);
        FakeWorld world;
        world.http.replies[row.path] = {200, row.body};
        const auto got = world.binary(args_of(row.command));
        EXPECT_EQ(got.code, 0) << got.err;
        EXPECT_EQ(got.out, row.binary == "=" ? row.script : row.binary);
    }
}

TEST(ClassicCommands, EveryNameIsFoundOnceAndHasAWayToPrint) {
    std::set<std::string_view> seen;
    for (const auto& command : classic_commands()) {
        SCOPED_TRACE(command.name);
        EXPECT_TRUE(seen.insert(command.name).second);
        EXPECT_EQ(find_classic(command.name), &command);
        EXPECT_TRUE(command.script != nullptr || command.special != nullptr || !command.unavailable.empty());
    }
}

TEST(ClassicCommands, TheFirstSlaveInANameIsAReplica) {
    EXPECT_EQ(find_classic("start-slave")->name, "start-replica");
    EXPECT_EQ(find_classic("is-slaveting")->name, "is-replicating");
    EXPECT_EQ(find_classic("slavetion-analysis")->name, "replication-analysis");
    EXPECT_EQ(find_classic("no-slave-here"), nullptr);
    EXPECT_EQ(find_classic(""), nullptr);
}

TEST(ClassicScript, MissingOptionsAreNamed) {
    const std::pair<const char*, const char*> cases[] = {
        {"relocate", "instance must be provided"},
        {"relocate -i db2:3402", "destination must be provided"},
        {"topology", "instance|alias must be provided"},
        {"tag -i db2:3402", "tag must be provided"},
        {"api", "path must be provided"},
        {"register-candidate -i db2:3402", "promotion-rule must be provided"},
        {"begin-downtime -i db2:3402", "reason must be provided"},
        {"ack-all-recoveries", "reason must be provided"},
        {"nosuchcommand", "Unsupported command nosuchcommand"},
    };
    for (const auto& [line, message] : cases) {
        FakeWorld world;
        const auto got = world.script(args_of(line));
        EXPECT_EQ(got.code, 1);
        EXPECT_EQ(got.out, "");
        EXPECT_EQ(got.err, "orchestrator-client[25847]: " + std::string(message) + "\n");
        EXPECT_TRUE(world.http.requests.empty());
    }
}

TEST(ClassicScript, WithoutACommandItSaysHow) {
    FakeWorld world;
    const auto got = world.script({});
    EXPECT_EQ(got.code, 1);
    EXPECT_EQ(got.err,
              "orchestrator-client[25847]: No command given. Use orchestrator-client -c <command> [...] or "
              "orchestrator-client --command <command> [...] to do something useful\n");
}

TEST(ClassicScript, ANoGoesToStderrAndItsDetailsToStdout) {
    FakeWorld world;
    world.http.replies["recover/db1/3401"] = no("Recovery not attempted", key1);
    const auto got = world.script(args_of("recover -i db1:3401"));
    EXPECT_EQ(got.code, 1);
    EXPECT_EQ(got.err, "Recovery not attempted\n");
    EXPECT_EQ(got.out, "{ \"Hostname\": \"db1\", \"Port\": 3401 }\n");
}

TEST(ClassicScript, ANoWithoutDetailsPrintsNothing) {
    FakeWorld world;
    world.http.replies["instance/db9/9999"] = no("Cannot read instance: db9:9999");
    const auto got = world.script(args_of("instance -i db9:9999"));
    EXPECT_EQ(got.code, 1);
    EXPECT_EQ(got.err, "Cannot read instance: db9:9999\n");
    EXPECT_EQ(got.out, "");
}

TEST(ClassicScript, ApiPrintsANoWholeAndFails) {
    FakeWorld world;
    world.http.replies["raft-state"] = no("raft-state: not running with raft setup");
    const auto got = world.script(args_of("api -path /raft-state"));
    EXPECT_EQ(got.code, 1);
    EXPECT_EQ(got.out,
              "{ \"Code\": \"ERROR\", \"Message\": \"raft-state: not running with raft setup\", \"Details\": "
              "null }\n");
}

TEST(ClassicScript, TheWholeReasonIsSent) {
    FakeWorld world;
    world.http.replies["ack-recovery/cluster/shop?comment=disk%20was%20replaced"] = {200,
                                                                                     ok(R"("db1:3401")")};
    const auto got =
        world.script({"-c", "ack-cluster-recoveries", "--alias", "shop", "--reason", "disk was replaced"});
    EXPECT_EQ(got.code, 0) << got.err;
    EXPECT_EQ(got.out, "db1:3401\n");
}

TEST(ClassicScript, RaftLeaderFirstLooksWhetherThereIsRaft) {
    FakeWorld world;
    world.http.replies["raft-state"] = no("raft-state: not running with raft setup");
    auto got = world.script(args_of("raft-leader"));
    EXPECT_EQ(got.code, 1);
    EXPECT_EQ(got.err, "raft-state: not running with raft setup\n");
    world.http.replies["raft-state"] = {200, R"("Follower")"};
    world.http.replies["raft-leader"] = {200, R"("10.0.0.1:10008")"};
    EXPECT_EQ(world.script(args_of("raft-leader")).out, "10.0.0.1:10008\n");
    got = world.script(args_of("raft-leader-hostname"));
    EXPECT_EQ(got.code, 1);
    EXPECT_THAT(got.err, HasSubstr("Cannot determine raft state"));
}

TEST(ClassicScript, DefaultPortAndInstanceComeFromOptionsOrEnvironment) {
    FakeWorld world;
    world.environment["ORCHESTRATOR_INSTANCE"] = "db7";
    world.script(args_of("discover"));
    world.script(args_of("discover -D 5432"));
    world.environment["ORCHESTRATOR_DEFAULT_PORT"] = "6000";
    world.script(args_of("discover -i db8"));
    world.script(args_of("submit-masters-to-kv-stores"));
    EXPECT_THAT(world.http.paths(), ElementsAre("discover/db7/3306", "discover/db7/5432", "discover/db8/6000",
                                                "submit-masters-to-kv-stores"));
}

TEST(ClassicScript, OptionsTakeTheirValueInEveryForm) {
    for (const auto* line : {"-ctopology -ashop", "-c topology -alias=shop",
                             "--command=topology --alias shop", "-command topology -a shop"}) {
        FakeWorld world;
        world.http.replies["topology/shop"] = {200, ok(R"("tree")")};
        EXPECT_EQ(world.script(words(line)).out, "tree\n") << line;
    }
    FakeWorld world;
    const auto got = world.script({"-c", "clusters", "--aliass", "x"});
    EXPECT_EQ(got.code, 1);
    EXPECT_EQ(got.err, "orchestrator-client[25847]: unknown option --aliass; did you mean --alias?\n");
    EXPECT_EQ(world.script({"-c"}).code, 1);
}

TEST(ClassicBinary, FailuresAreFatalLines) {
    FakeWorld world;
    world.http.replies["relocate/db2/3402/db2/3402"] =
        no("2026-11-20 10:30:53 ERROR db2:3402 cannot replicate from db2:3402");
    auto got = world.binary(args_of("relocate -i db2:3402 -d db2:3402"));
    EXPECT_EQ(got.code, 1);
    EXPECT_EQ(got.err, "2026-11-20 10:30:53 FATAL db2:3402 cannot replicate from db2:3402\n");
    EXPECT_EQ(got.out, "");
    got = world.binary(args_of("relocatte -i x"));
    EXPECT_THAT(got.err, HasSubstr("FATAL Unknown command: \"relocatte\". Did you mean relocate?"));
    EXPECT_EQ(world.binary(args_of("relocate -i a -s b -d c")).code, 1);
    EXPECT_EQ(world.binary({"-c", "clusters", "--nonsense"}).code, 2);
}

TEST(ClassicBinary, SeveralInstancesAreDoneOneByOne) {
    FakeWorld world;
    world.http.replies["start-replica/db2/3402"] = {200, ok(key2)};
    world.http.replies["start-replica/db1/3401"] = {200, ok(key1)};
    const auto got = world.binary({"-c", "start-replica", "-i", "db2:3402, db1:3401"});
    EXPECT_EQ(got.code, 0) << got.err;
    EXPECT_EQ(got.out, "db2:3402\ndb1:3401\n");
}

TEST(ClassicBinary, AQuestionAnsweredNoIsNoFailure) {
    FakeWorld world;
    world.http.replies["can-replicate-from/db2/3402/db1/3401"] = no("older version");
    world.http.replies["tag-value/db2/3402?tag=x"] = no("no such tag");
    world.http.replies["recover/db1/3401"] = no("Recovery not attempted", key1);
    for (const auto* line : {"can-replicate-from -i db2:3402 -d db1:3401", "tag-value -i db2:3402 --tag x",
                             "recover -i db1:3401"}) {
        const auto got = world.binary(args_of(line));
        EXPECT_EQ(got.code, 0) << line;
        EXPECT_EQ(got.out, "") << line;
    }
    EXPECT_EQ(world.script(args_of("tag-value -i db2:3402 --tag x")).code, 1);
}

TEST(ClassicBinary, AcknowledgedRecoveriesAreCounted) {
    const std::string open =
        R"([{"AnalysisEntry":{"AnalyzedInstanceKey":{"Hostname":"db1","Port":3401}}},{"AnalysisEntry":{"AnalyzedInstanceKey":{"Hostname":"db9","Port":1}}}])";
    FakeWorld world;
    world.http.replies["audit-recovery/0?unacknowledged=true"] = {200, open};
    world.http.replies["audit-recovery/cluster/shop/0?unacknowledged=true"] = {200, open};
    world.http.replies["ack-all-recoveries?comment=x"] = {200, ok(R"("x")")};
    world.http.replies["ack-recovery/cluster/shop?comment=x"] = {200, ok(R"("db1:3401")")};
    world.http.replies["ack-recovery/instance/db1/3401?comment=x"] = {200, ok(key1)};
    EXPECT_EQ(world.binary(args_of("ack-all-recoveries --reason x")).out, "2 recoveries acknowledged\n");
    EXPECT_EQ(world.binary(args_of("ack-cluster-recoveries -a shop --reason x")).out,
              "2 recoveries acknowledged\n");
    EXPECT_EQ(world.binary(args_of("ack-instance-recoveries -i db1:3401 --reason x")).out,
              "1 recoveries acknowledged\n");
    EXPECT_EQ(world.script(args_of("ack-recovery -i db1:3401 --comment x")).out, "db1:3401\n");
}

TEST(ClassicBinary, PoolsOfAllClusters) {
    FakeWorld world;
    world.http.replies["clusters-info"] = {200, "[" + cluster + "]"};
    world.http.replies["cluster-pool-instances/db1:3401"] = {
        200, ok(R"({"readers":[{"Hostname":"db2","Port":3402}]})")};
    EXPECT_EQ(world.binary(args_of("cluster-pool-instances")).out, "db1:3401\tshop\treaders\tdb2:3402\n");
}

TEST(ClassicBinary, WhatTheApiCannotDoIsSaid) {
    FakeWorld world;
    const auto got = world.binary(args_of("master-pos-wait -i db2:3402"));
    EXPECT_EQ(got.code, 1);
    EXPECT_THAT(got.err, HasSubstr("master-pos-wait is not available: "));
    EXPECT_TRUE(world.http.requests.empty());
    EXPECT_EQ(world.binary(args_of("find --pattern [")).code, 1);
}

TEST(ClassicBaton, PrintsAsTheBinaryAndUsesPostgresPort) {
    FakeWorld world;
    world.http.replies["clusters-info"] = {200, "[" + cluster + "]"};
    world.http.replies["forget/db2/5432"] = {200, ok(R"({"Hostname":"db2","Port":5432})")};
    EXPECT_EQ(world.baton(args_of("clusters-alias")).out, "db1:3401\tshop\n");
    EXPECT_EQ(world.baton(args_of("forget -i db2")).out, "db2:5432\n");
}

TEST(ClassicHelp, ListsCommandsAndWhatTheyNeed) {
    FakeWorld world;
    const auto got = world.script({"-c", "help"});
    EXPECT_EQ(got.code, 0);
    EXPECT_THAT(got.out, HasSubstr("relocate -i -d"));
    EXPECT_THAT(got.out, HasSubstr("recover -i [-d]"));
    EXPECT_EQ(world.script({"--help"}).out, got.out);
    EXPECT_THAT(world.script({"-c", "help", "topology"}).out,
                HasSubstr("orchestrator-client -c topology -i|-alias"));
}

}  // namespace
}  // namespace baton::cli
