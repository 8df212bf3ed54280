#include "doctor/machine.h"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "doctor/collect.h"
#include "doctor/listening.h"
#include "doctor/manager_api.h"
#include "store/store.h"
#include "topology/world.h"

namespace baton::doctor {
namespace {

namespace fs = std::filesystem;

class Directory {
  public:
    Directory() {
        std::string name = fs::temp_directory_path() / "doctor-XXXXXX";
        path_ = mkdtemp(name.data());
    }
    ~Directory() { fs::remove_all(path_); }
    Directory(const Directory&) = delete;
    Directory& operator=(const Directory&) = delete;
    std::string file(const std::string& name, const std::string& text = "", mode_t mode = 0600) const {
        const auto path = (path_ / name).string();
        std::ofstream(path) << text;
        ::chmod(path.c_str(), mode);
        return path;
    }
    const fs::path& path() const { return path_; }

  private:
    fs::path path_;
};

TEST(Machine, FindsTheProgramOfAHook) {
    const std::vector<std::pair<std::string, std::string>> cases{
        {"/opt/hook.sh {failedHost} &", "/opt/hook.sh"},
        {"'/opt/my hook' x", "/opt/my hook"},
        {"A=1 B=/x /opt/hook", "/opt/hook"},
        {"./hook", "./hook"},
        {"/bin/a;/bin/b", "/bin/a"},
        {"echo hello", ""},
        {"/opt/{failureType}/hook", ""},
        {"$HOME/hook", ""},
        {"", ""},
        {"(/opt/hook)", ""},
    };
    for (const auto& [command, program] : cases)
        EXPECT_EQ(program_path(command), program) << command;
}

TEST(Machine, FindsSlipsInPlaceholders) {
    using Slips = std::vector<std::pair<std::string, std::string>>;
    EXPECT_EQ(placeholder_slips("x {failedHost} {successorHost} {failureType}"), Slips{});
    EXPECT_EQ(placeholder_slips("x {failedHots}"), (Slips{{"failedHots", "failedHost"}}));
    EXPECT_EQ(placeholder_slips("awk '{print $1}' ${failedHots}"), Slips{});
    EXPECT_EQ(placeholder_slips("x {unclosed"), Slips{});
}

TEST(Machine, LooksAtHooksAndFiles) {
    const Directory directory;
    config::Config config;
    config.SQLite3DataFile = (directory.path() / "deeper" / "baton.db").string();
    config.ListenAddress = "127.0.0.1:0";
    config.PreFailoverProcesses = {directory.file("good", "", 0700) + " x", directory.file("plain"), "echo"};
    config.PostgreSQLTopologyPassFile = directory.file("open", "", 0644);
    config.PostgreSQLSSLCAFile = (directory.path() / "absent").string();
    const auto machine = examine_machine(config);
    ASSERT_EQ(machine.hooks.size(), 3U);
    EXPECT_TRUE(machine.hooks[0].executable);
    EXPECT_TRUE(machine.hooks[1].exists);
    EXPECT_FALSE(machine.hooks[1].executable);
    EXPECT_EQ(machine.hooks[2].program, "");
    ASSERT_EQ(machine.files.size(), 2U);
    EXPECT_TRUE(machine.files[0].open_to_others);
    EXPECT_FALSE(machine.files[1].readable);
    EXPECT_TRUE(machine.shell_found);
    EXPECT_EQ(machine.state_file, StateFile::absent);
    EXPECT_TRUE(fs::is_empty(directory.path()) || !fs::exists(directory.path() / "deeper"))
        << "nothing is made";
    EXPECT_EQ(machine.listen_problem, "");
}

std::string header(uint8_t version, std::string application) {
    std::string text(100, '\0');
    text.replace(0, 16, std::string("SQLite format 3\0", 16));
    text[63] = static_cast<char>(version);
    text.replace(68, 4, application);
    return text;
}

TEST(Machine, JudgesStateFiles) {
    struct Row {
        std::string header;
        bool has_log;
        StateFile verdict;
    };
    const std::vector<Row> rows{
        {"", false, StateFile::usable},
        {header(1, "Batn"), false, StateFile::usable},
        {header(0, std::string(4, '\0')), true, StateFile::usable},
        {header(0, std::string(4, '\0')), false, StateFile::foreign},
        {header(1, "Xyzz"), true, StateFile::foreign},
        {header(99, "Batn"), false, StateFile::newer},
        {"hello", false, StateFile::not_a_database},
        {std::string(200, 'x'), false, StateFile::not_a_database},
    };
    for (const auto& row : rows) {
        std::string problem;
        EXPECT_EQ(judge_header(row.header, row.has_log, problem), row.verdict) << problem;
        EXPECT_EQ(problem.empty(), row.verdict == StateFile::usable);
    }
}

TEST(Machine, SeesWhetherAnAddressIsTaken) {
    config::Config config;
    config.ListenAddress = "127.0.0.1:0";
    EXPECT_EQ(try_listening(config).problem, "");
    config.ListenAddress = "192.0.2.1:9";
    const auto elsewhere = try_listening(config);
    EXPECT_FALSE(elsewhere.taken);
    EXPECT_NE(elsewhere.problem, "");

    const int fd = ::socket(AF_INET, SOCK_STREAM, 0);
    sockaddr_in address{.sin_family = AF_INET, .sin_addr = {.s_addr = htonl(INADDR_LOOPBACK)}};
    socklen_t size = sizeof address;
    ASSERT_EQ(::bind(fd, reinterpret_cast<sockaddr*>(&address), size), 0);
    ASSERT_EQ(::listen(fd, 1), 0);
    ::getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size);
    config.ListenAddress = "127.0.0.1:" + std::to_string(ntohs(address.sin_port));
    EXPECT_TRUE(try_listening(config).taken);
    ::close(fd);
}

TEST(ManagerApi, KnowsWhereTheManagerIs) {
    config::Config config;
    for (const auto& [listen, url] :
         std::vector<std::pair<std::string, std::string>>{{":3000", "http://127.0.0.1:3000"},
                                                          {"0.0.0.0:80", "http://127.0.0.1:80"},
                                                          {"[::]:80", "http://[::1]:80"},
                                                          {"10.0.0.1:3000", "http://10.0.0.1:3000"}}) {
        config.ListenAddress = listen;
        EXPECT_EQ(manager_url(config), url);
    }
}

TEST(ManagerApi, ReadsWhatTheManagerSays) {
    const std::map<std::string, std::string> answers{
        {"/api/health", R"({"Code":"OK","Message":"Application node is healthy","Details":null})"},
        {"/api/check-global-recoveries",
         R"({"Code":"OK","Message":"Global recoveries disabled","Details":"disabled"})"},
        {"/api/audit-recovery",
         R"([{"Id":17,"UID":"1:a","AnalysisEntry":{"AnalyzedInstanceKey":{"Hostname":"db1","Port":5432},"Analysis":"DeadPrimary",)"
         R"("ClusterDetails":{"ClusterName":"db1:5432"}},"SuccessorKey":{"Hostname":"","Port":0},"IsActive":true,"Acknowledged":false,)"
         R"("RecoveryStartTimestamp":"2026-01-01T00:00:00Z","RecoveryEndTimestamp":""}, 5])"},
        {"/api/all-instances",
         R"([{"Key":{"Hostname":"db1","Port":5432},"ClusterName":"db1:5432","IsDowntimed":true,"DowntimeOwner":"ann"},)"
         R"({"Key":{"Hostname":"db2","Port":99999}}])"},
        {"/api/clusters-info",
         R"([{"ClusterName":"db1:5432","ClusterAlias":"shop","HasAutomatedMasterRecovery":true}])"},
        {"/api/v2/agents",
         R"({"status":"ok","data":[{"Key":{"Hostname":"db1","Port":5432},"Host":"h1","Connected":true,"Lease":{"On":true}}]})"},
    };
    const auto manager = ask_manager(
        "http://x", [&](const std::string& path) -> Result<std::string> { return answers.at(path); });
    EXPECT_TRUE(manager.reachable && manager.healthy);
    EXPECT_EQ(manager.recoveries_enabled, false);
    ASSERT_EQ(manager.recoveries.size(), 1U);
    EXPECT_TRUE(manager.recoveries[0].blocks());
    EXPECT_EQ(manager.recoveries[0].failed.text(), "db1:5432");
    EXPECT_FALSE(manager.recoveries[0].successor.has_value());
    ASSERT_EQ(manager.instances.size(), 1U);
    EXPECT_TRUE(manager.instances[0].downtimed);
    EXPECT_TRUE(manager.clusters.at(0).recovers_primary);
    ASSERT_EQ(manager.agents.size(), 1U);
    EXPECT_EQ(manager.agents[0].host, "h1");
    EXPECT_TRUE(manager.agents[0].connected && manager.agents[0].lease_on);
}

TEST(ManagerApi, NonsenseIsNoManager) {
    for (const auto* body : {"", "<html>", "[]", "{}", "{\"Code\":5}"}) {
        const auto manager =
            ask_manager("x", [&](const std::string&) -> Result<std::string> { return body; });
        EXPECT_FALSE(manager.reachable) << body;
        EXPECT_NE(manager.problem, "");
    }
    const auto away = ask_manager("x", [](const std::string&) -> Result<std::string> {
        return fail(ErrorKind::refused, "nobody there");
    });
    EXPECT_EQ(away.problem, "nobody there");
}

TEST(Collect, SelectsWhatWasAskedFor) {
    using baton::sample::key;
    topology::Topology topology;
    const auto add = [&](const std::string& id, const std::string& host, const std::string& alias) {
        auto cluster = std::make_shared<Cluster>();
        cluster->id = id;
        cluster->name = host + ":5432";
        cluster->alias = alias;
        topology.clusters[id] = cluster;
        topology.cluster_of[key(host)] = id;
        topology.names[alias] = id;
    };
    add("1", "a", "shop");
    add("2", "b", "bank");
    const auto ids = [](const std::vector<ClusterPtr>& clusters) {
        std::string text;
        for (const auto& c : clusters)
            text += c->id;
        return text;
    };
    EXPECT_EQ(ids(select_clusters(topology, {}, "", {}, 5432)), "12");
    EXPECT_EQ(ids(select_clusters(topology, key("b"), "", {}, 5432)), "2");
    EXPECT_EQ(ids(select_clusters(topology, key("c"), "", {}, 5432)), "");
    EXPECT_EQ(ids(select_clusters(topology, {}, "shop", {}, 5432)), "1");
    EXPECT_EQ(ids(select_clusters(topology, {}, "renamed", {key("b"), key("b")}, 5432)), "2");
    EXPECT_EQ(ids(select_clusters(topology, {}, "nobody", {}, 5432)), "");
}

}  // namespace
}  // namespace baton::doctor
