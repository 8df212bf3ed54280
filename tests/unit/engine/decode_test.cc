#include "engine/postgresql/decode.h"

#include <gtest/gtest.h>

namespace baton::engine::postgresql {
namespace {

using topology::Lsn;
using topology::Observation;
using topology::Role;

template <class Column>
struct Answer {
    std::array<Cell, static_cast<size_t>(Column::count)> cells{};
    Cell& operator[](Column c) { return cells[static_cast<size_t>(c)]; }
};

Answer<Identity> identity_answer() {
    Answer<Identity> a;
    for (auto& cell : a.cells)
        cell = "0";
    a[Identity::system_identifier] = "7312345678901234567";
    a[Identity::version_num] = "150018";
    a[Identity::version] = "15.18 (Debian 15.18-0+deb12u1)";
    a[Identity::data_directory] = {};
    a[Identity::port] = "5433";
    a[Identity::started_at_us] = "1700000000123456";
    a[Identity::cluster_name] = "n1";
    a[Identity::recovery_target_timeline] = "latest";
    a[Identity::data_checksums] = "on";
    a[Identity::max_connections] = "100";
    return a;
}

constexpr std::string_view settings =
    "s1\x1f\x1fon\x1foff\x1fon\x1fon\x1f"
    "500ms\x1f"
    "1min\x1f"
    "0\x1f"
    "2h\x1f"
    "1GB";

Answer<Look> primary_answer() {
    Answer<Look> a;
    a[Look::in_recovery] = "f";
    a[Look::timeline] = "0000000B";
    a[Look::written] = "16/B374D848";
    a[Look::replay_paused] = "f";
    a[Look::settings] = settings;
    a[Look::can_see_all] = "t";
    return a;
}

Answer<Look> standby_answer() {
    Answer<Look> a = primary_answer();
    a[Look::in_recovery] = "t";
    a[Look::timeline] = {};
    a[Look::written] = {};
    a[Look::received] = "0/5000060";
    a[Look::replayed] = "0/5000000";
    a[Look::streamed] = "0/5000060";
    a[Look::replayed_age_ms] = "1500";
    a[Look::primary_conninfo] = "host=db1 port=5433 user=repl password=x";
    a[Look::receiver_pid] = "77";
    a[Look::receiver_status] = "streaming";
    a[Look::receiver_host] = "db1";
    a[Look::receiver_port] = "5433";
    a[Look::receiver_slot] = "s1";
    a[Look::receiver_timeline] = "3";
    a[Look::receiver_written] = "0/5000060";
    a[Look::receiver_flushed] = "0/5000060";
    a[Look::receiver_latest_end] = "0/5000060";
    a[Look::receiver_message_age_ms] = "-3";  // the clock was set back
    return a;
}

SessionMemory introduced() {
    return *decode_identity(identity_answer().cells);
}

TEST(DecodeIdentity, reads_what_cannot_change) {
    const auto memory = decode_identity(identity_answer().cells);
    ASSERT_TRUE(memory);
    EXPECT_EQ(memory->identity.system_identifier, "7312345678901234567");
    EXPECT_EQ(memory->identity.version_num, 150018);
    EXPECT_EQ(memory->identity.version, "15.18");
    EXPECT_EQ(memory->identity.data_directory, "");
    EXPECT_EQ(memory->identity.port, 5433);
    EXPECT_EQ(memory->identity.started_at_us, 1700000000123456);
    EXPECT_TRUE(memory->settings.data_checksums);
    EXPECT_FALSE(memory->settings.wal_log_hints);
    EXPECT_EQ(memory->settings.max_connections, 100);
}

TEST(DecodeLook, reads_a_primary_with_its_senders_and_slots) {
    auto answer = primary_answer();
    answer[Look::senders] =
        R"([[501, "repl", "n2", "10.0.0.2", null, "streaming", "0/3000", "0/3000", "0/2000", "0/1000", 12, "sync", 1],
            [502, "repl", "n\"3", null, "h3", "catchup", "0/3000", null, null, "0/1000", null, "async", 0]])";
    answer[Look::slots] =
        R"([["s2", true, true, false, "0/1000", "reserved", null, 501], ["cdc", false, true, false, null, "lost", -5, 502]])";
    auto memory = introduced();
    const auto seen = decode_look(answer.cells, memory);
    ASSERT_TRUE(seen) << seen.error().text();
    EXPECT_EQ(seen->role, Role::primary);
    EXPECT_EQ(seen->timeline, 11U);
    EXPECT_EQ(seen->written.text(), "16/B374D848");
    EXPECT_EQ(seen->system_identifier, "7312345678901234567");
    EXPECT_TRUE(seen->can_see_all);
    ASSERT_EQ(seen->senders.size(), 2U);
    EXPECT_EQ(seen->senders[0].pid, 501);
    EXPECT_EQ(seen->senders[0].slot, "s2");
    EXPECT_EQ(seen->senders[0].flushed, Lsn{0x2000});
    EXPECT_EQ(seen->senders[0].replay_lag, milliseconds(12));
    EXPECT_EQ(seen->senders[0].sync_state, "sync");
    EXPECT_EQ(seen->senders[1].application_name, "n\"3");
    EXPECT_EQ(seen->senders[1].client_addr, "");
    EXPECT_FALSE(seen->senders[1].replay_lag);
    EXPECT_EQ(seen->senders[1].slot, "") << "a logical slot is not the standby's";
    ASSERT_EQ(seen->slots.size(), 2U);
    EXPECT_FALSE(seen->slots[0].safe_wal_size);
    EXPECT_FALSE(seen->slots[1].physical);
    EXPECT_EQ(seen->slots[1].safe_wal_size, -5);
    EXPECT_EQ(seen->slots[1].wal_status, "lost");

    EXPECT_EQ(seen->settings.primary_slot_name, "s1");
    EXPECT_EQ(seen->settings.synchronous_standby_names, "");
    EXPECT_EQ(seen->settings.synchronous_commit, "on");
    EXPECT_FALSE(seen->settings.default_transaction_read_only);
    EXPECT_TRUE(seen->settings.hot_standby_feedback);
    EXPECT_EQ(seen->settings.wal_retrieve_retry_interval_ms, 500);
    EXPECT_EQ(seen->settings.wal_receiver_timeout_ms, 60000);
    EXPECT_EQ(seen->settings.wal_sender_timeout_ms, 0);
    EXPECT_EQ(seen->settings.recovery_min_apply_delay_ms, 7'200'000);
    EXPECT_EQ(seen->settings.max_slot_wal_keep_size_mb, 1024);
    EXPECT_EQ(seen->settings.cluster_name, "n1");
}

TEST(DecodeLook, reads_a_standby) {
    auto memory = introduced();
    const auto seen = decode_look(standby_answer().cells, memory);
    ASSERT_TRUE(seen) << seen.error().text();
    EXPECT_EQ(seen->role, Role::standby);
    EXPECT_EQ(seen->timeline, 3U);
    EXPECT_EQ(seen->received, Lsn{0x5000060});
    EXPECT_EQ(seen->replayed, Lsn{0x5000000});
    EXPECT_EQ(seen->last_replayed_age, milliseconds(1500));
    EXPECT_TRUE(seen->receiving());
    EXPECT_EQ(seen->receiver->last_message_age, milliseconds(0));
    EXPECT_EQ(seen->upstream.hosts, (std::vector<topology::InstanceKey>{{"db1", 5433}}));
}

TEST(DecodeLook, the_timeline_that_was_streamed_outlives_the_receiver) {
    auto memory = introduced();
    ASSERT_TRUE(decode_look(standby_answer().cells, memory));
    auto after = standby_answer();
    after[Look::receiver_pid] = {};
    after[Look::timeline] = "2";  // the control file is older
    EXPECT_EQ(decode_look(after.cells, memory)->timeline, 3U);
    EXPECT_FALSE(decode_look(after.cells, memory)->receiver);
    auto anew = introduced();
    EXPECT_EQ(decode_look(after.cells, anew)->timeline, 2U);
}

/// Streams timeline 4 from the segment's beginning, after it has replayed timeline 3 up to 0/5000000.
Answer<Look> copying_answer() {
    auto a = standby_answer();
    a[Look::received] = "0/5000000";
    a[Look::streamed] = "0/4000000";
    a[Look::timeline] = "3";
    a[Look::receiver_timeline] = "4";
    return a;
}

TEST(DecodeLook, tells_how_far_the_segment_of_a_new_timeline_is_copied) {
    auto memory = introduced();
    EXPECT_FALSE(decode_look(standby_answer().cells, memory)->half_copied);
    auto answer = copying_answer();
    EXPECT_EQ(decode_look(answer.cells, memory)->half_copied, Lsn{0x4000000});
    answer[Look::streamed] = "0/4FFFFF8";
    EXPECT_EQ(decode_look(answer.cells, memory)->half_copied, Lsn{0x4FFFFF8});
    answer[Look::receiver_pid] = {};  // its sender died: what is missing stays missing
    EXPECT_EQ(decode_look(answer.cells, memory)->half_copied, Lsn{0x4FFFFF8});
    EXPECT_EQ(decode_look(answer.cells, memory)->timeline, 4U);
    EXPECT_FALSE(memory.newest_unseen);
    answer[Look::streamed] = "0/5000000";
    EXPECT_FALSE(decode_look(answer.cells, memory)->half_copied) << "it has all that it replayed";
}

TEST(DecodeLook, a_copy_on_the_replayed_timeline_harms_nobody) {
    auto memory = introduced();
    ASSERT_TRUE(decode_look(standby_answer().cells, memory));
    auto again = copying_answer();  // after a restart of the server: the file is there and is written over
    again[Look::receiver_timeline] = "3";
    EXPECT_FALSE(decode_look(again.cells, memory)->half_copied);
    auto anew = introduced();
    EXPECT_FALSE(decode_look(again.cells, anew)->half_copied);
    again[Look::streamed] = {};
    EXPECT_FALSE(decode_look(again.cells, anew)->half_copied) << "nothing was streamed since its start";
}

TEST(DecodeLook, tells_whether_it_has_met_an_upstream_since_its_start) {
    auto memory = introduced();
    EXPECT_TRUE(decode_look(standby_answer().cells, memory)->received_since_start);
    auto answer = standby_answer();
    answer[Look::receiver_pid] = {};
    answer[Look::streamed] = "0/5000000";
    answer[Look::received] = answer[Look::replayed] = "0/5000000";
    EXPECT_TRUE(decode_look(answer.cells, memory)->received_since_start) << "its upstream died";
    answer[Look::streamed] = "0/4000000";
    EXPECT_FALSE(decode_look(answer.cells, memory)->received_since_start) << "it has asked in vain";
    answer[Look::streamed] = {};
    EXPECT_FALSE(decode_look(answer.cells, memory)->received_since_start) << "it has not even asked";
}

TEST(DecodeLook, asks_for_the_newest_wal_where_nobody_saw_what_was_streamed) {
    auto memory = introduced();
    auto answer = standby_answer();
    ASSERT_TRUE(decode_look(answer.cells, memory));
    answer[Look::receiver_pid] = {};
    answer[Look::received] = answer[Look::streamed] = answer[Look::replayed] = "0/5000000";
    answer[Look::timeline] = "1";  // no restartpoint since
    EXPECT_EQ(decode_look(answer.cells, memory)->timeline, 3U);
    EXPECT_FALSE(memory.newest_unseen) << "this session saw it";
    auto anew = introduced();
    EXPECT_EQ(decode_look(answer.cells, anew)->timeline, 1U);
    ASSERT_TRUE(anew.newest_unseen);
    anew.received = 3;  // what newest_wal_sql() says
    EXPECT_EQ(decode_look(answer.cells, anew)->timeline, 3U);
    EXPECT_FALSE(anew.newest_unseen);
}

TEST(DecodeLook, asks_for_the_newest_wal_where_nobody_saw_what_was_copied) {
    auto memory = introduced();
    auto after = copying_answer();
    after[Look::receiver_pid] = {};
    EXPECT_FALSE(decode_look(after.cells, memory)->half_copied);
    ASSERT_TRUE(memory.newest_unseen);
    memory.received = 4;  // what newest_wal_sql() says
    const auto seen = decode_look(after.cells, memory);
    EXPECT_EQ(seen->half_copied, Lsn{0x4000000});
    EXPECT_EQ(seen->timeline, 4U);
    EXPECT_FALSE(memory.newest_unseen);
}

TEST(DecodeLook, notices_changed_settings_and_conninfo) {
    auto memory = introduced();
    auto answer = standby_answer();
    ASSERT_TRUE(decode_look(answer.cells, memory));
    answer[Look::primary_conninfo] = "host=db2";
    answer[Look::settings] =
        "s9\x1f\x1fon\x1fon\x1fon\x1foff\x1f"
        "5s\x1f"
        "1min\x1f"
        "1min\x1f"
        "0\x1f"
        "-1";
    const auto seen = decode_look(answer.cells, memory);
    EXPECT_EQ(seen->upstream.hosts[0].host, "db2");
    EXPECT_EQ(seen->settings.primary_slot_name, "s9");
    EXPECT_TRUE(seen->settings.default_transaction_read_only);
    EXPECT_FALSE(seen->settings.allow_alter_system);
    EXPECT_EQ(seen->settings.max_slot_wal_keep_size_mb, -1);
}

TEST(DecodeLook, says_when_it_may_not_see) {
    auto answer = standby_answer();
    answer[Look::primary_conninfo] = {};
    answer[Look::can_see_all] = "f";
    for (auto c : {Look::receiver_status, Look::receiver_host, Look::receiver_port, Look::receiver_timeline,
                   Look::receiver_message_age_ms}) {
        answer[c] = {};
    }
    answer[Look::timeline] = "4";
    auto memory = introduced();
    const auto seen = decode_look(answer.cells, memory);
    ASSERT_TRUE(seen);
    EXPECT_FALSE(seen->can_see_all);
    EXPECT_FALSE(seen->upstream.readable);
    ASSERT_TRUE(seen->receiver);
    EXPECT_EQ(seen->receiver->status, "");
    EXPECT_EQ(seen->timeline, 4U);
}

TEST(DecodeLook, refuses_nonsense) {
    const struct {
        Look column;
        Cell value;
    } cases[] = {{Look::written, "zz"},    {Look::timeline, "xyz"},     {Look::senders, "{"},
                 {Look::senders, "[[1]]"}, {Look::slots, "[\"text\"]"}, {Look::slots, "{}"}};
    for (const auto& c : cases) {
        auto answer = primary_answer();
        answer[c.column] = c.value;
        auto memory = introduced();
        const auto seen = decode_look(answer.cells, memory);
        ASSERT_FALSE(seen) << c.value;
        EXPECT_EQ(seen.error().kind, ErrorKind::internal);
    }
    auto memory = introduced();
    EXPECT_FALSE(decode_look(Row{}, memory));
}

TEST(ParseSetting, reads_units) {
    EXPECT_EQ(parse_setting_ms("5s"), 5000);
    EXPECT_EQ(parse_setting_ms("200ms"), 200);
    EXPECT_EQ(parse_setting_ms("1min"), 60000);
    EXPECT_EQ(parse_setting_ms("1d"), 86'400'000);
    EXPECT_EQ(parse_setting_ms("0"), 0);
    EXPECT_EQ(parse_setting_ms("off"), std::nullopt);
    EXPECT_EQ(parse_setting_mb("-1"), -1);
    EXPECT_EQ(parse_setting_mb("64MB"), 64);
    EXPECT_EQ(parse_setting_mb("2TB"), 2 * 1024 * 1024);
    EXPECT_EQ(parse_setting_mb("512kB"), 0);
    EXPECT_EQ(parse_setting_mb(""), std::nullopt);
}

}  // namespace
}  // namespace baton::engine::postgresql
