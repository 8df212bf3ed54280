#include <boost/json.hpp>

#include "doctor/doctor.h"
#include "doctor/options.h"
#include "doctor/support.h"

namespace baton::doctor {
namespace {

Report sample_report() {
    return {
        .sections = {{"", "Manager"}, {"42", "Cluster shop (system 42), primary db1:5432"}},
        .findings = {
            {Level::pass, "config", "", "", "manager", false, "baton.conf.json, 12 keys set", ""},
            {Level::fail, "one-primary", "", "42", "shop", false, "2 servers take writes", "stop one"},
            {Level::pass, "connection", "", "42", "db1:5432", true, "PostgreSQL 15.18 <&> \"quoted\"", ""},
            {Level::warn, "slots", "", "42", "db2:5432", true, "no slot", "first\nsecond"}}};
}

TEST(Report, ReadsWellByClusterAndServer) {
    EXPECT_EQ(as_text(sample_report(), false),
              "Manager\n"
              "  ok    config       baton.conf.json, 12 keys set\n"
              "\n"
              "Cluster shop (system 42), primary db1:5432\n"
              "  FAIL  one-primary  2 servers take writes\n"
              "        > stop one\n"
              "  db1:5432\n"
              "    ok    connection   PostgreSQL 15.18 <&> \"quoted\"\n"
              "  db2:5432\n"
              "    warn  slots        no slot\n"
              "          > first\n"
              "          > second\n"
              "\n"
              "2 ok, 1 warn, 1 FAIL\n");
}

TEST(Report, ColoursOnlyWhenAsked) {
    EXPECT_FALSE(as_text(sample_report(), false).contains('\x1b'));
    EXPECT_TRUE(as_text(sample_report(), true).contains("\x1b[1;31mFAIL"));
}

TEST(Report, JsonIsValidAndComplete) {
    const auto value = boost::json::parse(as_json(sample_report()));
    const auto& checks = value.at("checks").as_array();
    ASSERT_EQ(checks.size(), 4U);
    EXPECT_EQ(checks[2].at("text").as_string(), "PostgreSQL 15.18 <&> \"quoted\"");
    EXPECT_EQ(checks[3].at("level").as_string(), "warn");
    EXPECT_EQ(checks[3].at("subject").as_string(), "db2:5432");
    EXPECT_EQ(checks[3].at("remedy").as_string(), "first\nsecond");
    EXPECT_EQ(checks[1].at("cluster").as_string(), "42");
    EXPECT_EQ(value.at("summary").at("fail").as_int64(), 1);
    EXPECT_EQ(value.at("summary").at("exitCode").as_int64(), 2);
}

TEST(Report, ExitCodes) {
    Report report;
    EXPECT_EQ(report.exit_code(), 0);
    report.findings.push_back({.level = Level::pass});
    EXPECT_EQ(report.exit_code(), 0);
    report.findings.push_back({.level = Level::warn});
    EXPECT_EQ(report.exit_code(), 1);
    report.findings.push_back({.level = Level::fail});
    EXPECT_EQ(report.exit_code(), 2);
}

TEST(Options, AreRead) {
    const auto options = parse_options(
        {"-config", "a.json", "--config=b.json", "-i", "db1:5432", "--json", "--timeout", "30"});
    ASSERT_TRUE(options.has_value());
    EXPECT_EQ(options->files, (std::vector<std::string>{"a.json", "b.json"}));
    EXPECT_EQ(options->server, "db1:5432");
    EXPECT_TRUE(options->json);
    EXPECT_EQ(options->timeout, seconds(30));
    EXPECT_EQ(parse_options({"shop"})->cluster, "shop");
}

TEST(Options, BadUsageSaysWhat) {
    const std::vector<std::pair<std::vector<std::string>, std::string>> cases{
        {{"--jsn"}, "--jsn"},      {{"-config"}, "-config"},     {{"--timeout", "0"}, "1 to 600"},
        {{"--timeout", "x"}, "x"}, {{"shop", "other"}, "other"}, {{"-i", "db1", "shop"}, "not both"},
    };
    for (const auto& [args, text] : cases) {
        std::ostringstream out, err;
        EXPECT_EQ(run(args, out, err, false), 2);
        EXPECT_TRUE(err.str().contains(text)) << err.str();
        EXPECT_TRUE(out.str().empty());
    }
    std::ostringstream out, err;
    EXPECT_EQ(run({"--help"}, out, err, false), 0);
    EXPECT_TRUE(out.str().contains("usage:"));
}

TEST(Run, AFileThatIsNotThereIsAFailure) {
    std::ostringstream out, err;
    EXPECT_EQ(run({"-config", "/no/such/file.json", "--json"}, out, err, false), 2);
    const auto value = boost::json::parse(out.str());
    EXPECT_EQ(value.at("checks").at(0).at("id").as_string(), "config");
}

}  // namespace
}  // namespace baton::doctor
