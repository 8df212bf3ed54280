#include <arpa/inet.h>
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include "engine/live_server.h"

namespace baton::live {
namespace {

using engine::Observation;
using engine::postgresql::Login;
using engine::postgresql::make_engine;
using testing::HasSubstr;
using testing::Not;
using topology::Reach;
using topology::Role;

template <class T>
Task<void> count_end(Task<T> task, int& ended) {
    co_await std::move(task);
    ++ended;
}

class LivePostgresql : public testing::Test {
  protected:
    static void SetUpTestSuite() {
        if (!programs().empty()) home = std::make_unique<Home>();
    }
    static void TearDownTestSuite() { home.reset(); }
    void SetUp() override {
        if (!home) GTEST_SKIP() << "no PostgreSQL programs; set BATON_TEST_PG_BIN";
        manager = make_engine(*loop.clock, login_as("mgr", "mgr-pass"));
    }
    Server& add(const std::string& name, std::map<std::string, std::string> settings = {}) {
        static int count = 0;  // a data directory of its own for each test
        return *servers.emplace_back(
            std::make_unique<Server>(*home, fmt::format("{}{}", name, ++count), std::move(settings)));
    }
    Server& add_primary() {
        auto& server = add("primary");
        server.start();
        EXPECT_TRUE(look_until_up(loop, *manager->make_probe(server.key()))) << server.log();
        return server;
    }
    Server& add_standby(const Server& of, const std::string& name, const std::string& slot = "") {
        auto& server = add(name);
        server.become_standby(conninfo_to(of, name), slot);
        server.start();
        EXPECT_TRUE(streams(server)) << server.log();
        return server;
    }
    engine::ObservationPtr streams(const Server& server) {
        return look_until(loop, *manager->make_probe(server.key()), &Observation::receiving);
    }
    engine::Unreached failure(const topology::InstanceKey& key, Login login,
                              milliseconds limit = milliseconds(2000)) {
        const auto engine = make_engine(*loop.clock, std::move(login));
        const auto probe = engine->make_probe(key);
        const auto seen = loop.run(probe->look(loop.in(limit)));
        EXPECT_FALSE(seen) << "answers";
        return seen ? engine::Unreached{} : seen.error();
    }
    template <class T>
    T must(Result<T> result) {
        EXPECT_TRUE(result) << result.error().text();
        return result ? *result : T{};
    }
    void must(Result<void> result) { EXPECT_TRUE(result) << result.error().text(); }

    static inline std::unique_ptr<Home> home;
    Loop loop;
    std::vector<std::unique_ptr<Server>> servers;
    std::unique_ptr<engine::Engine> manager;
};

TEST_F(LivePostgresql, sees_a_primary_and_its_standby) {
    auto& primary = add_primary();
    const auto actor = manager->make_actor(primary.key());
    must(loop.run(actor->create_slot("s1", loop.in(milliseconds(2000)))));
    must(loop.run(actor->create_slot("s1", loop.in(milliseconds(2000)))));  // there already
    auto& standby = add_standby(primary, "s-1", "s1");

    const auto probe = manager->make_probe(standby.key());
    const auto s = look_until_up(loop, *probe);
    const auto p = look_until(loop, *manager->make_probe(primary.key()), [&](const Observation& o) {
        return o.senders.size() == 1 && o.senders[0].state == "streaming" &&
               o.senders[0].replayed == o.written;
    });
    ASSERT_TRUE(s && p);
    EXPECT_EQ(p->role, Role::primary);
    EXPECT_EQ(p->engine, topology::Engine::postgresql);
    EXPECT_EQ(p->system_identifier, s->system_identifier);
    EXPECT_GT(p->system_identifier.size(), 15U);
    EXPECT_EQ(p->timeline, 1U);
    EXPECT_TRUE(p->written);
    EXPECT_GE(p->version_num, 130000);
    EXPECT_EQ(p->version.find(' '), std::string::npos);
    EXPECT_EQ(p->port, primary.key().port);
    EXPECT_THAT(p->data_directory, HasSubstr("primary"));
    EXPECT_GT(p->started_at_us, 1'600'000'000'000'000);
    EXPECT_TRUE(p->settings.data_checksums);
    EXPECT_TRUE(p->settings.wal_log_hints);
    EXPECT_EQ(p->settings.max_connections, 20);
    EXPECT_EQ(p->settings.wal_retrieve_retry_interval_ms, 5000);
    EXPECT_EQ(p->settings.max_slot_wal_keep_size_mb, -1);
    EXPECT_TRUE(p->can_see_all);
    EXPECT_FALSE(p->receiver);
    EXPECT_EQ(p->senders[0].application_name, "s-1");
    EXPECT_EQ(p->senders[0].slot, "s1");
    EXPECT_EQ(p->senders[0].client_addr, "127.0.0.1");
    EXPECT_EQ(p->senders[0].user, "repl");
    ASSERT_EQ(p->slots.size(), 1U);
    EXPECT_TRUE(p->slots[0].active && p->slots[0].physical);

    EXPECT_EQ(s->role, Role::standby);
    EXPECT_EQ(s->timeline, 1U);
    EXPECT_TRUE(s->received && s->replayed);
    EXPECT_FALSE(s->replay_paused);
    EXPECT_EQ(s->settings.primary_slot_name, "s1");
    ASSERT_TRUE(s->receiver);
    EXPECT_EQ(s->receiver->sender_port, primary.key().port);
    EXPECT_EQ(s->receiver->slot, "s1");
    EXPECT_TRUE(s->receiver->last_message_age);
    ASSERT_EQ(s->upstream.hosts.size(), 1U);
    EXPECT_EQ(s->upstream.hosts[0], primary.key());
    EXPECT_EQ(s->upstream.user, "repl");
    EXPECT_EQ(s->upstream.application_name, "s-1");

    must(loop.run(actor->restart_receiver(loop.in(milliseconds(2000)))).error().kind == ErrorKind::conflict
             ? Result<void>{}
             : fail(ErrorKind::internal, "a primary has no receiver"));
    const auto in_use = loop.run(actor->drop_slot("s1", loop.in(milliseconds(2000))));
    ASSERT_FALSE(in_use);
    EXPECT_EQ(in_use.error().kind, ErrorKind::conflict);
    must(loop.run(actor->drop_slot("never-made", loop.in(milliseconds(2000)))));
}

TEST_F(LivePostgresql, a_role_without_grants_sees_what_it_may) {
    auto& primary = add_primary();
    auto& standby = add_standby(primary, "s1");
    const auto engine = make_engine(*loop.clock, login_as("plain"));
    for (const auto* server : {&primary, &standby}) {
        const auto seen = look_until_up(loop, *engine->make_probe(server->key()));
        ASSERT_TRUE(seen);
        EXPECT_FALSE(seen->can_see_all);
        EXPECT_GT(seen->system_identifier.size(), 15U);
        EXPECT_EQ(seen->timeline, 1U);
        EXPECT_TRUE(seen->position());
        EXPECT_EQ(seen->data_directory, "");
    }
    const auto seen = look_until_up(loop, *engine->make_probe(standby.key()));
    EXPECT_FALSE(seen->upstream.readable);
    EXPECT_THAT(seen->upstream.problem, HasSubstr("pg_monitor"));
    ASSERT_TRUE(seen->receiver);
    EXPECT_EQ(seen->receiver->status, "");

    const auto actor = engine->make_actor(standby.key());
    const auto promoted = loop.run(actor->promote(loop.in(milliseconds(1000))));
    ASSERT_FALSE(promoted);
    EXPECT_EQ(promoted.error().kind, ErrorKind::privilege);
    EXPECT_THAT(promoted.error().message, HasSubstr("pg_promote(boolean, integer) TO plain"));
    const auto followed = loop.run(actor->follow({primary.key(), ""}, loop.in(milliseconds(1000))));
    ASSERT_FALSE(followed);
    EXPECT_EQ(followed.error().kind, ErrorKind::privilege);
    const auto examined = must(loop.run(actor->examine(loop.in(milliseconds(2000)))));
    EXPECT_FALSE(examined.superuser);
    for (const auto& privilege : examined.privileges) {
        EXPECT_FALSE(privilege.granted) << privilege.what;
        EXPECT_THAT(privilege.remedy, HasSubstr("plain")) << privilege.what;
    }
}

TEST_F(LivePostgresql, the_death_of_a_server_is_noticed_at_once) {
    auto& primary = add_primary();
    const auto probe = manager->make_probe(primary.key());
    ASSERT_TRUE(loop.run(probe->look(loop.in(milliseconds(2000)))));
    ASSERT_TRUE(loop.run(probe->touch(loop.in(milliseconds(2000)))));
    int broken = 0;
    probe->on_broken([&] { ++broken; });
    const auto killed_at = loop.clock->now();
    primary.kill_and_reap();
    EXPECT_TRUE(loop.run_until([&] { return broken > 0; }, milliseconds(1000)));
    EXPECT_LT(to_ms(loop.clock->now() - killed_at), 100);
    EXPECT_FALSE(probe->connected());
    const auto seen = loop.run(probe->look(loop.in(milliseconds(1000))));
    ASSERT_FALSE(seen);
    EXPECT_EQ(seen.error().reach, Reach::refused);
    EXPECT_EQ(seen.error().error.kind, ErrorKind::refused);
    EXPECT_TRUE(seen.error().on_new_connection);
    EXPECT_EQ(broken, 1);
}

TEST_F(LivePostgresql, a_stopped_server_is_silent_on_old_sessions_and_unresponsive_on_new_ones) {
    auto& primary = add_primary();
    const auto probe = manager->make_probe(primary.key());
    ASSERT_TRUE(loop.run(probe->look(loop.in(milliseconds(2000)))));
    primary.signal_all(SIGSTOP);
    const auto old_session = loop.run(probe->look(loop.in(milliseconds(100))));
    ASSERT_FALSE(old_session);
    EXPECT_EQ(old_session.error().reach, Reach::silent);
    EXPECT_FALSE(old_session.error().on_new_connection);
    const auto new_session = loop.run(probe->look(loop.in(milliseconds(100))));
    ASSERT_FALSE(new_session);
    EXPECT_EQ(new_session.error().reach, Reach::unresponsive);
    EXPECT_TRUE(new_session.error().on_new_connection);
    EXPECT_EQ(new_session.error().error.kind, ErrorKind::timeout);
    primary.signal_all(SIGCONT);
    EXPECT_TRUE(look_until_up(loop, *probe));
}

TEST_F(LivePostgresql, refusals_are_told_apart) {
    auto& primary = add_primary();
    auto wrong_database = login_as("mgr", "mgr-pass");
    wrong_database.database = "nowhere";
    auto wants_tls = login_as("mgr", "mgr-pass");
    wants_tls.sslmode = "require";
    const struct {
        Login login;
        std::string sqlstate;
    } cases[] = {{login_as("mgr", "wrong"), "28P01"},
                 {login_as("mgr"), ""},  // no password to give
                 {login_as("nobody"), "28000"},
                 {wrong_database, "3D000"},
                 {wants_tls, ""}};
    for (const auto& c : cases) {
        const auto failed = failure(primary.key(), c.login);
        EXPECT_EQ(failed.reach, Reach::not_permitted) << failed.error.text();
        EXPECT_EQ(failed.error.kind, ErrorKind::authentication) << failed.error.text();
        EXPECT_EQ(failed.error.sqlstate, c.sqlstate) << failed.error.text();
        EXPECT_THAT(failed.error.message, Not(HasSubstr("LOCATION")));
        EXPECT_FALSE(failed.error.message.empty());
    }
}

TEST_F(LivePostgresql, speaks_tls_and_checks_names) {
    auto& server = add("tls");
    if (!server.enable_tls()) GTEST_SKIP() << "no openssl program";
    server.start();
    auto login = login_as("mgr", "mgr-pass");
    login.sslmode = "verify-full";
    login.sslrootcert = server.certificate();
    const auto engine = make_engine(*loop.clock, login);
    const auto probe = engine->make_probe({"localhost", server.key().port});
    ASSERT_TRUE(look_until_up(loop, *probe)) << server.log();
    for (int i = 0; i < 3; ++i)
        EXPECT_TRUE(loop.run(probe->look(loop.in(milliseconds(2000)))));
    const auto wrong_name = failure(server.key(), login);  // the certificate is not for 127.0.0.1
    EXPECT_EQ(wrong_name.reach, Reach::not_permitted) << wrong_name.error.text();
    EXPECT_EQ(wrong_name.error.kind, ErrorKind::authentication);
    int broken = 0;
    probe->on_broken([&] { ++broken; });
    server.kill_and_reap();
    EXPECT_TRUE(loop.run_until([&] { return broken > 0; }, milliseconds(1000)));
}

TEST_F(LivePostgresql, a_full_server_and_one_that_shuts_down_are_alive) {
    auto& primary = add_primary();
    std::vector<std::unique_ptr<engine::Probe>> crowd;
    std::optional<engine::Unreached> refused;
    while (!refused && crowd.size() < 30) {
        crowd.push_back(manager->make_probe(primary.key()));
        if (auto done = loop.run(crowd.back()->touch(loop.in(milliseconds(2000)))); !done)
            refused = done.error();
    }
    ASSERT_TRUE(refused);
    EXPECT_EQ(refused->reach, Reach::too_many_connections) << refused->error.text();
    EXPECT_EQ(refused->error.sqlstate, "53300");
    crowd.resize(1);

    primary.signal(SIGTERM);  // smart shutdown: it waits for the session that is left
    engine::Unreached failed;
    const auto probe = manager->make_probe(primary.key());
    loop.run_until(
        [&] {
            const auto seen = loop.run(probe->touch(loop.in(milliseconds(1000))));
            if (!seen) failed = seen.error();
            probe->disconnect();
            return !seen && seen.error().reach != Reach::too_many_connections;
        },
        milliseconds(5000));
    EXPECT_EQ(failed.reach, Reach::starting) << failed.error.text();
    EXPECT_EQ(failed.error.sqlstate, "57P03");
    EXPECT_TRUE(crowd[0]->connected());
}

TEST_F(LivePostgresql, something_that_accepts_and_says_nothing_is_unresponsive) {
    const int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    ASSERT_EQ(bind(listener, reinterpret_cast<sockaddr*>(&address), size), 0);
    ASSERT_EQ(listen(listener, 8), 0);
    getsockname(listener, reinterpret_cast<sockaddr*>(&address), &size);
    const topology::InstanceKey key{"127.0.0.1", ntohs(address.sin_port)};
    EXPECT_EQ(failure(key, login_as("mgr"), milliseconds(50)).reach, Reach::unresponsive);

    const auto probe = manager->make_probe(key);
    std::optional<engine::Unreached> failed;
    asio::co_spawn(
        loop.io,
        [](engine::Probe& p, MonoTime deadline, std::optional<engine::Unreached>& out) -> Task<void> {
            const auto seen = co_await p.look(deadline);
            if (!seen) out = seen.error();
        }(*probe, loop.in(milliseconds(2000)), failed),
        asio::detached);
    const auto hang_up_on_all = [&] {
        for (int fd = accept(listener, nullptr, nullptr); fd >= 0; fd = accept(listener, nullptr, nullptr))
            close(fd);
        return failed.has_value();
    };
    while (!hang_up_on_all() && loop.io.run_one_for(milliseconds(2000)) > 0) {
    }
    ASSERT_TRUE(failed);
    EXPECT_EQ(failed->reach, Reach::unresponsive);
    EXPECT_EQ(failed->error.kind, ErrorKind::broken);
    close(listener);
}

TEST_F(LivePostgresql, fails_over_and_keeps_what_the_user_wrote) {
    auto& primary = add_primary();
    auto& candidate = add_standby(primary, "s1");
    auto& survivor = add_standby(primary, "s-2");
    const auto actor = manager->make_actor(candidate.key());
    must(loop.run(actor->connect(loop.in(milliseconds(1000)))));
    EXPECT_TRUE(must(loop.run(actor->in_recovery(loop.in(milliseconds(1000))))));
    must(loop.run(actor->create_slot("s2", loop.in(milliseconds(1000)))));  // on a standby
    const auto rewirer = manager->make_actor(survivor.key());
    must(loop.run(rewirer->connect(loop.in(milliseconds(1000)))));

    primary.kill_and_reap();
    const auto promotion = must(loop.run(actor->promote(loop.in(milliseconds(4000)))));
    EXPECT_FALSE(promotion.already);
    EXPECT_GE(actor->promotion_requests(), 1);
    EXPECT_LT(to_ms(promotion.took), 1000);  // not the 5 s of wal_retrieve_retry_interval
    EXPECT_TRUE(must(loop.run(actor->promote(loop.in(milliseconds(1000))))).already);

    EXPECT_EQ(must(loop.run(rewirer->follow({candidate.key(), "s2"}, loop.in(milliseconds(2000))))),
              engine::FollowHow::rewritten);
    const auto seen = look_until(loop, *manager->make_probe(survivor.key()),
                                 [](const Observation& o) { return o.receiving() && o.timeline == 2; });
    ASSERT_TRUE(seen) << survivor.log();
    EXPECT_EQ(seen->receiver->slot, "s2");
    EXPECT_EQ(seen->upstream.hosts[0], candidate.key());
    EXPECT_EQ(seen->upstream.application_name, "s-2");

    const auto promoted = look_until_up(loop, *manager->make_probe(candidate.key()));
    EXPECT_EQ(promoted->role, Role::primary);
    EXPECT_EQ(promoted->timeline, 2U);
    const auto history = must(loop.run(actor->timeline_history(2, loop.in(milliseconds(1000)))));
    ASSERT_TRUE(history.left_at(1));
    EXPECT_LE(*history.left_at(1), promoted->written);
    EXPECT_EQ(loop.run(actor->timeline_history(7, loop.in(milliseconds(1000)))).error().kind,
              ErrorKind::not_found);

    must(loop.run(actor->set_synchronous_standby_names("ANY 1 (\"s-2\")", loop.in(milliseconds(1000)))));
    EXPECT_TRUE(look_until(loop, *manager->make_probe(candidate.key()), [](const Observation& o) {
        return o.settings.synchronous_standby_names == "ANY 1 (\"s-2\")" && o.senders.size() == 1 &&
               o.senders[0].sync_state == "quorum";
    }));
    const auto refused = loop.run(actor->set_read_only(true, loop.in(milliseconds(1000))));
    ASSERT_FALSE(refused);  // an optional grant that mgr lacks here
    EXPECT_EQ(refused.error().kind, ErrorKind::privilege);
    EXPECT_THAT(refused.error().message, HasSubstr("default_transaction_read_only TO mgr"));
}

TEST_F(LivePostgresql, a_dead_candidate_is_given_up_at_once) {
    auto& server = add("gone");
    const auto began = loop.clock->now();
    const auto promoted = loop.run(manager->make_actor(server.key())->promote(loop.in(milliseconds(5000))));
    ASSERT_FALSE(promoted);
    EXPECT_EQ(promoted.error().kind, ErrorKind::refused);
    EXPECT_LT(to_ms(loop.clock->now() - began), 1000);
}

TEST_F(LivePostgresql, makes_a_receiver_reconnect_without_changing_what_it_means) {
    auto& primary = add_primary();
    auto& standby = add_standby(primary, "s1");
    const auto probe = manager->make_probe(primary.key());
    const auto actor = manager->make_actor(standby.key());
    int pid = 0;
    for (int round = 0; round < 3; ++round) {
        const auto seen = look_until(loop, *probe, [&](const Observation& o) {
            return o.senders.size() == 1 && o.senders[0].pid != pid && o.senders[0].state == "streaming";
        });
        ASSERT_TRUE(seen) << round;
        pid = seen->senders[0].pid;
        EXPECT_EQ(seen->senders[0].application_name, "s1");
        must(loop.run(actor->restart_receiver(loop.in(milliseconds(1000)))));
    }
    EXPECT_TRUE(streams(standby));
}

TEST_F(LivePostgresql, a_standby_that_lists_all_hosts_is_only_nudged) {
    auto& primary = add_primary();
    auto& candidate = add_standby(primary, "s1");
    auto& survivor = add("s2");
    survivor.become_standby(
        fmt::format("user=repl password='re pl\\'pass' host=127.0.0.1,127.0.0.1 port={},{} "
                    "target_session_attrs=read-write",
                    primary.key().port, candidate.key().port));
    survivor.start();
    ASSERT_TRUE(streams(survivor));
    const auto actor = manager->make_actor(candidate.key());
    must(loop.run(actor->connect(loop.in(milliseconds(1000)))));
    primary.kill_and_reap();
    must(loop.run(actor->promote(loop.in(milliseconds(4000)))));
    const auto rewirer = manager->make_actor(survivor.key());
    EXPECT_EQ(must(loop.run(rewirer->follow({candidate.key(), ""}, loop.in(milliseconds(1000))))),
              engine::FollowHow::nudged);
    const auto seen = look_until(loop, *manager->make_probe(survivor.key()),
                                 [](const Observation& o) { return o.receiving() && o.timeline == 2; });
    ASSERT_TRUE(seen);
    EXPECT_EQ(seen->upstream.hosts.size(), 2U);
}

TEST_F(LivePostgresql, examines_the_managers_role) {
    auto& primary = add("primary", {{"archive_mode", "on"}, {"archive_command", "false"}});
    primary.start();
    ASSERT_TRUE(look_until_up(loop, *manager->make_probe(primary.key())));
    auto& standby = add_standby(primary, "s1");
    const auto on_primary = manager->make_actor(primary.key());
    EXPECT_EQ(must(loop.run(on_primary->examine(loop.in(milliseconds(2000))))).archiving->mode, "on");
    const auto actor = manager->make_actor(standby.key());
    const auto seen = must(loop.run(actor->examine(loop.in(milliseconds(2000)))));
    EXPECT_FALSE(seen.superuser);
    ASSERT_TRUE(seen.archiving);
    EXPECT_EQ(seen.archiving->mode, "off");
    EXPECT_FALSE(seen.archiving->failing);
    ASSERT_TRUE(seen.clock_offset);
    EXPECT_LT(std::abs(seen.clock_offset->count()), 100);
    EXPECT_THAT(seen.primary_conninfo_masked, HasSubstr("password=********"));
    EXPECT_THAT(seen.primary_conninfo_masked, Not(HasSubstr("re pl")));
    for (const auto& privilege : seen.privileges) {
        if (privilege.required) EXPECT_TRUE(privilege.granted) << privilege.what << ": " << privilege.remedy;
        if (privilege.what == "timeline_history") EXPECT_TRUE(privilege.granted);
        if (privilege.what == "read_only") EXPECT_FALSE(privilege.granted);
    }
}

TEST_F(LivePostgresql, probes_and_actors_may_go_away_in_the_middle_of_a_call) {
    auto& primary = add_primary();
    for (int stage = 0; stage < 24; ++stage) {
        int ended = 0;
        auto probe = manager->make_probe(primary.key());
        auto actor = manager->make_actor(primary.key());
        asio::co_spawn(loop.io, count_end(probe->look(loop.in(milliseconds(500))), ended), asio::detached);
        asio::co_spawn(loop.io, count_end(actor->in_recovery(loop.in(milliseconds(500))), ended),
                       asio::detached);
        loop.io.restart();
        for (int i = 0; i < stage; ++i)
            loop.io.run_one();
        probe.reset();
        actor.reset();
        EXPECT_TRUE(loop.run_until([&] { return ended == 2; }, milliseconds(1000))) << stage;
    }
}

}  // namespace
}  // namespace baton::live
