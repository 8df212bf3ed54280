#include "routing/pgbouncer.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/run.h"
#include "routing/fake_console.h"

namespace baton::routing {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

using Work = std::function<Task<Result<void>>(Clock&, Router&)>;

struct Heard {
    Result<void> result;
    std::vector<std::string> commands;
    std::vector<std::string> targets;
};

/// Lets `work` speak to a router whose console answers by `script`.
Heard with_console(FakeConsole::Script script, const Work& work, std::vector<std::string> databases = {"app"},
                   bool rewrites = true) {
    return run_task<Heard>([&](Clock& clock) -> Task<Heard> {
        Heard heard;
        FakeConsole console(clock.executor(), script);
        Retarget retarget;
        if (rewrites)
            retarget = [&](Target t, MonoTime) -> Task<Result<void>> {
                heard.targets.push_back(t.text());
                co_return Result<void>{};
            };
        const auto router =
            make_pgbouncer(clock,
                           {.name = "pb1",
                            .login = {.host = "127.0.0.1", .port = console.port(), .user = "u"},
                            .databases = std::move(databases)},
                           retarget);
        heard.result = co_await work(clock, *router);
        heard.commands = console.commands();
        co_return heard;
    });
}

Answer fine(const std::string&) {
    return {};
}

Work pausing() {
    return [](Clock& clock, Router& r) { return r.pause({}, clock.now() + seconds(5)); };
}
Work resuming() {
    return [](Clock& clock, Router& r) { return r.resume(clock.now() + seconds(5)); };
}
Work pointing(Clients clients) {
    return [clients](Clock& clock, Router& r) {
        return r.point_at({"db2", 5433}, clients, clock.now() + seconds(5));
    };
}

TEST(Pgbouncer, pauses_and_resumes_each_of_its_databases) {
    const auto paused = with_console(fine, pausing(), {"app", "o\"dd"});
    EXPECT_TRUE(paused.result);
    EXPECT_THAT(paused.commands, ElementsAre("PAUSE \"app\"", "PAUSE \"o\"\"dd\""));
    EXPECT_THAT(with_console(fine, resuming(), {"app"}).commands, ElementsAre("RESUME \"app\""));
    EXPECT_THAT(with_console(fine, resuming(), {}).commands, ElementsAre("RESUME"));
}

TEST(Pgbouncer, takes_what_is_so_already_for_done) {
    const auto script = [](const std::string& command) {
        return Answer{.error = command.starts_with("RESUME") ? "database \"app\" is not paused"
                                                             : "already paused"};
    };
    EXPECT_TRUE(with_console(script, resuming()).result);
    EXPECT_TRUE(with_console(script, pausing()).result);
}

TEST(Pgbouncer, resumes_the_others_where_one_fails) {
    const auto script = [](const std::string& command) {
        return Answer{.error = command == "RESUME \"a\"" ? "no such database: a" : ""};
    };
    const auto heard = with_console(script, resuming(), {"a", "b"});
    ASSERT_FALSE(heard.result);
    EXPECT_EQ(heard.result.error().kind, ErrorKind::sql);
    EXPECT_THAT(heard.commands, ElementsAre("RESUME \"a\"", "RESUME \"b\""));
}

TEST(Pgbouncer, gives_up_a_pause_at_its_deadline) {
    const auto heard =
        with_console([](const std::string&) { return Answer{.never = true}; },
                     [](Clock& clock, Router& r) { return r.pause({}, clock.now() + milliseconds(30)); });
    ASSERT_FALSE(heard.result);
    EXPECT_EQ(heard.result.error().kind, ErrorKind::timeout);
    EXPECT_THAT(heard.result.error().message, HasSubstr("end of their transactions"));
}

TEST(Pgbouncer, reads_its_targets_again_while_clients_are_held) {
    const auto heard = with_console(fine, pointing(Clients::held));
    EXPECT_TRUE(heard.result);
    EXPECT_THAT(heard.targets, ElementsAre("db2:5433"));
    EXPECT_THAT(heard.commands, ElementsAre("RELOAD"));
}

TEST(Pgbouncer, cuts_off_what_is_bound_to_a_dead_server) {
    const auto heard = with_console(fine, pointing(Clients::bound));
    EXPECT_THAT(heard.commands, ElementsAre("RELOAD", "KILL \"app\"", "RESUME \"app\""));
    const auto all = with_console(
        [](const std::string& command) {
            if (!command.starts_with("SHOW")) return Answer{};
            return Answer{.columns = {"name", "host"}, .rows = {{"app", "db1"}, {"pgbouncer", ""}}};
        },
        pointing(Clients::bound), {});
    EXPECT_THAT(all.commands, ElementsAre("RELOAD", "SHOW DATABASES", "KILL \"app\"", "RESUME \"app\""));
}

TEST(Pgbouncer, leaves_clients_alone_who_are_where_they_should_be) {
    const auto at = [](const char* port) {
        return [port](const std::string& command) {
            if (!command.starts_with("SHOW")) return Answer{};
            return Answer{.columns = {"name", "host", "port", "paused"},
                          .rows = {{"app", "db2", port, "0"}, {"of others", "db9", "1", "1"}}};
        };
    };
    EXPECT_THAT(with_console(at("5433"), pointing(Clients::stray)).commands,
                ElementsAre("SHOW DATABASES", "RELOAD"));
    EXPECT_THAT(with_console(at("5432"), pointing(Clients::stray)).commands,
                ElementsAre("SHOW DATABASES", "RELOAD", "KILL \"app\"", "RESUME \"app\""));
}

TEST(Pgbouncer, looks_anew_where_nobody_rewrites_its_targets) {
    EXPECT_THAT(with_console(fine, pointing(Clients::held), {"app"}, false).commands,
                ElementsAre("RECONNECT"));
}

TEST(Pgbouncer, lets_clients_go_on_where_the_targets_could_not_be_written) {
    const auto heard = run_task<Heard>([](Clock& clock) -> Task<Heard> {
        Heard h;
        FakeConsole console(clock.executor(), fine);
        const auto router =
            make_pgbouncer(clock,
                           {.name = "pb1",
                            .login = {.host = "127.0.0.1", .port = console.port(), .user = "u"},
                            .databases = {"app"}},
                           [](Target, MonoTime) -> Task<Result<void>> {
                               co_return fail(ErrorKind::unreachable, "the agent is not connected", "pbhost");
                           });
        h.result = co_await router->point_at({"db2", 5432}, Clients::bound, clock.now() + seconds(5));
        h.commands = console.commands();
        co_return h;
    });
    ASSERT_FALSE(heard.result);
    EXPECT_EQ(heard.result.error().kind, ErrorKind::unreachable);
    EXPECT_THAT(heard.commands, ElementsAre("RELOAD", "KILL \"app\"", "RESUME \"app\""));
}

/// What the watchdog and the console heard of a pause that is followed by the end of it.
std::vector<std::string> watched(const Result<void>& dog_says, Result<void>& paused) {
    return run_task<std::vector<std::string>>([&](Clock& clock) -> Task<std::vector<std::string>> {
        std::vector<std::string> heard;
        FakeConsole console(clock.executor(), [&](const std::string& command) {
            heard.push_back(command);
            return Answer{};
        });
        const auto router = make_pgbouncer(
            clock,
            {.name = "pb1",
             .login = {.host = "127.0.0.1", .port = console.port(), .user = "u"},
             .databases = {"app"}},
            {}, [&](std::optional<Leash> leash, MonoTime) -> Task<Result<void>> {
                heard.push_back(leash ? fmt::format("{} ms, then {}", leash->span.count(), leash->then.text())
                                      : "over");
                co_return dog_says;
            });
        paused = co_await router->pause({milliseconds(700), {"db2", 5432}}, clock.now() + seconds(5));
        if (paused) {
            (void)co_await router->resume(clock.now() + seconds(5));
            while (heard.back() != "over")
                co_await clock.sleep_for(milliseconds(1));
        }
        co_return heard;
    });
}

TEST(Pgbouncer, has_somebody_who_ends_a_pause_before_it_pauses) {
    Result<void> paused;
    EXPECT_THAT(watched({}, paused),
                ElementsAre("700 ms, then db2:5432", "PAUSE \"app\"", "RESUME \"app\"", "over"));
    EXPECT_TRUE(paused);
    EXPECT_THAT(watched(fail(ErrorKind::unreachable, "the agent is not connected"), paused),
                ElementsAre("700 ms, then db2:5432"))
        << "nobody is held whom nobody would let go";
    ASSERT_FALSE(paused);
    EXPECT_THAT(paused.error().message, HasSubstr("not connected"));
}

TEST(Pgbouncer, says_how_it_stands) {
    Result<Standing> standing;
    with_console(
        [](const std::string& command) {
            if (command.starts_with("RESUME")) return Answer{.error = "admin access needed"};
            if (command == "SHOW CONFIG")
                return Answer{.columns = {"key", "value"}, .rows = {{"pool_mode", "session"}}};
            return Answer{.columns = {"name", "host", "port", "pool_mode", "paused"},
                          .rows = {{"app", "db1", "5432", "transaction", "1"},
                                   {"old", "db1", "5432", "", "0"},
                                   {"pgbouncer", "", "6432", "statement", "0"}}};
        },
        [&](Clock& clock, Router& r) -> Task<Result<void>> {
            standing = co_await r.check(clock.now() + seconds(5));
            co_return Result<void>{};
        },
        {"app", "old", "new"});
    ASSERT_TRUE(standing);
    EXPECT_THAT(standing->forbidden, HasSubstr("u may look, but not PAUSE"));
    ASSERT_EQ(standing->routes.size(), 2U);
    EXPECT_EQ(standing->routes[0].to.text(), "db1:5432");
    EXPECT_TRUE(standing->routes[0].paused);
    EXPECT_THAT(standing->remarks, ElementsAre(HasSubstr("session pooling"), HasSubstr("no database new")));
}

TEST(Pgbouncer, says_why_it_is_not_reached) {
    const auto result = run_task<Result<void>>([](Clock& clock) -> Task<Result<void>> {
        const auto router = make_pgbouncer(
            clock, {.name = "pb1", .login = {.host = "127.0.0.1", .port = 1, .user = "u"}, .databases = {}});
        co_return co_await router->resume(clock.now() + seconds(5));
    });
    ASSERT_FALSE(result);
    EXPECT_EQ(result.error().kind, ErrorKind::refused);
}

}  // namespace
}  // namespace baton::routing
