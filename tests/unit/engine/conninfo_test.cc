#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "base/text.h"
#include "engine/postgresql/postgresql.h"

namespace baton::engine::postgresql {
namespace {

using testing::HasSubstr;
using testing::Not;
using Hosts = std::vector<InstanceKey>;

TEST(ParseConninfo, finds_the_hosts_as_libpq_does) {
    const struct {
        std::string text;
        Hosts hosts;
    } cases[] = {
        {"host=db1 port=5433", {{"db1", 5433}}},
        {"port=5433 host=db1", {{"db1", 5433}}},
        {"host='pg-primary' user=repl", {{"pg-primary", 5432}}},
        {"host=db1,db2 port=5432,5433", {{"db1", 5432}, {"db2", 5433}}},
        {"host=db1,db2,db3 port=6000", {{"db1", 6000}, {"db2", 6000}, {"db3", 6000}}},
        {"host=db1,db2 port=,6000", {{"db1", 5432}, {"db2", 6000}}},
        {"host = 'db 1' port = 7", {{"db 1", 7}}},
        {"hostaddr=10.0.0.7 port=5433", {{"10.0.0.7", 5433}}},
        {"host=db1 hostaddr=10.0.0.7", {{"db1", 5432}}},
        {"host=,db2 hostaddr=10.0.0.7,10.0.0.8", {{"10.0.0.7", 5432}, {"db2", 5432}}},
        {"host=/run/postgresql hostaddr=10.0.0.7", {{"10.0.0.7", 5432}}},
        {"host=db1 options='-c x=port=99'", {{"db1", 5432}}},
        {"host=/run/postgresql port=5440", {{"", 5440}}},
        {"user=repl", {{"", 5432}}},
        {"host=DB1.Example.ORG", {{"db1.example.org", 5432}}},
        {"host=fd00::1", {{"fd00::1", 5432}}},
        {"postgresql://repl:pw@db1:5433/x?application_name=n1", {{"db1", 5433}}},
        {"postgres://db1,db2:6000", {{"db1", 5432}, {"db2", 6000}}},
        {"postgresql://[fd00::1]:5433/", {{"fd00::1", 5433}}},
        {"postgresql:///x?host=db1&port=5434", {{"db1", 5434}}},
        {"host=db1 sslnegotiation=direct sslcertmode=allow load_balance_hosts=disable", {{"db1", 5432}}},
        {"postgresql://db1:5433/?sslnegotiation=direct&a%2Db=c", {{"db1", 5433}}},
        {"host=db1 password='a\\'b host=evil'", {{"db1", 5432}}},
        {"host=old host=db1", {{"db1", 5432}}},
        {"", {}},
    };
    for (const auto& c : cases) {
        const auto upstream = parse_conninfo(c.text);
        EXPECT_TRUE(upstream.readable) << c.text << ": " << upstream.problem;
        EXPECT_EQ(upstream.hosts, c.hosts) << c.text;
    }
}

TEST(ParseConninfo, reads_the_fields_that_matter_for_failover) {
    const auto upstream = parse_conninfo(
        "host=a,b user=repl password=secret application_name='n 1' dbname=postgres "
        "target_session_attrs=read-write",
        6432);
    EXPECT_EQ(upstream.user, "repl");
    EXPECT_EQ(upstream.application_name, "n 1");
    EXPECT_TRUE(upstream.has_dbname);
    EXPECT_TRUE(upstream.finds_primary_itself());
    EXPECT_EQ(upstream.hosts[1], (InstanceKey{"b", 6432}));
    EXPECT_FALSE(parse_conninfo("host=a target_session_attrs=read-write").finds_primary_itself());
    EXPECT_FALSE(parse_conninfo("host=a,b").finds_primary_itself());
    EXPECT_TRUE(parse_conninfo("host=a,b target_session_attrs=primary").finds_primary_itself());
}

TEST(ParseConninfo, says_what_is_wrong_without_quoting_secrets) {
    for (const std::string text :
         {"host", "host=a password=my secret", "host=a password='secret", "host=a,b port=1,2,3",
          "host=a port=99999", "host=a port=secret", "host=a,b hostaddr=1.1.1.1",
          "postgresql://u:secret@[fd00::1", "postgresql://h/?x=%zz", "=secret", "service=secretservice"}) {
        const auto upstream = parse_conninfo(text);
        EXPECT_FALSE(upstream.readable) << text;
        EXPECT_TRUE(upstream.hosts.empty()) << text;
        EXPECT_FALSE(upstream.problem.empty()) << text;
        if (!text.contains("service")) EXPECT_THAT(upstream.problem, Not(HasSubstr("secret"))) << text;
    }
}

TEST(RedirectConninfo, changes_host_and_port_and_nothing_else) {
    const InstanceKey target{"db9", 5439}, address{"10.0.0.9", 5439};
    const struct {
        std::string from;
        InstanceKey to;
        std::string expected;
    } cases[] = {
        {"host=db1 port=5433 user=repl", target, "host=db9 port=5439 user=repl"},
        {"user=repl password=p=w host=db1", target, "user=repl password=p=w host=db9 port=5439"},
        {"user=repl password='a b\\'c\\\\d' host=db1 application_name=n3", target,
         "user=repl password='a b\\'c\\\\d' host=db9 application_name=n3 port=5439"},
        {"hostaddr=10.0.0.1 port=1", address, "hostaddr=10.0.0.9 port=5439"},
        {"hostaddr=10.0.0.1 port=1", target, "port=5439 host=db9"},
        {"host=db1 hostaddr=10.0.0.1", target, "host=db9 port=5439"},
        {"host=db1 hostaddr=10.0.0.1", address, "host=10.0.0.9 port=5439"},
        {"host=a,b,c port=1,2,3 sslmode=verify-full", target, "host=db9 port=5439 sslmode=verify-full"},
        {"host=db1 dbname=app keepalives_idle=7 target_session_attrs=any", target,
         "host=db9 dbname=app keepalives_idle=7 target_session_attrs=any port=5439"},
        {"host=db1 sslnegotiation=direct password=''", target,
         "host=db9 sslnegotiation=direct password='' port=5439"},
        {"postgresql://repl:p%40w@db1:5433/app?sslmode=require&load_balance_hosts=disable", target,
         "user=repl password=p@w dbname=app host=db9 port=5439 sslmode=require load_balance_hosts=disable"},
        {"", target, "host=db9 port=5439"},
    };
    for (const auto& c : cases) {
        const auto redirected = redirect_conninfo(c.from, c.to);
        ASSERT_TRUE(redirected) << c.from;
        EXPECT_EQ(*redirected, c.expected) << c.from;
        EXPECT_EQ(parse_conninfo(*redirected).hosts, Hosts{c.to}) << c.from;
    }
    EXPECT_EQ(redirect_conninfo("host='db1", target).error().kind, ErrorKind::invalid_argument);
    EXPECT_EQ(redirect_conninfo("host=db1", {"", 5432}).error().kind, ErrorKind::invalid_argument);
}

TEST(PutFirst, moves_a_listed_host_to_the_front_with_its_address_and_port) {
    const struct {
        const char* from;
        const char* expected;
    } cases[] = {
        {"host=db1,db2,db3 port=5432,5433,5434 password=x",
         "host=db2,db1,db3 port=5433,5432,5434 password=x"},
        {"host=db1,db3,db2 hostaddr=10.0.0.1,10.0.0.3,10.0.0.2 port=5433",
         "host=db2,db1,db3 hostaddr=10.0.0.2,10.0.0.1,10.0.0.3 port=5433"},
        {"postgresql://db1:5432,db2:5433/postgres", "dbname=postgres host=db2,db1 port=5433,5432"},
        {"host=db2,db1 port=5433,5432", "host=db2,db1 port=5433,5432"},
    };
    const auto sorted = [](const std::string& conninfo) {
        auto fields = split(conninfo, ' ');
        std::ranges::sort(fields);
        return fields;
    };
    for (const auto& c : cases) {
        const auto moved = put_first(c.from, {"db2", 5433});
        ASSERT_TRUE(moved) << c.from;
        EXPECT_EQ(sorted(*moved), sorted(c.expected)) << c.from;
    }
    EXPECT_EQ(put_first("host=db1,db3", {"db2", 5433}).error().kind, ErrorKind::not_found);
    EXPECT_EQ(put_first("host='db1", {"db2", 5433}).error().kind, ErrorKind::not_found);
}

TEST(MaskConninfo, shows_all_but_passwords) {
    EXPECT_EQ(mask_conninfo("host=db1 password='a secret' sslpassword=secret user=u"),
              "host=db1 password=******** sslpassword=******** user=u");
    EXPECT_THAT(mask_conninfo("postgresql://u:secret@db1/"), Not(HasSubstr("secret")));
    EXPECT_THAT(mask_conninfo("host=db1 password=my secret"), Not(HasSubstr("secret")));
    EXPECT_EQ(mask_conninfo(""), "");
}

}  // namespace
}  // namespace baton::engine::postgresql
