#include "engine/postgresql/activity.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace baton::engine::postgresql {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

TEST(Activity, reads_slots_and_what_copies_them) {
    const auto read = decode_activity(R"({"backups": null, "transactions": null, "archiving_fails": false,
        "copies_slots": true, "consumers_wait_for": ["a", "", "b"], "slots": [
        {"slot_name": "cdc", "failover": true, "synced": false, "temporary": false,
         "confirmed_flush_lsn": "1/2A", "wal_status": "reserved", "invalidation_reason": null},
        {"slot_name": "gone", "wal_status": "lost", "confirmed_flush_lsn": null}]})");
    ASSERT_TRUE(read) << read.error().text();
    EXPECT_TRUE(read->copies_slots);
    EXPECT_THAT(read->consumers_wait_for, ElementsAre("a", "b"));
    ASSERT_EQ(read->logical_slots.size(), 2U);
    const auto& cdc = read->logical_slots[0];
    EXPECT_TRUE(cdc.failover && !cdc.synced && cdc.invalid.empty());
    EXPECT_EQ(cdc.confirmed.text(), "1/2A");
    EXPECT_EQ(read->logical_slots[1].invalid, "wal_removed");
    EXPECT_FALSE(read->logical_slots[1].confirmed);
}

/// Before PostgreSQL 17 there are neither such settings nor such columns.
TEST(Activity, knows_no_copies_of_old_versions) {
    const auto read = decode_activity(R"({"slots": [{"slot_name": "cdc"}], "copies_slots": false,
        "consumers_wait_for": null, "archiving_fails": true})");
    ASSERT_TRUE(read);
    EXPECT_FALSE(read->copies_slots || read->logical_slots[0].failover);
    EXPECT_THAT(read->consumers_wait_for, IsEmpty());
    EXPECT_TRUE(read->archiving_fails);
    EXPECT_FALSE(decode_activity("[]"));
}

}  // namespace
}  // namespace baton::engine::postgresql
