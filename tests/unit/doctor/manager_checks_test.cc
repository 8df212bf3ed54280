#include <fstream>
#include <sstream>

#include "doctor/support.h"
#include "engine/postgresql/dialect.h"

namespace baton::doctor {
namespace {

using namespace sample;

Facts configured(const std::function<void(config::Config&)>& change) {
    auto facts = good_facts();
    change(facts.config.loaded.values);
    return facts;
}
Facts on_machine(const std::function<void(Machine&)>& change) {
    auto facts = good_facts();
    change(facts.machine);
    return facts;
}

WallTime in_days(int days) {
    return good_facts().wall + std::chrono::hours(24 * days);
}

TEST(ManagerChecks, ConfigurationAndMachine) {
    const std::vector<Case> cases{
        {"warning", "config", Level::warn, "", "no key RecoverMasterClusterFilter", "spelling",
         [] {
             auto facts = good_facts();
             facts.config.loaded.warnings = {
                 {config::WarningKind::unknown_key, {}, "no key RecoverMasterClusterFilter"}};
             return facts;
         }},
        {"engine", "credentials", Level::fail, "", "mysql", "postgresql",
         [] { return configured([](auto& c) { c.ProviderType = "mysql"; }); }},
        {"no user", "credentials", Level::fail, "", "PostgreSQLTopologyUser", "",
         [] { return configured([](auto& c) { c.PostgreSQLTopologyUser.clear(); }); }},
        {"no password", "credentials", Level::warn, "", "no password", "PassFile",
         [] { return configured([](auto& c) { c.PostgreSQLTopologyPassword.clear(); }); }},
        {"in clear", "credentials", Level::warn, "", "disable", "require",
         [] { return configured([](auto& c) { c.PostgreSQLSSLMode = "disable"; }); }},
        {"agents by token in clear", "agents-listener", Level::warn, "", "in clear", "AgentsUseSSL",
         [] {
             return configured([](auto& c) {
                 c.ServeAgentsHttp = true;
                 c.AgentToken = "agent-secret";
             });
         }},
        {"agents by anybody", "agents-listener", Level::fail, "", "none is served", "AgentToken",
         [] { return configured([](auto& c) { c.ServeAgentsHttp = true; }); }},
        {"agents by certificate", "agents-listener", Level::pass, "", "certificates", "",
         [] {
             return configured(
                 [](auto& c) { c.ServeAgentsHttp = c.AgentsUseSSL = c.AgentsUseMutualTLS = true; });
         }},
        {"no block", "block-periods", Level::warn, "", "flapping", "3600",
         [] { return configured([](auto& c) { c.RecoveryPeriodBlockSeconds = 0; }); }},
        {"certificates for long", "certificates", Level::pass, "", "1 named certificate", "",
         [] {
             return on_machine([](Machine& m) {
                 m.certificates = {{.key = "AgentSSLCertFile", .path = "/x", .ends = in_days(40)}};
             });
         }},
        {"certificate for days", "certificates", Level::warn, "", "/x is good until", "baton certs",
         [] {
             return on_machine([](Machine& m) {
                 m.certificates = {{.key = "AgentSSLCertFile", .path = "/x", .ends = in_days(20)}};
             });
         }},
        {"certificate expired", "certificates", Level::fail, "", "/x has expired at", "baton certs",
         [] {
             return on_machine([](Machine& m) {
                 m.certificates = {{.key = "AgentSSLCertFile", .path = "/x", .ends = in_days(-1)}};
             });
         }},
        {"no certificate", "certificates", Level::fail, "", "holds no certificate", "PEM",
         [] {
             return on_machine([](Machine& m) {
                 m.certificates = {
                     {.key = "SSLCertFile", .path = "/x", .ends = {}, .problem = "holds no certificate"}};
             });
         }},
        {"file unreadable", "files", Level::fail, "", "No such file", "readable",
         [] {
             return on_machine([](Machine& m) {
                 m.files = {{.key = "PostgreSQLSSLCAFile", .path = "/x", .problem = "No such file"}};
             });
         }},
        {"passfile open", "files", Level::fail, "", "group or others", "chmod 600 /x",
         [] {
             return on_machine([](Machine& m) {
                 m.files = {{.key = "PostgreSQLTopologyPassFile",
                             .path = "/x",
                             .readable = true,
                             .open_to_others = true,
                             .secret = true}};
             });
         }},
        {"state directory", "state-file", Level::fail, "", "no right",
         "install -d -m 700 -o <the manager's user> /var/lib/baton",
         [] {
             return on_machine([](Machine& m) {
                 m.state_file = StateFile::no_directory;
                 m.state_problem = "no right to write";
             });
         }},
        {"newer state", "state-file", Level::fail, "", "newer Baton", "",
         [] {
             return on_machine([](Machine& m) {
                 m.state_file = StateFile::newer;
                 m.state_problem = "was made by a newer Baton";
             });
         }},
        {"disk nearly full", "state-file", Level::warn, "", "only 10.0 MiB", "",
         [] { return on_machine([](Machine& m) { m.state_free_bytes = 10 << 20; }); }},
        {"hook absent", "hooks", Level::fail, "", "PreFailoverProcesses, entry 1: /opt/x does not exist", "",
         [] {
             return on_machine([](Machine& m) {
                 m.hooks = {{.list = "PreFailoverProcesses", .number = 1, .program = "/opt/x"}};
             });
         }},
        {"hook not executable", "hooks", Level::fail, "", "not executable for user baton", "chmod +x /opt/x",
         [] {
             return on_machine([](Machine& m) {
                 m.hooks = {
                     {.list = "PreFailoverProcesses", .number = 1, .program = "/opt/x", .exists = true}};
             });
         }},
        {"no shell", "hooks", Level::fail, "", "ProcessesShellCommand", "",
         [] {
             return on_machine([](Machine& m) {
                 m.hooks = {{.list = "PreFailoverProcesses", .number = 1}};
                 m.shell_found = false;
             });
         }},
        {"placeholder", "hooks", Level::warn, "", "{failedHots}", "{failedHost}",
         [] {
             return on_machine([](Machine& m) {
                 m.hooks = {
                     {.list = "PreFailoverProcesses", .number = 1, .slips = {{"failedHots", "failedHost"}}}};
             });
         }},
    };
    for (const auto& c : cases)
        expect(c);
}

TEST(ManagerChecks, TheRunningManager) {
    const auto managed = [](const std::function<void(Facts&)>& change) {
        auto facts = good_facts();
        change(facts);
        return facts;
    };
    const Manager away{.address = "http://127.0.0.1:3000", .problem = "Connection refused"};
    const std::vector<Case> cases{
        {"away", "manager", Level::warn, "", "Connection refused", "systemctl start baton",
         [&] { return managed([&](Facts& f) { f.manager = away; }); }},
        {"ill", "manager", Level::fail, "", "disk", "",
         [&] {
             return managed([](Facts& f) {
                 f.manager.healthy = false;
                 f.manager.health = "disk full";
             });
         }},
        {"free", "listen", Level::pass, "", "is free", "",
         [&] { return managed([&](Facts& f) { f.manager = away; }); }},
        {"taken", "listen", Level::fail, "", "taken", "ss -ltnp",
         [&] {
             return managed([&](Facts& f) {
                 f.manager = away;
                 f.machine.listen_taken = true;
             });
         }},
        {"served", "listen", Level::pass, "", "served by a manager", "",
         [&] { return managed([](Facts& f) { f.machine.listen_taken = true; }); }},
        {"switched off", "recoveries-enabled", Level::warn, "", "no failover will happen",
         "baton enable-recoveries",
         [&] { return managed([](Facts& f) { f.manager.recoveries_enabled = false; }); }},
        {"nothing to look at", "answers", Level::fail, "", "DiscoverySeeds", "-i", [] { return Facts{}; }},
        {"refused", "answers", Level::fail, "", "db1:5432 gives no answer: Connection refused",
         "listen_addresses",
         [&] {
             return managed([](Facts& f) {
                 f.unanswered = {{key("db1"), {ErrorKind::refused, "Connection refused", "db1:5432", ""}}};
             });
         }},
        {"not let in", "answers", Level::fail, "", "SQLSTATE 28P01",
         "host postgres baton <manager's address>",
         [&] {
             return managed([](Facts& f) {
                 f.unanswered = {
                     {key("db1"),
                      {ErrorKind::authentication, "password authentication failed", "", "28P01"}}};
             });
         }},
        {"no TLS", "answers", Level::fail, "", "SSL", "PostgreSQLSSLMode is \"require\"",
         [&] {
             return managed([](Facts& f) {
                 f.unanswered = {
                     {key("db1"), {ErrorKind::authentication, "server does not support SSL", "", ""}}};
             });
         }},
        {"starting", "answers", Level::fail, "", "57P03", "wait",
         [&] {
             return managed([](Facts& f) {
                 f.unanswered = {
                     {key("db1"),
                      {ErrorKind::starting_up, "the database system is starting up", "", "57P03"}}};
             });
         }},
        {"unstable", "answers", Level::warn, "", "time was up", "--timeout",
         [&] { return managed([](Facts& f) { f.stable = false; }); }},
    };
    for (const auto& c : cases)
        expect(c);
    EXPECT_TRUE(
        findings_of(diagnose(managed([&](Facts& f) { f.manager = away; })), "stale-recoveries").empty())
        << "what only the manager knows is not guessed";
}

TEST(ManagerChecks, AConfigurationThatDoesNotLoadIsAllThatIsSaid) {
    auto facts = good_facts();
    facts.config.errors = {
        {ErrorKind::invalid_argument, "InstancePollSeconds = 0: allowed: 1 to 86400", "baton.conf.json", ""}};
    const auto report = diagnose(facts);
    ASSERT_EQ(report.findings.size(), 1U);
    EXPECT_EQ(report.findings[0].text, "baton.conf.json: InstancePollSeconds = 0: allowed: 1 to 86400");
    EXPECT_EQ(report.exit_code(), 2);
}

std::string document(const std::string& name) {
    std::ifstream file(std::string(BATON_SOURCE_DIR) + "/docs/" + name);
    std::stringstream text;
    text << file.rdbuf();
    return text.str();
}

/// What the doctor tells people to grant is what the guide says, whatever the version.
TEST(ManagerChecks, EveryGrantIsInTheGuide) {
    using engine::postgresql::privilege_checks;
    const auto guide = document("privileges.md");
    for (const int version : {130000, 140000, 150000, 160000, 170000, 180000}) {
        for (const auto& check : privilege_checks(version)) {
            const auto grant = check.remedy.substr(0, check.remedy.find(" TO %R"));
            if (!grant.starts_with("GRANT ")) continue;
            // Several grants may share a statement there: each object must be named after its kind of grant.
            const auto object =
                grant.substr(grant.rfind(check.remedy.contains("(") ? "pg_catalog." : " ") + 1);
            EXPECT_TRUE(guide.contains(object)) << version << ": " << check.remedy;
        }
    }
    EXPECT_TRUE(guide.contains("REPLICATION"));
}

TEST(ManagerChecks, EveryCheckIsInTheGuideAndTold) {
    const auto guide = document("doctor.md");
    for (const auto& check : all_checks()) {
        EXPECT_TRUE(guide.contains("`" + std::string(check.id) + "`")) << check.id;
        EXPECT_NE(check.of_manager == nullptr, check.of_cluster == nullptr) << check.id;
        EXPECT_FALSE(check.title.empty() || check.looks_at.empty()) << check.id;
    }
}

TEST(ManagerChecks, NoSecretGetsOut) {
    auto facts = good_facts();
    auto& c = facts.config.loaded.values;
    c.HTTPAuthPassword = "api-secret";
    c.PreFailoverProcesses = {"curl -H 'Token: hook-secret' http://x"};
    examination(facts, "s1").primary_conninfo_masked = "user=repl password=******** host=p";
    facts.manager.reachable = false;
    const auto report = diagnose(facts);
    for (const auto& text : {as_text(report, true), as_json(report)}) {
        for (const auto* secret : {"hunter2-password", "api-secret", "hook-secret"})
            EXPECT_FALSE(text.contains(secret)) << secret;
    }
}

}  // namespace
}  // namespace baton::doctor
