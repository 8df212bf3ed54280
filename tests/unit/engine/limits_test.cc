// What a server or its conninfo says that no sane one would.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "engine/postgresql/conninfo.h"
#include "engine/postgresql/decode.h"
#include "engine/postgresql/postgresql.h"

namespace baton::engine::postgresql {
namespace {

constexpr milliseconds century = std::chrono::hours(24 * 365 * 100);

TEST(Limits, a_setting_that_no_server_can_have_is_none) {
    for (const auto* text :
         {"99999999999999d", "9223372036854775807min", "-9223372036854775808h", "2147483648", "36d"})
        EXPECT_EQ(parse_setting_ms(text), std::nullopt) << text;
    for (const auto* text : {"9223372036854775807TB", "-9223372036854775808GB", "2147483648MB"})
        EXPECT_EQ(parse_setting_mb(text), std::nullopt) << text;
    EXPECT_EQ(parse_setting_ms("2147483647"), 2147483647);
    EXPECT_EQ(parse_setting_mb("2047TB"), 2047LL << 20);
}

TEST(Limits, an_age_stays_within_what_can_be_calculated_with) {
    std::array<Cell, static_cast<size_t>(Look::count)> cells{};
    const auto cell = [&](Look column) -> Cell& { return cells[static_cast<size_t>(column)]; };
    cell(Look::in_recovery) = "t";
    cell(Look::timeline) = "1";
    cell(Look::replayed_age_ms) = "9223372036854775807";
    cell(Look::receiver_pid) = "7";
    cell(Look::receiver_message_age_ms) = "-9223372036854775808";
    cell(Look::senders) = R"([[1,"","","","","","","","","",9223372036854775807,"",1]])";
    SessionMemory memory;
    const auto seen = decode_look(cells, memory);
    ASSERT_TRUE(seen) << seen.error().text();
    EXPECT_EQ(seen->last_replayed_age, century);
    EXPECT_EQ(seen->receiver->last_message_age, milliseconds(0));
    EXPECT_EQ(seen->senders.at(0).replay_lag, century);
}

TEST(Limits, a_column_that_makes_no_sense_can_be_printed) {
    std::array<Cell, static_cast<size_t>(Look::count)> cells{};
    const std::string umlauts = "x" + std::string(60, '\xc3');
    cells[static_cast<size_t>(Look::written)] = umlauts;
    cells[static_cast<size_t>(Look::in_recovery)] = "f";
    SessionMemory memory;
    const auto seen = decode_look(cells, memory);
    ASSERT_FALSE(seen);
    EXPECT_THAT(seen.error().message, testing::HasSubstr(R"(holds "x\xc3\xc3)"));
    EXPECT_EQ(seen.error().message.find('\xc3'), std::string::npos);
}

TEST(Limits, what_the_other_form_cannot_say_is_refused) {
    constexpr std::string_view cases[] = {
        " postgresql://x=1",         "host=db1 it's=1",           "postgresql://db1/?new%20thing=x",
        "postgresql://db1/?=x",      "postgresql://db1/?a%3Db=x", "postgresql://db1/?new=%00x",
        "postgresql://db1/?n%00w=x", {"host=db1\0 port=1", 16}};
    for (const auto text : cases) {
        EXPECT_FALSE(Conninfo::parse(std::string(text))) << text;
        EXPECT_FALSE(redirect_conninfo(std::string(text), {"db2", 5432})) << text;
    }
}

TEST(Limits, every_secret_of_libpq_18_is_masked) {
    const auto masked =
        mask_conninfo("host=db1 scram_client_key=geheim scram_server_key=geheim oauth_client_secret=geheim");
    EXPECT_EQ(masked.find("geheim"), std::string::npos) << masked;
}

TEST(Limits, the_name_of_a_service_can_be_printed) {
    const auto upstream = parse_conninfo("service=\x1b[2J");
    EXPECT_FALSE(upstream.readable);
    EXPECT_THAT(upstream.problem, testing::HasSubstr(R"(\x1b[2J)"));
}

}  // namespace
}  // namespace baton::engine::postgresql
