#include "config/key.h"
#include "config/support.h"

namespace baton::config {
namespace {

using test::check_json;
using testing::HasSubstr;
using testing::Not;

TEST(Routers, are_read_with_their_defaults) {
    const auto report = check_json(R"({"Routers": [
        {"Address": "pb1:6432", "password": "${PB}", "Databases": ["app"], "Agent": "pb1"},
        {"type": "PgBouncer", "Name": "second", "Address": "[::1]:6432", "PasswordFile": "/etc/p", "Clusters": ["alias=shop"]}
    ]})",
                                   {{"PB", "hidden word"}});
    ASSERT_TRUE(report.ok()) << report.as_error().message;
    const auto& routers = report.loaded.values.Routers;
    ASSERT_EQ(routers.size(), 2U);
    EXPECT_EQ(routers[0].Name, "pb1:6432");
    EXPECT_EQ(routers[0].Password, "hidden word");
    EXPECT_EQ(routers[0].Clusters, Texts{"*"});
    EXPECT_EQ(routers[1].Type, "pgbouncer");
    EXPECT_EQ(routers[1].User, "pgbouncer");
}

TEST(Routers, that_make_no_sense_are_refused_with_the_entry) {
    struct {
        const char* routers;
        const char* complaint;
    } const cases[] = {
        {"{}", "it is an object"},
        {"[1]", "entry 1: it is no object"},
        {R"([{"Address": "a:1"}, {"Adress": "b:1"}])",
         "entry 2: unknown field \"Adress\"; did you mean Address?"},
        {R"([{"Address": 6432}])", "entry 1: Address is not a string"},
        {R"([{"Address": "a:1", "Databases": "app"}])", "Databases is not a list of strings"},
        {R"([{"Name": "pb"}])", "entry 1: Address = \"\": no \"HOST:PORT\""},
        {R"([{"Address": "a"}])", "no \"HOST:PORT\""},
        {R"([{"Address": "a:70000"}])", "no \"HOST:PORT\""},
        {R"([{"Address": "a:1", "Type": "haproxy"}])", "only pgbouncer is known"},
        {R"([{"Address": "a:1", "Password": "x", "PasswordFile": "y"}])", "both Password and PasswordFile"},
        {R"([{"Address": "a:1", "Clusters": ["("]}])", "Clusters: "},
        {R"([{"Address": "a:1"}, {"Address": "a:1"}])", "another one with the name a:1"},
    };
    for (const auto& c : cases) {
        const auto report = check_json(std::string("{\"Routers\": ") + c.routers + "}");
        EXPECT_THAT(report.as_error().message, HasSubstr(c.complaint)) << c.routers;
    }
}

TEST(Routers, never_show_a_password) {
    const auto wrong = check_json(R"({"Routers": [{"Address": "a", "Password": "hidden word"}]})");
    EXPECT_THAT(wrong.as_error().message, Not(HasSubstr("hidden word")));
    const auto report = check_json(R"({"Routers": [{"Address": "a:1", "Password": "hidden word"}]})");
    ASSERT_TRUE(report.ok());
    const auto text = show(report.loaded.values, true);
    EXPECT_THAT(text, Not(HasSubstr("hidden word")));
    EXPECT_THAT(text, HasSubstr("\"Password\":\"********\""));
    EXPECT_THAT(text, HasSubstr("\"Address\":\"a:1\""));
}

TEST(Routers, want_their_variables_to_be_set) {
    const auto report = check_json(R"({"Routers": [{"Address": "a:1", "Password": "${NOT_SET}"}]})");
    EXPECT_THAT(report.as_error().message, HasSubstr("Routers: the environment variable NOT_SET is not set"));
}

TEST(Routers, are_documented_field_by_field) {
    for (const auto& field : router_fields())
        EXPECT_THAT(documentation(), HasSubstr(std::string("`") + std::string(field.name) + "`:"));
}

}  // namespace
}  // namespace baton::config
