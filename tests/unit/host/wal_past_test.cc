#include "host/wal_past.h"

#include <gtest/gtest.h>

namespace baton::host {
namespace {

using topology::Lsn;
using topology::parse_lsn;

Lsn lsn(const char* text) {
    return parse_lsn(text).value();
}

constexpr const char* of_15 =
    "WAL statistics between 0/1511A88 and 0/1527BA0:\n"
    "Type                                           N      (%)          Record size      (%)\n"
    "----                                           -      ---          -----------      ---\n"
    "Transaction/COMMIT                             3 (100.00)                  473 (100.00)\n"
    "                                        --------                      --------\n"
    "Total                                          3                           473 [100.00%]\n"
    "pg_waldump: error: error in WAL record at 0/1527B78: invalid record length at 0/1527BA0: wanted 24, got "
    "0\n";

TEST(WalPast, is_read_from_the_statistics) {
    const auto past = parse_wal_past(of_15, lsn("0/1511A88"));
    ASSERT_TRUE(past) << past.error().text();
    EXPECT_EQ(past->end, lsn("0/1527BA0"));
    EXPECT_EQ(past->commits, 3);
}

TEST(WalPast, of_older_servers_is_read_from_the_error) {
    const auto past = parse_wal_past(
        "Type        N      (%)\n"
        "Transaction/COMMIT_PREPARED                    2 ( 66.67)                   68 (  8.0)\n"
        "Transaction/COMMIT                             1 ( 33.33)                   34 (  4.0)\n"
        "Total                                          3\n"
        "pg_waldump: fatal: error in WAL record at 0/30000D8: record with incorrect prev-link 0/2F0 at "
        "0/3000110\n",
        lsn("0/3000000"));
    ASSERT_TRUE(past) << past.error().text();
    EXPECT_EQ(past->end, lsn("0/3000110"));
    EXPECT_EQ(past->commits, 3);
}

TEST(WalPast, of_nothing_is_the_position_itself) {
    const auto past = parse_wal_past("pg_waldump: error: could not find a valid record after 0/1527BA0\n",
                                     lsn("0/1527BA0"));
    ASSERT_TRUE(past) << past.error().text();
    EXPECT_EQ(past->end, lsn("0/1527BA0"));
    EXPECT_EQ(past->commits, 0);
}

TEST(WalPast, that_cannot_be_read_is_an_error) {
    for (const auto* said :
         {"",
          "pg_waldump: error: could not find file \"000000010000000000000009\": No such file or directory\n",
          "WAL statistics between 0/1 and x:\n", "sh: pg_waldump: not found"}) {
        const auto past = parse_wal_past(said, lsn("0/3000000"));
        ASSERT_FALSE(past) << said;
        EXPECT_EQ(past.error().kind, ErrorKind::unsupported);
    }
}

TEST(WalPast, names_the_transactions) {
    const std::string listed =
        "rmgr: Transaction len (rec/tot):    405/   405, tx:        724, lsn: 0/01527938, prev 0/015278F0, "
        "desc: "
        "COMMIT 2026-11-21 04:28:09.394453 UTC; inval msgs: catcache 80\n"
        "rmgr: Transaction len (rec/tot):     34/    34, tx:        727, lsn: 0/01527A00, prev 0/01527B38, "
        "desc: "
        "ABORT 2026-11-21 04:28:09.40 UTC\n"
        "rmgr: Transaction len (rec/tot):     34/    34, tx:        725, lsn: 0/01527B10, prev 0/01527AD0, "
        "desc: "
        "COMMIT_PREPARED 2026-11-21 04:28:09.481726 UTC\n";
    EXPECT_EQ(
        parse_commits(listed, 2),
        "transactions 724 at 0/01527938 (2026-11-21 04:28:09.394453 UTC), 725 at 0/01527B10 (2026-11-21 "
        "04:28:09.481726 UTC)");
    EXPECT_TRUE(parse_commits(listed, 9).ends_with(" and 7 more"));
    EXPECT_EQ(parse_commits("", 3), "");
}

}  // namespace
}  // namespace baton::host
