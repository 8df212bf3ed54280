#include "recovery/hooks.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <boost/asio/io_context.hpp>
#include <fstream>
#include <map>
#include <sstream>

#include "base/async.h"
#include "base/text.h"

namespace baton::recovery {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::UnorderedElementsAre;

store::Recovery sample() {
    store::Recovery r;
    r.uid = "1767225600000000000:abc";
    r.code = "DeadPrimary";
    r.command_hint = "force-master-failover";
    r.cluster_id = "73";
    r.cluster_name = "db1:5432";
    r.cluster_alias = "shop";
    r.cluster_domain = "shop.example.org";
    r.failed = {"db1", 5432};
    r.replicas = {{"db2", 5433}, {"db3", 5432}};
    r.description = "it's \"gone\"; $(reboot)\nnow";
    r.lost = {{"db3", 5432}};
    r.node_hostname = "manager1";
    return r;
}

void add_successor(store::Recovery& r) {
    r.successor = topology::InstanceKey{"db2", 5433};
    r.successor_alias = "second";
    r.successor_position = "0/5000060";
}

std::map<std::string, std::string> as_map(const Pairs& pairs) {
    std::map<std::string, std::string> all(pairs.begin(), pairs.end());
    EXPECT_EQ(all.size(), pairs.size()) << "a name twice";
    return all;
}

using Expected = std::map<std::string, std::string>;

// Names and meanings: orchestrator's documentation of hooks.
const Expected placeholders_without_successor{{"{failureType}", "DeadPrimary"},
                                              {"{instanceType}", "master"},
                                              {"{isMaster}", "true"},
                                              {"{isCoMaster}", "false"},
                                              {"{failureDescription}", "it s  gone     reboot  now"},
                                              {"{command}", "force-master-failover"},
                                              {"{failedHost}", "db1"},
                                              {"{failedPort}", "5432"},
                                              {"{failureCluster}", "db1:5432"},
                                              {"{failureClusterAlias}", "shop"},
                                              {"{failureClusterDomain}", "shop.example.org"},
                                              {"{countSlaves}", "2"},
                                              {"{countReplicas}", "2"},
                                              {"{isDowntimed}", "true"},
                                              {"{autoMasterRecovery}", "true"},
                                              {"{autoIntermediateMasterRecovery}", "false"},
                                              {"{orchestratorHost}", "manager1"},
                                              {"{recoveryUID}", "1767225600000000000:abc"},
                                              {"{isSuccessful}", "false"},
                                              {"{lostSlaves}", "db3:5432"},
                                              {"{lostReplicas}", "db3:5432"},
                                              {"{countLostReplicas}", "1"},
                                              {"{slaveHosts}", "db2:5433,db3:5432"},
                                              {"{replicaHosts}", "db2:5433,db3:5432"}};

const Expected variables_without_successor{{"ORC_FAILURE_TYPE", "DeadPrimary"},
                                           {"ORC_INSTANCE_TYPE", "master"},
                                           {"ORC_IS_MASTER", "true"},
                                           {"ORC_IS_CO_MASTER", "false"},
                                           {"ORC_FAILURE_DESCRIPTION", "it's \"gone\"; $(reboot)\nnow"},
                                           {"ORC_COMMAND", "force-master-failover"},
                                           {"ORC_FAILED_HOST", "db1"},
                                           {"ORC_FAILED_PORT", "5432"},
                                           {"ORC_FAILURE_CLUSTER", "db1:5432"},
                                           {"ORC_FAILURE_CLUSTER_ALIAS", "shop"},
                                           {"ORC_FAILURE_CLUSTER_DOMAIN", "shop.example.org"},
                                           {"ORC_COUNT_REPLICAS", "2"},
                                           {"ORC_IS_DOWNTIMED", "true"},
                                           {"ORC_AUTO_MASTER_RECOVERY", "true"},
                                           {"ORC_AUTO_INTERMEDIATE_MASTER_RECOVERY", "false"},
                                           {"ORC_ORCHESTRATOR_HOST", "manager1"},
                                           {"ORC_IS_SUCCESSFUL", "false"},
                                           {"ORC_LOST_REPLICAS", "db3:5432"},
                                           {"ORC_REPLICA_HOSTS", "db2:5433,db3:5432"},
                                           {"ORC_RECOVERY_UID", "1767225600000000000:abc"}};

TEST(HookFacts, WithoutASuccessor) {
    const auto r = sample();
    const HookFacts facts{.recovery = &r, .is_downtimed = true, .automated_primary = true};
    EXPECT_EQ(as_map(placeholders(facts)), placeholders_without_successor);
    EXPECT_EQ(as_map(environment(facts)), variables_without_successor);
}

TEST(HookFacts, WithASuccessor) {
    auto r = sample();
    add_successor(r);
    const HookFacts facts{
        .recovery = &r, .is_downtimed = true, .successful = true, .automated_primary = true};
    auto expected = placeholders_without_successor;
    expected["{isSuccessful}"] = "true";
    expected["{successorHost}"] = "db2";
    expected["{successorPort}"] = "5433";
    expected["{successorAlias}"] = "second";
    expected["{successorBinlogCoordinates}"] = "0/5000060";
    EXPECT_EQ(as_map(placeholders(facts)), expected);
    auto variables = variables_without_successor;
    variables["ORC_IS_SUCCESSFUL"] = "true";
    variables["ORC_SUCCESSOR_HOST"] = "db2";
    variables["ORC_SUCCESSOR_PORT"] = "5433";
    variables["ORC_SUCCESSOR_ALIAS"] = "second";
    variables["ORC_SUCCESSOR_BINLOG_COORDINATES"] = "0/5000060";
    EXPECT_EQ(as_map(environment(facts)), variables);
}

TEST(HookFacts, Intermediate) {
    const auto r = sample();
    const HookFacts facts{.recovery = &r, .is_primary = false, .automated_intermediate = true};
    EXPECT_EQ(as_map(placeholders(facts)).at("{instanceType}"), "intermediate-master");
    EXPECT_EQ(as_map(placeholders(facts)).at("{isMaster}"), "false");
    EXPECT_EQ(as_map(environment(facts)).at("ORC_AUTO_INTERMEDIATE_MASTER_RECOVERY"), "true");
}

TEST(Placeholders, AreReplacedOnceAndUnknownOnesStay) {
    const Pairs values{{"{a}", "{b}"}, {"{b}", "B"}, {"{failedHost}", "db1"}};
    EXPECT_EQ(replace_placeholders("x {a} {b} {failedHost}:{failedPort} {", values),
              "x {b} B db1:{failedPort} {");
    EXPECT_EQ(replace_placeholders("", values), "");
    EXPECT_EQ(replace_placeholders("{a}{a}", values), "{b}{b}");
}

TEST(Placeholders, OfASuccessorStayWhileThereIsNone) {
    const auto r = sample();
    EXPECT_EQ(replace_placeholders("go {failedHost} {successorHost} {successorPort}",
                                   placeholders({.recovery = &r})),
              "go db1 {successorHost} {successorPort}");
}

// ---- running

/// Answers by the first word of the script; remembers what it was given. "slow" ends after another one has
/// begun.
class Scripted final : public ProcessRunner {
  public:
    struct Run {
        std::vector<std::string> argv;
        std::string script;
        std::map<std::string, std::string> environment;
        Duration timeout{};
    };
    explicit Scripted(Clock& clock) : clock_(clock), another_(clock) {}

    Task<Result<ProcessResult>> run(ProcessSpec spec) override {
        std::ostringstream text;
        text << std::ifstream(spec.argv.back()).rdbuf();
        const std::string script(trim(text.str()));
        runs.push_back({spec.argv, script, {spec.environment.begin(), spec.environment.end()}, spec.timeout});
        if (!script.starts_with("slow")) {
            another_.notify();
        } else if (!co_await another_.wait_until(clock_.now() + seconds(30))) {
            co_return fail(ErrorKind::timeout, "no other hook has begun", "bash");
        }
        if (script.starts_with("cannot")) co_return fail(ErrorKind::io, "cannot be started", "bash");
        const bool late = script.starts_with("hang");
        co_return ProcessResult{.exit_code = late                         ? 137
                                             : script.starts_with("fail") ? 3
                                                                          : 0,
                                .timed_out = late,
                                .output = " said \n"};
    }
    std::vector<Run> runs;

  private:
    Clock& clock_;
    Signal another_;
};

struct Ran {
    Result<void> result;
    std::vector<Scripted::Run> runs;
    std::vector<std::string> notes;

    std::vector<std::string> scripts() const {
        std::vector<std::string> all;
        for (const auto& r : runs)
            all.push_back(r.script);
        return all;
    }
};

Ran run(std::vector<std::string> commands, bool stop_at_failure, HookOptions options = {}) {
    asio::io_context io(1);
    const auto clock = make_system_clock(io.get_executor());
    Scripted runner(*clock);
    Ran ran;
    spawn(io.get_executor(),
          [](Clock& c, Scripted& scripted, Ran& out, std::vector<std::string> list, bool stop,
             const HookOptions& how) -> Task<void> {
              out.result =
                  co_await run_hooks(c, scripted, how, "PreFailoverProcesses", std::move(list),
                                     {{"{failedHost}", "db1"}}, {{"ORC_FAILED_HOST", "db1"}}, stop,
                                     [&out](std::string text) { out.notes.push_back(std::move(text)); });
          }(*clock, runner, ran, std::move(commands), stop_at_failure, options));
    io.run();
    ran.runs = runner.runs;
    return ran;
}

TEST(RunHooks, AllInOrderThroughTheShell) {
    const auto ran =
        run({" first {failedHost} ", "second"}, true, {.shell = "/bin/bash  -x", .timeout = seconds(7)});
    EXPECT_TRUE(ran.result);
    EXPECT_THAT(ran.scripts(), ElementsAre("first db1", "second"));
    ASSERT_EQ(ran.runs[0].argv.size(), 3U);
    EXPECT_EQ(ran.runs[0].argv[0], "/bin/bash");
    EXPECT_EQ(ran.runs[0].argv[1], "-x");
    EXPECT_EQ(ran.runs[0].timeout, seconds(7));
    EXPECT_EQ(ran.runs[0].environment.at("ORC_FAILED_HOST"), "db1");
    const auto completed = [](const std::string& which) {
        return testing::MatchesRegex("Completed PreFailoverProcesses hook " + which +
                                     " of 2 in [0-9]+ ms, exit status 0; output: said");
    };
    EXPECT_THAT(ran.notes, ElementsAre("Running PreFailoverProcesses hook 1 of 2: first db1", completed("1"),
                                       "Running PreFailoverProcesses hook 2 of 2: second", completed("2")));
}

TEST(RunHooks, ScriptsDoNotStay) {
    const auto ran = run({"first"}, true);
    EXPECT_FALSE(std::ifstream(ran.runs[0].argv.back()).good());
}

TEST(RunHooks, FirstFailureEndsTheListWhereItMust) {
    const auto ran = run({"first", "fail", "third"}, true);
    ASSERT_FALSE(ran.result);
    EXPECT_EQ(ran.result.error().text(), "PreFailoverProcesses hook 2 of 3: exit status 3");
    EXPECT_THAT(ran.scripts(), ElementsAre("first", "fail"));
}

TEST(RunHooks, ElsewhereTheRestRunsAndTheFirstFailureIsTold) {
    const auto ran = run({"fail 1", "cannot", "third"}, false);
    ASSERT_FALSE(ran.result);
    EXPECT_THAT(ran.result.error().text(), HasSubstr("hook 1 of 3: exit status 3"));
    EXPECT_THAT(ran.scripts(), ElementsAre("fail 1", "cannot", "third"));
    EXPECT_THAT(ran.notes, testing::Contains(HasSubstr("hook 2 of 3 failed: bash: cannot be started")));
}

TEST(RunHooks, DeadlineIsAFailureThatNamesItsKey) {
    const auto ran = run({"hang"}, true, {.timeout = seconds(5)});
    ASSERT_FALSE(ran.result);
    EXPECT_THAT(ran.result.error().text(),
                HasSubstr("killed at its deadline of 5 s (ProcessesTimeoutSeconds)"));
}

TEST(RunHooks, AmpersandRunsBesideAndItsFailureIsNotWaitedFor) {
    const auto ran = run({"slow &", "second && third", "fail &"}, true);
    EXPECT_TRUE(ran.result);
    EXPECT_THAT(ran.scripts(), UnorderedElementsAre("slow", "second && third", "fail"));
    EXPECT_THAT(ran.notes, testing::Contains("Running PreFailoverProcesses hook 1 of 3 (async): slow"));
    EXPECT_THAT(ran.notes, testing::Contains(HasSubstr("Completed PreFailoverProcesses hook 1 of 3")));
    EXPECT_THAT(ran.notes, testing::Contains(HasSubstr("hook 3 of 3 failed")));
}

TEST(RunHooks, EndingInTwoAmpersandsIsNotAsynchronous) {
    EXPECT_THAT(run({"first &&"}, true).scripts(), ElementsAre("first &&"));
}

TEST(RunHooks, AnEmptyListSaysSo) {
    const auto ran = run({}, true);
    EXPECT_TRUE(ran.result);
    EXPECT_THAT(ran.notes, ElementsAre("No PreFailoverProcesses hooks to run"));
}

}  // namespace
}  // namespace baton::recovery
