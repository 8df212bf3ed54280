#include "base/text.h"
#include "config/key.h"
#include "config/support.h"

namespace baton::config {
namespace {

using test::all_warnings;
using test::check_json;
using test::Folder;
using test::variables;
using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;
using testing::SizeIs;

TEST(Files, CommentsTrailingCommasAndRepeatedKeys) {
    const auto report = check_json(
        "\xEF\xBB\xBF// top\n{ /* one */ \"Debug\": false, \"DEBUG\": true, // last wins\n\"AuditLogFile\": "
        "\"a\", \"AuditLogFile\": \"b\",\n"
        "\"PowerAuthUsers\": [\"a\", \"b\",],\n}\n // end\n /* of it */ ");
    ASSERT_TRUE(report.ok()) << report.as_error().message;
    EXPECT_TRUE(report.loaded.values.Debug);
    EXPECT_EQ(report.loaded.values.AuditLogFile, "b");
    EXPECT_THAT(report.loaded.values.PowerAuthUsers, SizeIs(2));
    EXPECT_THAT(report.loaded.warnings, IsEmpty());
}

TEST(Files, TextAfterTheEndIsIgnoredWithAWarning) {
    const auto report = check_json("{\"Debug\": true} {\"Debug\": false}");
    ASSERT_TRUE(report.ok()) << report.as_error().message;
    EXPECT_TRUE(report.loaded.values.Debug);
    ASSERT_THAT(report.loaded.warnings, SizeIs(1));
    EXPECT_EQ(report.loaded.warnings[0].kind, WarningKind::text_after_end);
}

TEST(Files, SyntaxErrorsSayWhere) {
    const struct {
        const char* text;
        const char* says;
    } cases[] = {
        {"{\n  \"Debug\": true\n  \"ReadOnly\": true\n}", "line 3, column 3"},
        {"{\n  \"Debug\": tru\n}", "line 2, column 12: unexpected text in: \"Debug\": tru"},
        {"{\n  \"Debug\": tru,\n}", "in: \"Debug\": tru,"},
        {"{\"Debug\": true", "line 1, column 15: the file ends too early"},
        {"{\n\"ListenAddress\": \":3000\n}", "line 2"},
        {"", "is empty"},
        {" // nothing\n", "is empty"},
        {"[1]", "must hold one JSON object"},
        {"5", "must hold one JSON object"},
        {"Debug: true", "line 1, column 1"},
    };
    for (const auto& c : cases) {
        const auto report = check_json(c.text);
        ASSERT_THAT(report.errors, SizeIs(1)) << c.text;
        EXPECT_THAT(report.errors[0].text(), AllOf(HasSubstr("test.json: "), HasSubstr(c.says))) << c.text;
    }
}

TEST(Files, SyntaxErrorsHideLinesThatMayHoldSecrets) {
    for (const auto* line : {"\"PostgreSQLTopologyPassword\": \"hunter2\" x", "\"consulacltoken\": 'hunter2'",
                             "\"MyPassword\": hunter2"}) {
        const auto report = check_json(std::string("{\n") + line + "\n}");
        ASSERT_THAT(report.errors, SizeIs(1));
        EXPECT_THAT(report.errors[0].text(), AllOf(HasSubstr("line 2"), Not(HasSubstr("hunter2")))) << line;
    }
}

/// The API may be told to read any file, and answers with what is wrong in it.
TEST(Files, SyntaxErrorsRepeatNoLineOfAFileThatIsNoConfiguration) {
    for (const auto* text : {"root:$y$j9T$abc:19700:0:99999:7:::\n", "{\"key\": \"hunter2\" x}"}) {
        const auto report = check_json(text);
        ASSERT_THAT(report.errors, SizeIs(1));
        EXPECT_THAT(report.errors[0].text(),
                    AllOf(HasSubstr("line 1"), Not(HasSubstr("j9T")), Not(HasSubstr("hunter2"))));
    }
}

TEST(Files, ErrorsAndWarningsCanBePrinted) {
    const std::string umlauts(60, 'a');
    const struct {
        std::string text;
        std::string shown;
    } cases[] = {
        {"{\"ListenAddress\": \"" + umlauts + "äääääääääääääääääääääääääääää\" \x1b}", R"(\x1b)"},
        {"{\"ListenAddress\": \"äääääääääääääääääääääääääääääääääääääääääääääääääääääääääää\"}", "ä…"},
        {R"({"DiscoverySeeds": ["a\u001bb c"]})", R"(\x1b)"},
        {R"({"RecoverMasterClusterFilters": ["(\u001b"]})", R"(\x1b)"},
        {R"({"PostgreSQLTopologyPassword": "${\u001b}"})", R"(\x1b)"},
        {R"({"BackendDB": "\u001b"})", R"(\x1b)"},
    };
    for (const auto& c : cases) {
        const auto report = check_json(c.text);
        ASSERT_FALSE(report.ok()) << c.text;
        const auto text = report.as_error().text();
        EXPECT_TRUE(is_utf8(text)) << text;
        EXPECT_EQ(printable(text, text.size()), text);
        EXPECT_THAT(text, HasSubstr(c.shown));
    }
    const auto unknown = check_json(R"({"\u001b[2J": 1})");
    EXPECT_THAT(all_warnings(unknown.loaded.warnings), HasSubstr(R"(\x1b[2J)"));
}

TEST(Files, AListOfErrorsIsShort) {
    std::string seeds;
    for (int n = 0; n < 1000; ++n)
        seeds += (n > 0 ? ",\"a b" : "\"a b") + std::to_string(n) + "\"";
    const auto text = check_json("{\"DiscoverySeeds\": [" + seeds + "]}").as_error().text();
    EXPECT_THAT(text, HasSubstr("and 990 more like these"));
    EXPECT_LT(text.size(), 1000U);
}

TEST(Files, AVeryLongUnknownNameIsNotComparedForMinutes) {
    const auto report = check_json("{\"" + std::string(1'000'000, 'x') + "\": 1}");
    ASSERT_EQ(report.loaded.warnings.size(), 1U);
    EXPECT_LT(report.loaded.warnings.front().text.size(), 400U);
}

TEST(Files, LaterOnesWin) {
    const Folder folder;
    const std::vector<std::string> files{
        folder.write("a.json", R"({"InstancePollSeconds": 7, "ClusterNameToAlias": {"a": "1", "b": "2"},
                                   "PowerAuthUsers": ["x", "y"], "Debug": true})"),
        folder.write("b.json",
                     R"({"InstancePollSeconds": 8, "ClusterNameToAlias": {"b": "3"}, "PowerAuthUsers": ["z"],
                                   "Debug": null})")};
    const auto loaded = load(files, variables({}));
    ASSERT_TRUE(loaded) << loaded.error().message;
    EXPECT_EQ(loaded->values.InstancePollSeconds, 8);
    EXPECT_EQ(loaded->values.ClusterNameToAlias, (TextMap{{"a", "1"}, {"b", "3"}}));
    EXPECT_THAT(loaded->values.PowerAuthUsers, ElementsAre("z"));
    EXPECT_TRUE(loaded->values.Debug);
    EXPECT_EQ(loaded->files, files);
}

TEST(Files, UnreadableOnesAreErrors) {
    const Folder folder;
    const std::vector<std::string> missing{folder.path("none.json")};
    const auto loaded = load(missing, variables({}));
    ASSERT_FALSE(loaded);
    EXPECT_EQ(loaded.error().kind, ErrorKind::io);
    EXPECT_THAT(loaded.error().text(), AllOf(HasSubstr("none.json"), HasSubstr("No such file")));
    EXPECT_FALSE(load(std::vector<std::string>{folder.path("")}, variables({})));
    const auto large = folder.write("large.json", std::string(5 * 1024 * 1024, ' '));
    EXPECT_THAT(load(std::vector{large}, variables({})).error().message, HasSubstr("longer than"));
}

TEST(Files, NoneAtAllGivesTheDefaults) {
    const auto loaded = load({}, variables({}));
    ASSERT_TRUE(loaded);
    EXPECT_EQ(loaded->values.InstancePollSeconds, 1);
    EXPECT_THAT(loaded->set_keys, IsEmpty());
}

TEST(Warnings, UnknownKeysNameTheNearestOne) {
    const auto report = check_json(R"({"ListenAdress": ":1", "Zzzzzz": 1})");
    ASSERT_TRUE(report.ok());
    ASSERT_THAT(report.loaded.warnings, SizeIs(2));
    EXPECT_EQ(report.loaded.warnings[0].text,
              "test.json: unknown key \"ListenAdress\" is ignored; did you mean ListenAddress?");
    EXPECT_EQ(report.loaded.warnings[1].text, "test.json: unknown key \"Zzzzzz\" is ignored");
}

TEST(Warnings, UnusedAndDeprecatedKeysAreNamedOnce) {
    const auto report =
        check_json(R"({"GraphitePath": "x", "OAuthScopes": [], "graphitepath": "y", "MaintenanceOwner": "me",
                                       "InstancePollSeconds": 1})");
    ASSERT_TRUE(report.ok());
    ASSERT_THAT(report.loaded.warnings, SizeIs(2));
    EXPECT_EQ(report.loaded.warnings[0].kind, WarningKind::unused_key);
    EXPECT_THAT(report.loaded.warnings[0].keys, ElementsAre("GraphitePath", "OAuthScopes"));
    EXPECT_THAT(report.loaded.warnings[0].text, HasSubstr("GraphitePath, OAuthScopes"));
    EXPECT_EQ(report.loaded.warnings[1].kind, WarningKind::deprecated_key);
    EXPECT_THAT(report.loaded.warnings[1].text, HasSubstr("MaintenanceOwner"));
}

TEST(Warnings, ValuesThatBatonReplaces) {
    const auto warnings = [](const char* json) { return all_warnings(check_json(json).loaded.warnings); };
    EXPECT_THAT(warnings(R"({"BackendDB": "mysql", "SQLite3DataFile": "/x/y"})"),
                HasSubstr("SQLite, in the file /x/y"));
    EXPECT_THAT(warnings(R"({"RecoveryPeriodBlockMinutes": 5})"), HasSubstr("has no effect"));
    EXPECT_THAT(warnings(R"({"AuthenticationMethod": "basic"})"), HasSubstr("protects nothing"));
    EXPECT_THAT(warnings(R"({"ServeAgentsHttp": true})"), HasSubstr("set AgentToken or"));
    EXPECT_EQ(warnings(R"({"ServeAgentsHttp": true, "AgentToken": "t"})"), "");
    EXPECT_EQ(warnings(R"({"AuthenticationMethod": "basic", "HTTPAuthUser": "u", "HTTPAuthPassword": "p"})"),
              "");
}

TEST(Secrets, ComeFromTheEnvironment) {
    const auto report =
        check_json(R"({"PostgreSQLTopologyPassword": "${PGPW}", "PostgreSQLTopologyUser": "${PGU}",
                                       "ListenSocket": "${PGU}", "HTTPAuthPassword": "a${PGPW}"})",
                   {{"PGPW", "hunter2"}, {"PGU", "watcher"}});
    ASSERT_TRUE(report.ok()) << report.as_error().message;
    EXPECT_EQ(report.loaded.values.PostgreSQLTopologyPassword, "hunter2");
    EXPECT_EQ(report.loaded.values.PostgreSQLTopologyUser, "watcher");
    EXPECT_EQ(report.loaded.values.ListenSocket, "${PGU}");
    EXPECT_EQ(report.loaded.values.HTTPAuthPassword, "a${PGPW}");
}

TEST(Secrets, AMissingVariableIsAnError) {
    const auto report = check_json(R"({"PostgreSQLTopologyPassword": "${PGPW}"})");
    ASSERT_THAT(report.errors, SizeIs(1));
    EXPECT_EQ(report.errors[0].text(),
              "test.json: PostgreSQLTopologyPassword: the environment variable PGPW is not set");
}

TEST(Secrets, ComeFromACredentialsFile) {
    const Folder folder;
    const struct {
        const char* text;
        const char* user;
        const char* password;
    } cases[] = {
        {"[client]\nuser = watcher\npassword = hunter2\n", "watcher", "hunter2"},
        {"# c\n[mysqld]\nuser=other\n[client]\r\nuser=\"watcher\"\r\npassword='h\\'2'\r\n", "watcher", "h'2"},
        {"[Client]\npassword = a#b;c # comment\n", "fromfile", "a#b;c"},
        {"[client]\nuser=w\npassword=\"a # \\\"b\\\\\" ; comment\n[other]\npassword=x\n", "w", "a # \"b\\"},
        {"[client]\npassword=${PGPW}\n", "fromfile", "from-env"},
    };
    for (const auto& c : cases) {
        const auto path = folder.write("credentials.cnf", c.text);
        const auto report =
            check_json(R"({"PostgreSQLTopologyUser": "fromfile", "PostgreSQLTopologyPassword": "p",
            "PostgreSQLTopologyCredentialsConfigFile": ")" +
                           path + "\"}",
                       {{"PGPW", "from-env"}});
        ASSERT_TRUE(report.ok()) << report.as_error().message;
        EXPECT_EQ(report.loaded.values.PostgreSQLTopologyUser, c.user) << c.text;
        EXPECT_EQ(report.loaded.values.PostgreSQLTopologyPassword, c.password) << c.text;
    }
}

TEST(Secrets, ACredentialsFileWithoutCredentialsIsAnError) {
    const Folder folder;
    for (const auto& path :
         {folder.path("none"), folder.write("a", "user=x\n"), folder.write("b", "[client]\n"),
          folder.write("c", "[client]\npassword=${NOPE}\n")}) {
        const auto report = check_json(R"({"PostgreSQLTopologyCredentialsConfigFile": ")" + path + "\"}");
        ASSERT_THAT(report.errors, SizeIs(1)) << path;
        EXPECT_THAT(report.errors[0].text(),
                    AllOf(HasSubstr("PostgreSQLTopologyCredentialsConfigFile"), HasSubstr(path)));
    }
}

}  // namespace
}  // namespace baton::config
