#include "store/codec.h"

#include <gtest/gtest.h>

#include <boost/pfr/tuple_size.hpp>

#include "samples.h"
#include "store/columns.h"

namespace baton::store::test {
namespace {

using std::chrono::microseconds;

TEST(Codec, TimesComeBackExactly) {
    const struct {
        WallTime time;
        std::string text;
    } cases[] = {
        {WallTime(microseconds(1'795'171'108'123'456)), "2026-11-20 10:38:28.123456"},
        {WallTime(microseconds(-1)), "1969-12-31 23:59:59.999999"},
        {WallTime(seconds(1'709'164'800)), "2024-02-29 00:00:00.000000"},
        {WallTime::max(), "9223372036854775807"},
        {WallTime::min(), "-9223372036854775808"},
    };
    for (const auto& c : cases) {
        EXPECT_EQ(encode(c.time), c.text);
        WallTime back{};
        EXPECT_TRUE(decode(c.text, back));
        EXPECT_EQ(back, c.time);
    }
}

TEST(Codec, RefusesWhatItDidNotWrite) {
    WallTime t{};
    for (const auto* text : {"", "yesterday", "2026-13-01 00:00:00.000000", "2026-02-30 00:00:00.000000"}) {
        EXPECT_FALSE(decode(text, t)) << text;
    }
    InstanceKey key;
    for (const auto* text : {"", "db1", "db1:", "db1:70000", "db1:x"})
        EXPECT_FALSE(decode(text, key)) << text;
    std::vector<InstanceKey> keys;
    for (const auto* text : {"", "db1:5432", "[1]", "{}", "[\"db1\"]"})
        EXPECT_FALSE(decode(text, keys)) << text;
    auto role = topology::Role::unknown;
    EXPECT_FALSE(decode("leader", role));
}

TEST(Codec, GuardsComeBackExactly) {
    const auto guard = sample_guard();
    Guard back;
    ASSERT_TRUE(decode(encode(guard), back)) << encode(guard);
    EXPECT_EQ(back, guard);
    for (const auto* text :
         {"", "[]", "{}", R"({"primary":1,"on":true,"certain":true,"lease_ms":1,"members":{}})",
          R"({"primary":"db1:1","on":true,"certain":true,"lease_ms":1,"members":{"db2":"x"}})"})
        EXPECT_FALSE(decode(text, back)) << text;
}

TEST(Codec, ListsComeBackExactly) {
    const std::vector<InstanceKey> keys{db1, db2, db3};
    EXPECT_EQ(encode(keys), R"(["db1:5432","db2.example:5433","[fd00::3]:5434"])");
    std::vector<InstanceKey> keys_back;
    EXPECT_TRUE(decode(encode(keys), keys_back));
    EXPECT_EQ(keys_back, keys);
    const std::vector<std::string> texts{"", "quote \" and \\", "line\nbreak", std::string("nul\0in", 6),
                                         "caf\xe9"};
    std::vector<std::string> texts_back{"old"};
    EXPECT_TRUE(decode(encode(texts), texts_back));
    EXPECT_EQ(texts_back, texts);
}

template <class E>
void expect_words_come_back(std::initializer_list<E> values) {
    for (const auto v : values) {
        auto back = E{};
        EXPECT_TRUE(decode(encode(v), back));
        EXPECT_EQ(back, v);
    }
}

TEST(Codec, AnyKeyComesBack) {
    for (const InstanceKey& key : std::initializer_list<InstanceKey>{
             InstanceKey{"db1", 5432}, {"2001:db8::1", 5432}, {"", 0}, {"[a]", 1}, {"[", 1}, {"[]", 1}}) {
        InstanceKey read;
        ASSERT_TRUE(decode(key.text(), read)) << key.text();
        EXPECT_EQ(read, key) << key.text();
    }
}

TEST(Codec, WordsComeBack) {
    using enum topology::PromotionRule;
    expect_words_come_back({must, prefer, neutral, prefer_not, must_not});
    expect_words_come_back({topology::Engine::unknown, topology::Engine::postgresql, topology::Engine::mysql,
                            topology::Engine::mariadb});
    expect_words_come_back({topology::Role::unknown, topology::Role::primary, topology::Role::standby});
    expect_words_come_back({RecoveryState::running, RecoveryState::succeeded, RecoveryState::failed});
}

struct Counter {
    size_t count = 0;
    void operator()(std::string_view, const auto&) { ++count; }
};

template <class R>
void expect_all_fields_stored() {
    Counter counter;
    const R row{};
    fields(counter, row);
    EXPECT_EQ(counter.count, boost::pfr::tuple_size_v<R>) << Table<R>::name;
}

TEST(Columns, EveryFieldHasOne) {
    expect_all_fields_stored<KnownInstance>();
    expect_all_fields_stored<KnownCluster>();
    expect_all_fields_stored<Detection>();
    expect_all_fields_stored<Recovery>();
    expect_all_fields_stored<RecoveryStep>();
    expect_all_fields_stored<BlockedRecovery>();
    expect_all_fields_stored<PromotionRuleRecord>();
    expect_all_fields_stored<AuditEntry>();
    expect_all_fields_stored<AnalysisChange>();
}

}  // namespace
}  // namespace baton::store::test
