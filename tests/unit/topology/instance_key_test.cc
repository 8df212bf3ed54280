#include <gtest/gtest.h>

#include "topology/instance_key.h"

namespace baton::topology {
namespace {

struct ReadCase {
    std::string_view text;
    std::string_view host;
    uint16_t port;
};

class Reads : public ::testing::TestWithParam<ReadCase> {};

TEST_P(Reads, host_and_port) {
    const auto key = parse_instance_key(GetParam().text, 5432);
    ASSERT_TRUE(key) << key.error().text();
    EXPECT_EQ(key->host, GetParam().host);
    EXPECT_EQ(key->port, GetParam().port);
    EXPECT_EQ(parse_instance_key(key->text(), 1).value(), *key) << "its own text must read back";
}

INSTANTIATE_TEST_SUITE_P(
    InstanceKey, Reads,
    ::testing::Values(ReadCase{"pg1", "pg1", 5432}, ReadCase{"pg1:5433", "pg1", 5433},
                      ReadCase{"  PG-Primary.Example.COM:1 ", "pg-primary.example.com", 1},
                      ReadCase{"10.0.0.1:65535", "10.0.0.1", 65535},
                      ReadCase{"[2001:DB8::1]:5433", "2001:db8::1", 5433}, ReadCase{"[::1]", "::1", 5432},
                      ReadCase{"2001:db8::1", "2001:db8::1", 5432},
                      ReadCase{"[fe80::1%eth0]:5432", "fe80::1%eth0", 5432}));

struct RefusalCase {
    std::string_view text;
    std::string_view says;
};

class Refuses : public ::testing::TestWithParam<RefusalCase> {};

TEST_P(Refuses, with_the_reason) {
    const auto key = parse_instance_key(GetParam().text, 5432);
    ASSERT_FALSE(key);
    EXPECT_EQ(key.error().kind, ErrorKind::invalid_argument);
    EXPECT_EQ(key.error().who, GetParam().text);
    EXPECT_NE(key.error().message.find(GetParam().says), std::string::npos) << key.error().message;
}

INSTANTIATE_TEST_SUITE_P(
    InstanceKey, Refuses,
    ::testing::Values(RefusalCase{"", "empty"}, RefusalCase{":5432", "empty"}, RefusalCase{"pg1:", "1-65535"},
                      RefusalCase{"pg1:0", "1-65535"}, RefusalCase{"pg1:65536", "1-65535"},
                      RefusalCase{"pg1:-1", "1-65535"}, RefusalCase{"pg1:5432x", "1-65535"},
                      RefusalCase{"a:b:5432", "more than one"}, RefusalCase{"[::1", "without"},
                      RefusalCase{"[::1]5432", "after"}, RefusalCase{"[pg1]:5432", "IPv6"},
                      RefusalCase{"'pg-primary':5432", "quotes"}, RefusalCase{"pg 1:5432", "blanks"},
                      RefusalCase{"a,b:5432", "commas"}, RefusalCase{"fe80::1%a]b", "brackets"},
                      RefusalCase{"a[b:1", "brackets"}, RefusalCase{"/var/run/postgresql", "slashes"}));

TEST(InstanceKey, a_name_can_be_printed_and_so_can_the_error) {
    for (const std::string_view text : {"db\x1b"
                                        "c:5432",
                                        "db\xff:5432", "db\x7f"}) {
        const auto key = parse_instance_key(text, 5432);
        ASSERT_FALSE(key) << text;
        EXPECT_NE(key.error().message.find("control"), std::string::npos);
        EXPECT_EQ(key.error().who.find_first_of("\x1b\xff\x7f"), std::string::npos) << key.error().who;
    }
}

TEST(InstanceKey, a_missing_port_without_a_default_is_an_error) {
    const auto key = parse_instance_key("pg1", 0);
    ASSERT_FALSE(key);
    EXPECT_NE(key.error().message.find("port is missing"), std::string::npos);
}

TEST(InstanceKey, knows_loopback_names_and_addresses) {
    for (const auto* host : {"localhost", "LOCALHOST", "127.0.0.1", "127.8.9.1", "::1"})
        EXPECT_TRUE(is_loopback(host)) << host;
    for (const auto* host : {"pg1", "128.0.0.1", "127.example.com", "::2"})
        EXPECT_FALSE(is_loopback(host)) << host;
    for (const auto* host : {"10.1.2.3", "::1", "fe80::1"})
        EXPECT_TRUE(is_address(host)) << host;
    for (const auto* host : {"pg1", "10.1.2", "10.1.2.3.4"})
        EXPECT_FALSE(is_address(host)) << host;
}

}  // namespace
}  // namespace baton::topology
