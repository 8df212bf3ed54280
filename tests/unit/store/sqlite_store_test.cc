#include <fcntl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <csignal>

#include "print_state.h"
#include "samples.h"
#include "store/schema.h"
#include "store_test.h"

namespace baton::store::test {
namespace {

class SqliteStore : public StoreTest {};

TEST_F(SqliteStore, EveryCommandSurvivesAReopen) {
    const auto uid = sample_recovery(5).uid;
    const std::vector<Command> commands{
        PutInstance{sample_instance()},
        PutInstance{sample_instance(db2)},
        PutInstance{KnownInstance{.key = db3}},
        ForgetInstance{db2},
        PutCluster{sample_cluster()},
        PutCluster{sample_cluster("7302")},
        ForgetCluster{"7302"},
        PutDetection{sample_detection(3)},
        PutDetection{{.id = 4, .instance = db1, .active = true}},
        EndDetection{4},
        PutRecovery{sample_recovery(5)},
        PutRecovery{{.id = 6, .uid = "u6", .cluster_id = "7302"}},
        AddRecoveryStep{sample_step(uid, 7)},
        AddRecoveryStep{sample_step(uid, 8, "")},
        Acknowledge{{6}, "ann", "seen", moment(20)},
        PutRecovery{{.id = 9, .uid = "u9"}},
        EndActivePeriod{9},
        PutBlocked{sample_blocked()},
        PutBlocked{{.failed = db2}},
        RemoveBlocked{db2},
        BeginDowntime{db1, sample_downtime()},
        BeginDowntime{db2, sample_downtime()},
        EndDowntime{db2},
        BeginMaintenance{sample_maintenance(10)},
        BeginMaintenance{sample_maintenance(11)},
        EndMaintenance{11},
        PutTag{db1, {"role", "reports"}},
        PutTag{db1, {"gone", ""}},
        RemoveTag{db1, "gone"},
        PutPromotionRule{sample_rule()},
        PutPromotionRule{{.key = db3}},
        RemovePromotionRule{db3},
        SetGlobalRecoveries{false},
        AddAudit{sample_audit(12)},
        AddAudit{{.id = 13}},
        AddAnalysisChange{sample_change(14)},
        SetPool{"blue", {db1, db2}, moment(21)},
        SetPool{"green", {db3}, moment(21)},
        SetPool{"green", {}, moment(22)},
        PutHostnameUnresolve{db1, "alias"},
        PutHostnameUnresolve{db2, "alias"},
        PutHostnameUnresolve{db2, ""},
        PutKeyValue{"proxy/writer/orders", "db1:5432"},
        PutGuard{"7000", sample_guard()},
        PutMemberSlot{{db1, "db2", db2, "7000"}},
        PutMemberSlot{{db1, "db3", db3, "7000"}},
        ForgetMemberSlot{db1, "db3"},
        PutEpoch{7},
    };
    std::set<size_t> kinds;
    std::string before;
    {
        const auto store = open_good();
        for (const auto& c : commands) {
            store->apply(c);
            kinds.insert(c.index());
        }
        before = print(store->state());
    }
    EXPECT_EQ(kinds.size(), std::variant_size_v<Command>);
    EXPECT_EQ(print(open_good()->state()), before);
    EXPECT_EQ(sql(file(), "SELECT reason FROM downtimes WHERE instance = 'db1:5432'"), "new disk");
    EXPECT_EQ(sql(file(), "SELECT started_at FROM recoveries WHERE successor = 'db2.example:5433'"),
              encode(moment(3)));
}

TEST_F(SqliteStore, RemovalsReachTheFileToo) {
    {
        const auto store = open_good();
        store->apply(PutTag{db1, {"a", "1"}});
        store->apply(BeginDowntime{db1, sample_downtime()});
        store->apply(AddAnalysisChange{sample_change()});
        ASSERT_TRUE(await(store->flush()));
        store->apply(RemoveTag{db1, "a"});
        store->apply(EndDowntime{db1});
        store->apply(PutInstance{sample_instance()});
        store->apply(ForgetInstance{db1});
        ASSERT_TRUE(await(store->flush()));
        EXPECT_EQ(sql(file(),
                      "SELECT (SELECT count(*) FROM tags) + (SELECT count(*) FROM downtimes) + "
                      "(SELECT count(*) FROM analysis_changes) + (SELECT count(*) FROM instances)"),
                  "0");
    }
    EXPECT_TRUE(open_good()->state().tags.empty());
}

TEST_F(SqliteStore, IdsAreNotGivenAgainAfterARestart) {
    int64_t id = 0;
    {
        const auto store = open_good();
        id = store->new_id();
        store->apply(BeginMaintenance{sample_maintenance(id)});
        store->apply(EndMaintenance{id});
    }
    EXPECT_GT(open_good()->new_id(), id);
}

TEST_F(SqliteStore, LimitsHoldInTheFile) {
    const Limits limits{.recoveries = 3, .steps_per_recovery = 2, .detections = 4, .audit = 5};
    const auto fill = [&](Store& store) {
        for (int i = 0; i < 20; ++i) {
            auto r = sample_recovery(store.new_id());
            store.apply(PutRecovery{r});
            for (int s = 0; s < 4; ++s)
                store.apply(AddRecoveryStep{sample_step(r.uid)});
            store.apply(PutDetection{sample_detection()});
            store.apply(AddAudit{sample_audit()});
        }
    };
    const std::string counts =
        "SELECT (SELECT count(*) FROM recoveries) || ' ' || (SELECT count(*) FROM recovery_steps) || ' ' || "
        "(SELECT count(*) FROM detections) || ' ' || (SELECT count(*) FROM audit)";
    fill(*open_good(limits));
    EXPECT_EQ(sql(file(), counts), "3 6 4 5");
    fill(*open_good());
    EXPECT_EQ(sql(file(), counts), "23 86 24 25");
    std::string before;
    {
        const auto store = open_good(limits);
        EXPECT_EQ(store->state().recoveries.size(), 3u);
        before = print(store->state());
    }
    EXPECT_EQ(sql(file(), counts), "3 6 4 5") << "limits that were lowered take effect at the next start";
    EXPECT_EQ(print(open_good(limits)->state()), before);
}

TEST_F(SqliteStore, ADurableCommandTakesAllBeforeItToTheFile) {
    const auto store = open_good();
    for (int round = 1; round <= 20; ++round) {
        for (int i = 0; i < 500; ++i) {
            store->apply(AddAudit{sample_audit()});
            store->apply(
                PutInstance{{.key = {"db", static_cast<uint16_t>(i + 1)}, .version = std::to_string(round)}});
        }
        ASSERT_TRUE(await(store->apply_durably(PutKeyValue{"round", std::to_string(round)})));
        EXPECT_EQ(store->queued(), 0u);
        EXPECT_EQ(sql(file(),
                      "SELECT value || ' ' || (SELECT count(*) FROM audit) || ' ' || "
                      "(SELECT count(*) FROM instances WHERE version = value) FROM key_values"),
                  std::to_string(round) + " " + std::to_string(round * 500) + " 500");
    }
}

TEST_F(SqliteStore, DurableCommandsKeepTheOrderOfTheirCalls) {
    const auto store = open_good();
    std::vector<int> order;
    int done = 0;
    for (int i = 0; i < 50; ++i) {
        asio::co_spawn(io_, store->apply_durably(PutKeyValue{"k", std::to_string(i)}),
                       [&, i](std::exception_ptr, Result<void> r) {
                           EXPECT_TRUE(r);
                           order.push_back(i);
                           ++done;
                       });
        EXPECT_EQ(store->state().key_values.at("k"), std::to_string(i)) << "in force at once";
    }
    io_.restart();
    io_.run();
    EXPECT_EQ(done, 50);
    EXPECT_TRUE(std::ranges::is_sorted(order));
    EXPECT_EQ(sql(file(), "SELECT value FROM key_values"), "49");
}

TEST_F(SqliteStore, OrdinaryCommandsGetToTheFileUnasked) {
    const auto store = open_good();
    store->apply(PutKeyValue{"k", "v"});
    const auto deadline = clock_->now() + seconds(20);
    while (store->queued() > 0 && clock_->now() < deadline) {
        ASSERT_TRUE(await([](Clock& clock) -> Task<Result<void>> {
            co_await clock.sleep_for(milliseconds(5));
            co_return Result<void>{};
        }(*clock_)));
    }
    EXPECT_EQ(sql(file(), "SELECT value FROM key_values"), "v");
    EXPECT_TRUE(await(store->flush())) << "a flush with nothing to write, but something to sync";
    EXPECT_TRUE(await(store->flush())) << "a flush with nothing to do";
}

TEST_F(SqliteStore, CreatesDirectoryAndPrivateFile) {
    const auto path = directory_ / "a" / "b" / "c.db";
    {
        const auto store = open_sqlite(path, *clock_);
        ASSERT_TRUE(store) << store.error().text();
        (*store)->apply(PutKeyValue{"k", "v"});
        ASSERT_TRUE(await((*store)->flush()));
        for (const auto* suffix : {"", "-wal", "-shm", ".lock"}) {
            struct stat info{};
            ASSERT_EQ(::stat((path.string() + suffix).c_str(), &info), 0) << suffix;
            EXPECT_EQ(info.st_mode & 0777, 0600u) << suffix;
        }
    }
    EXPECT_EQ(sql(path, "PRAGMA user_version"), std::to_string(schema_version));
    EXPECT_EQ(sql(path, "PRAGMA application_id"), std::to_string(application_id));
}

// ---- What is refused
// --------------------------------------------------------------------------------------------------

class SqliteRefusal : public StoreTest {
  protected:
    void make_full_database() {
        const auto store = open_good();
        for (int i = 0; i < 2000; ++i)
            store->apply(AddAudit{sample_audit()});
    }

    void expect_refused(std::string_view because) {
        const auto before = bytes_of(file());
        const auto store = open();
        ASSERT_FALSE(store);
        EXPECT_EQ(store.error().kind, ErrorKind::io);
        EXPECT_NE(store.error().text().find(because), std::string::npos) << store.error().text();
        EXPECT_NE(store.error().text().find(file().string()), std::string::npos) << store.error().text();
        EXPECT_TRUE(bytes_of(file()) == before) << "the file was touched";
    }
};

TEST_F(SqliteRefusal, Garbage) {
    write_bytes(file(), std::string(5000, 'x'));
    expect_refused("not a SQLite database");
    write_bytes(file(), "x");
    expect_refused("not a SQLite database");
}

TEST_F(SqliteRefusal, Truncated) {
    make_full_database();
    const auto whole = bytes_of(file());
    ASSERT_GT(whole.size(), 100'000u);
    for (const size_t size :
         {whole.size() / 2, size_t{40960}, size_t{4096}, size_t{1000}, size_t{50}, size_t{16}}) {
        write_bytes(file(), whole.substr(0, size));
        expect_refused("damaged");
    }
}

TEST_F(SqliteRefusal, DamagedPages) {
    make_full_database();
    auto bytes = bytes_of(file());
    for (size_t i = 8 * 4096; i < 12 * 4096; ++i)
        bytes[i] = '\xa5';
    write_bytes(file(), bytes);
    expect_refused("damaged");
}

TEST_F(SqliteRefusal, RowsThatCannotBeRead) {
    {
        open_good()->apply(PutInstance{sample_instance()});
    }
    sql(file(), "UPDATE instances SET last_seen = 'yesterday'");
    expect_refused("table instances, column last_seen holds 'yesterday'");
}

TEST_F(SqliteRefusal, MissingTable) {
    make_full_database();
    sql(file(), "DROP TABLE tags");
    expect_refused("no such table: tags");
}

/// A file of schema 1 is brought up: what it did not know yet is empty.
TEST_F(SqliteRefusal, AnOlderVersionIsBroughtUp) {
    open_good()->apply(PutRecovery{sample_recovery(1)});
    sql(file(),
        "ALTER TABLE recoveries DROP COLUMN boot; ALTER TABLE recoveries DROP COLUMN started_mono_us; "
        "DROP TABLE guards; DROP TABLE member_slots; PRAGMA user_version = 1");
    const auto store = open();
    ASSERT_TRUE(store) << store.error().text();
    ASSERT_FALSE((*store)->state().recoveries.empty());
    for (const auto& [id, r] : (*store)->state().recoveries) {
        EXPECT_EQ(r.boot, "") << id;
        EXPECT_EQ(r.started_mono_us, 0) << id;
    }
    EXPECT_EQ(sql(file(), "PRAGMA user_version"), std::to_string(schema_version));
}

TEST_F(SqliteRefusal, NewerVersion) {
    make_full_database();
    sql(file(), "PRAGMA user_version = 7");
    expect_refused("newer version of Baton (schema 7; this one knows up to 3)");
}

TEST_F(SqliteRefusal, ForeignDatabase) {
    sql(file(), "CREATE TABLE database_instance(hostname TEXT)");
    expect_refused("another program");
    sql(file(), "PRAGMA application_id = 77");
    expect_refused("another program");
}

TEST_F(SqliteRefusal, LogWithoutItsDatabase) {
    write_bytes(file().string() + "-wal", "data");
    const auto store = open();
    ASSERT_FALSE(store);
    EXPECT_NE(store.error().text().find("-wal"), std::string::npos) << store.error().text();
    EXPECT_FALSE(fs::exists(file()));
    EXPECT_EQ(bytes_of(file().string() + "-wal"), "data");
}

TEST_F(SqliteRefusal, TwoManagersOnOneFile) {
    const auto first = open_good();
    expect_refused("(process " + std::to_string(::getpid()) + ")");
    fs::create_symlink(directory_, directory_ / "link");
    const auto second = open_sqlite(directory_ / "link" / "baton.db", *clock_);
    ASSERT_FALSE(second) << "the same file under another name";
    EXPECT_TRUE(await(first->apply_durably(PutKeyValue{"k", "v"}))) << "the first is not disturbed";
}

TEST_F(SqliteRefusal, PathsThatCannotBe) {
    write_bytes(directory_ / "plain", "");
    for (const auto& path :
         {directory_ / "plain" / "baton.db", fs::path("/proc/baton/baton.db"), directory_}) {
        const auto store = open_sqlite(path, *clock_);
        ASSERT_FALSE(store) << path;
        EXPECT_EQ(store.error().kind, ErrorKind::io);
        EXPECT_NE(store.error().text().find(path.parent_path().string()), std::string::npos)
            << store.error().text();
    }
}

/// Root may write everywhere, so a test that is about permissions gives that up for its time.
class Unprivileged {
  public:
    Unprivileged() : before_(::geteuid()) {
        if (before_ == 0) EXPECT_EQ(::seteuid(65534), 0);
    }
    ~Unprivileged() {
        if (before_ == 0) EXPECT_EQ(::seteuid(0), 0);
    }

  private:
    uid_t before_;
};

TEST_F(SqliteRefusal, UnwritableDirectory) {
    const auto path = directory_ / "closed" / "baton.db";
    fs::create_directory(path.parent_path());
    fs::permissions(path.parent_path(), fs::perms{0555});
    const Unprivileged now;
    const auto store = open_sqlite(path, *clock_);
    ASSERT_FALSE(store);
    EXPECT_NE(store.error().text().find("Permission denied"), std::string::npos) << store.error().text();
}

TEST_F(SqliteRefusal, ReadOnlyFile) {
    make_full_database();
    fs::permissions(file(), fs::perms{0444});
    fs::permissions(file().string() + ".lock", fs::perms{0666});
    fs::permissions(directory_, fs::perms{0777});
    const Unprivileged now;
    expect_refused("no permission to write");
}

// ---- Older files and accidents
// -------------------------------------------------------------------------------------------

TEST_F(SqliteStore, BringsAnOlderSchemaUp) {
    sql(file(), "PRAGMA application_id = " + std::to_string(application_id) + "; PRAGMA user_version = 0");
    ASSERT_GT(fs::file_size(file()), 0u);
    {
        const auto store = open_good();
        store->apply(PutKeyValue{"k", "v"});
    }
    EXPECT_EQ(sql(file(), "PRAGMA user_version"), std::to_string(schema_version));
    EXPECT_EQ(open_good()->state().key_values.at("k"), "v");
}

TEST_F(SqliteStore, AnEmptyFileAndHalfMadeOnesAreStartedAgain) {
    write_bytes(file(), "");
    write_bytes(file().string() + ".new", "half made");
    EXPECT_NE(open_good(), nullptr);
    EXPECT_FALSE(fs::exists(file().string() + ".new"));
}

/// In a child: does `work` with a store, says so, and waits to be killed.
pid_t child_with_store(int tell, const std::function<void()>& work) {
    const pid_t pid = ::fork();
    if (pid != 0) return pid;
    work();
    const bool told = ::write(tell, "x", 1) == 1;
    while (told)
        ::pause();
    ::_exit(1);
}

TEST_F(SqliteStore, WhatWasDurableSurvivesKillNine) {
    int fds[2];
    ASSERT_EQ(::pipe2(fds, O_CLOEXEC), 0);
    const pid_t child = child_with_store(fds[1], [&] {
        auto store = open_good().release();
        store->apply(AddAudit{sample_audit(1)});
        if (!await(store->apply_durably(PutRecovery{sample_recovery(2)}))) ::_exit(1);
    });
    ::close(fds[1]);
    char told = 0;
    EXPECT_EQ(::read(fds[0], &told, 1), 1);
    const auto refused = open();
    EXPECT_FALSE(refused);
    if (!refused) {
        EXPECT_NE(refused.error().text().find("(process " + std::to_string(child) + ")"), std::string::npos);
    }
    ::kill(child, SIGKILL);
    ::waitpid(child, nullptr, 0);
    ::close(fds[0]);
    const auto store = open_good();
    EXPECT_TRUE(store->state().recoveries.contains(2));
    EXPECT_TRUE(store->state().audit.contains(1));
}

/// While it lives, no file of this process can grow past `bytes`: what a full disk looks like to a writer.
class FullDisk {
  public:
    explicit FullDisk(rlim_t bytes) {
        before_handler_ = std::signal(SIGXFSZ, SIG_IGN);
        ::getrlimit(RLIMIT_FSIZE, &before_);
        const rlimit small{bytes, before_.rlim_max};
        ::setrlimit(RLIMIT_FSIZE, &small);
    }
    ~FullDisk() {
        ::setrlimit(RLIMIT_FSIZE, &before_);
        std::signal(SIGXFSZ, before_handler_);
    }

  private:
    rlimit before_{};
    void (*before_handler_)(int) = SIG_DFL;
};

TEST_F(SqliteStore, AFullDiskIsReportedAndOutlived) {
    std::string before;
    {
        const auto store = open_good();
        ASSERT_TRUE(await(store->apply_durably(AddAudit{sample_audit()})));
        {
            const FullDisk full(4096);
            const auto written = await(store->apply_durably(PutKeyValue{"k", "v"}));
            ASSERT_FALSE(written);
            EXPECT_EQ(written.error().kind, ErrorKind::io);
            EXPECT_NE(written.error().text().find(file().string()), std::string::npos);
            ASSERT_FALSE(store->health());
            EXPECT_EQ(store->state().key_values.at("k"), "v") << "in force all the same";
            // A row that comes and goes meanwhile leaves nothing to do.
            const auto waiting = store->queued();
            store->apply(PutTag{db1, {"a", "1"}});
            store->apply(RemoveTag{db1, "a"});
            EXPECT_EQ(store->queued(), waiting);
            for (int i = 0; i < 100; ++i)
                store->apply(PutKeyValue{"k", std::to_string(i)});
            EXPECT_EQ(store->queued(), waiting);
        }
        EXPECT_TRUE(await(store->flush()));
        EXPECT_TRUE(store->health());
        EXPECT_EQ(store->queued(), 0u);
        before = print(store->state());
    }
    EXPECT_EQ(print(open_good()->state()), before);
}

TEST_F(SqliteStore, AWriterThatIsKeptOutByAnotherProgramSaysSo) {
    const auto store = open_good();
    sqlite3* other = nullptr;
    ASSERT_EQ(sqlite3_open(file().c_str(), &other), SQLITE_OK);
    ASSERT_EQ(sqlite3_exec(other, "BEGIN IMMEDIATE", nullptr, nullptr, nullptr), SQLITE_OK);
    const auto written = await(store->apply_durably(PutKeyValue{"k", "v"}));
    EXPECT_FALSE(written);
    if (!written) {
        EXPECT_NE(written.error().text().find("another program"), std::string::npos)
            << written.error().text();
    }
    sqlite3_exec(other, "ROLLBACK", nullptr, nullptr, nullptr);
    sqlite3_close(other);
    EXPECT_TRUE(await(store->flush()));
    EXPECT_TRUE(store->health());
}

}  // namespace
}  // namespace baton::store::test
