#include "host/files.h"

#include <gmock/gmock.h>
#include <sys/stat.h>

#include <filesystem>

#include "host/state.h"

namespace baton::host {
namespace {

TEST(PidFile, IsReadLineByLine) {
    const auto p = parse_pid_file("4711\n/data\n1700000000\n5433\n/tmp\n*\n  5433001     65538\nready   \n");
    ASSERT_TRUE(p);
    EXPECT_EQ(*p, (PidFile{.pid = 4711,
                           .data_directory = "/data",
                           .started_s = 1700000000,
                           .port = 5433,
                           .socket_directory = "/tmp",
                           .listen_address = "127.0.0.1",
                           .shared_memory_id = 65538,
                           .shared_memory_key = 5433001,
                           .phase = Phase::ready}));
}

TEST(PidFile, MayBeHalfWrittenOrNonsense) {
    EXPECT_EQ(parse_pid_file("12\n")->pid, 12);
    EXPECT_EQ(parse_pid_file("12\n")->phase, Phase::starting);
    EXPECT_EQ(parse_pid_file("-12\n/data\n")->pid, 12);
    EXPECT_EQ(parse_pid_file("12\n/d\n1\n1\n\n\n\nstandby \n")->phase, Phase::ready);
    EXPECT_EQ(parse_pid_file("12\n/d\n1\n1\n\n\n\nstopping\n")->phase, Phase::stopping);
    for (const auto* bad : {"", "\n", "x\n", "0\n", "99999999999999\n"})
        EXPECT_FALSE(parse_pid_file(bad)) << bad;
}

TEST(ControlData, TakesWhatManagersAskFor) {
    const auto c = parse_control_data(
        "pg_control version number:            1300\n"
        "Database system identifier:           7710467164002295846\n"
        "Database cluster state:               shut down in recovery\n"
        "Latest checkpoint location:           0/1511A88\n"
        "Latest checkpoint's REDO location:    0/1511A50\n"
        "Latest checkpoint's TimeLineID:       3\n"
        "Minimum recovery ending location:     2/10\n"
        "Min recovery ending loc's timeline:   3\n"
        "wal_log_hints setting:                on\n"
        "Data page checksum version:           1\n");
    ASSERT_TRUE(c);
    EXPECT_EQ(c->system_identifier, "7710467164002295846");
    EXPECT_EQ(c->state, "shut down in recovery");
    EXPECT_FALSE(c->shut_down());
    EXPECT_EQ(c->timeline, 3U);
    EXPECT_EQ(c->checkpoint, topology::parse_lsn("0/1511A88"));
    EXPECT_EQ(c->minimum_recovery_end, topology::parse_lsn("2/10"));
    EXPECT_TRUE(c->wal_log_hints && c->data_checksums);
    EXPECT_FALSE(parse_control_data("pg_controldata: error: could not open file\n"));
}

TEST(Settings, TheLastLineCountsAndQuotesAreTakenOff) {
    EXPECT_EQ(read_setting("a = 1\nA 'x''y\\\\z' # c\n", "a"), "x'y\\z");
    EXPECT_EQ(read_setting("primary_conninfo='user=r'\n", "primary_conninfo"), "user=r");
    EXPECT_EQ(read_setting("#a = 1\n", "a"), std::nullopt);
    EXPECT_EQ(read_setting("ab = 1\n", "a"), std::nullopt);
}

TEST(Settings, OneIsReplacedAndTheOthersStay) {
    const auto text =
        with_setting("# Do not edit\nport = '1'\nwork_mem = '4MB'\nPORT = '2'\n", "port", "it's");
    EXPECT_EQ(text, "# Do not edit\nwork_mem = '4MB'\nport = 'it''s'\n");
    EXPECT_EQ(read_setting(text, "port"), "it's");
}

TEST(Versions, AreFoundInWhatProgramsSay) {
    EXPECT_EQ(version_of("pg_ctl (PostgreSQL) 15.18 (Debian 15.18-1)\n"), "15.18");
    EXPECT_EQ(version_of("pg_ctl (PostgreSQL) 18beta1\n"), "18");
    EXPECT_EQ(version_of("nonsense"), "");
}

Memory example() {
    Memory m{.agent = "abc", .epoch = 7, .boot = "b"};
    m.instances["/data"] = {.system_identifier = "77",
                            .hold = Hold::fenced,
                            .hold_reason = "its \"lease\" ended",
                            .quarantine = "a rewind",
                            .grant = {.epoch = 7,
                                      .number = 3,
                                      .on = true,
                                      .lease = seconds(2),
                                      .promotable = {{{"db2", 5432}, "db2:3002"}}},
                            .clear_until = MonoTime(seconds(5))};
    m.instances["/other"] = {};
    return m;
}

TEST(State, IsTheSameAfterWritingAndReading) {
    const auto read = parse_memory(to_text(example()) + std::string(5000, '\n'));
    ASSERT_TRUE(read) << read.error().text();
    EXPECT_EQ(*read, example());
}

TEST(State, DamageIsNoticed) {
    const auto text = to_text(example());
    EXPECT_FALSE(parse_memory(""));
    EXPECT_FALSE(parse_memory(text.substr(0, text.size() / 2)));
    for (const auto& [from, to] :
         std::vector<std::pair<std::string, std::string>>{{"\"fenced\"", "\"fenc\""},
                                                          {"\"epoch\":7", "\"epoch\":\"7\""},
                                                          {"\"version\":1", "\"version\":2"},
                                                          {"\"hold\"", "\"bold\""},
                                                          {"\"agent\":\"abc\"", "\"agent\":\"\""}}) {
        auto bad = text;
        bad.replace(bad.find(from), from.size(), to);
        EXPECT_FALSE(parse_memory(bad)) << from;
    }
}

class StateDirectory : public testing::Test {
  protected:
    StateDirectory() {
        char name[] = "/tmp/baton-state-XXXXXX";
        path_ = std::string(::mkdtemp(name)) + "/state";
    }
    ~StateDirectory() override { std::filesystem::remove_all(std::filesystem::path(path_).parent_path()); }
    void write(StateFile& file, const Memory& memory) {
        bool done = false;
        const auto work = asio::make_work_guard(context_);
        context_.restart();
        file.write(to_text(memory), [&] {
            done = true;
            context_.stop();
        });
        context_.run_for(std::chrono::seconds(10));
        EXPECT_TRUE(done);
    }
    asio::io_context context_;
    std::unique_ptr<Clock> clock_ = make_boot_clock(context_.get_executor());
    std::string path_;
};

TEST_F(StateDirectory, KeepsWhatWasWrittenLast) {
    {
        auto file = open_state(*clock_, path_);
        ASSERT_TRUE(file) << file.error().text();
        EXPECT_EQ((*file)->memory().agent.size(), 32U);
        EXPECT_FALSE(open_state(*clock_, path_)) << "two agents in one directory";
        for (uint64_t epoch : {1, 2, 3}) {
            auto memory = example();
            memory.epoch = epoch;
            write(**file, memory);
        }
    }
    auto again = open_state(*clock_, path_);
    ASSERT_TRUE(again) << again.error().text();
    EXPECT_EQ((*again)->memory().epoch, 3U);
    EXPECT_EQ((*again)->memory().instances, example().instances);
}

TEST_F(StateDirectory, DamagedItIsNotStartedOn) {
    {
        ASSERT_TRUE(open_state(*clock_, path_));
    }
    ASSERT_TRUE(write_durably(path_ + "/state.json", "{\"version\":1"));
    const auto file = open_state(*clock_, path_);
    ASSERT_FALSE(file);
    EXPECT_THAT(file.error().text(), testing::HasSubstr("damaged"));
}

TEST_F(StateDirectory, AFileThatIsReplacedKeepsItsMode) {
    const auto file = path_ + ".conf";
    ASSERT_TRUE(write_durably(file, "one"));
    ASSERT_EQ(::chmod(file.c_str(), 0640), 0);
    ASSERT_TRUE(write_durably(file, "two"));
    struct ::stat status{};
    ASSERT_EQ(::stat(file.c_str(), &status), 0);
    EXPECT_EQ(status.st_mode & 0777, 0640U);
    EXPECT_EQ(read_whole(file), "two");
}

}  // namespace
}  // namespace baton::host
