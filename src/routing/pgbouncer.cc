#include "routing/pgbouncer.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/async.h"
#include "base/text.h"

namespace baton::routing {
namespace {

/// It resumed already, or was never paused: what was wanted is so.
bool not_paused(const Error& e) {
    return e.kind == ErrorKind::sql && e.message.find("not paused") != std::string::npos;
}

bool already_paused(const Error& e) {
    return e.kind == ErrorKind::sql && e.message.find("already") != std::string::npos;
}

Result<void> done(const Result<ConsoleRows>& answer) {
    if (answer) return {};
    return std::unexpected(answer.error());
}

std::string field(const std::map<std::string, std::string>& row, const std::string& name) {
    const auto at = row.find(name);
    return at == row.end() ? std::string() : at->second;
}

/// Each call has a session of its own: PAUSE occupies one until the clients have come to an end, and RESUME
/// must get through meanwhile. What a call needs is its own, so that the router may go while it is under way.
struct Core {
    Clock& clock;
    PgbouncerOptions options;
    Retarget retarget;
    Watchdog watchdog;
};
using CorePtr = std::shared_ptr<const Core>;

/// `command` for each of the databases, or once for all of them.
Task<Result<void>> command_all(CorePtr core, std::string command, bool (*harmless)(const Error&),
                               MonoTime deadline) {
    Console console(core->clock, core->options.login);
    std::vector<std::string> commands;
    for (const auto& database : core->options.databases)
        commands.push_back(command + " " + quoted(database));
    if (commands.empty()) commands.push_back(command);
    Result<void> first;
    for (auto& c : commands) {
        auto answer = done(co_await console.ask(std::move(c), deadline));
        if (answer || harmless(answer.error())) continue;
        if (first) first = std::move(answer);
    }
    co_return first;
}

/// First the way back, then the deed.
Task<Result<void>> pause_it(CorePtr core, Leash leash, MonoTime deadline) {
    if (core->watchdog) {
        auto watched = co_await core->watchdog(leash, deadline);
        if (!watched) {
            watched.error().message =
                "nobody would let its clients go on if this manager died: " + watched.error().message;
            co_return watched;
        }
    }
    auto paused = co_await command_all(core, "PAUSE", already_paused, deadline);
    if (!paused && paused.error().kind == ErrorKind::timeout)
        paused.error().message =
            "its clients did not come to the end of their transactions in time (with session pooling: of "
            "their "
            "sessions)";
    co_return paused;
}

/// Nobody waits for the watchdog's answer: it finds out by itself whether clients are held.
Task<void> call_off(CorePtr core, MonoTime deadline) {
    co_await core->watchdog(std::nullopt, deadline);
}

Task<Result<void>> resume_it(CorePtr core, MonoTime deadline) {
    auto resumed = co_await command_all(core, "RESUME", not_paused, deadline);
    if (resumed && core->watchdog) spawn(core->clock.executor(), call_off(core, deadline));
    co_return resumed;
}

Task<Result<std::vector<std::string>>> all_databases(CorePtr core, MonoTime deadline) {
    if (!core->options.databases.empty()) co_return core->options.databases;
    Console console(core->clock, core->options.login);
    const auto rows = co_await console.ask("SHOW DATABASES", deadline);
    if (!rows) co_return std::unexpected(rows.error());
    std::vector<std::string> names;
    for (const auto& row : *rows) {
        if (const auto name = field(row, "name"); name != "pgbouncer") names.push_back(name);
    }
    co_return names;
}

/// A server that died leaves PgBouncer waiting for server_login_retry, 15 s by default: KILL ends that wait,
/// and sessions that are bound to the old one.
Task<Result<void>> cut_off(CorePtr core, MonoTime deadline) {
    const auto databases = co_await all_databases(core, deadline);
    if (!databases) co_return std::unexpected(databases.error());
    Console console(core->clock, core->options.login);
    Result<void> first;
    for (const auto& database : *databases) {
        auto killed = done(co_await console.ask("KILL " + quoted(database), deadline));
        auto resumed = done(co_await console.ask("RESUME " + quoted(database), deadline));
        if (first && !killed) first = std::move(killed);
        if (first && !resumed && !not_paused(resumed.error())) first = std::move(resumed);
    }
    co_return first;
}

/// All of ours lead there, and nobody waits.
Task<bool> leads_to(CorePtr core, Target target, MonoTime deadline) {
    Console console(core->clock, core->options.login);
    const auto rows = co_await console.ask("SHOW DATABASES", deadline);
    if (!rows) co_return false;
    const auto& wanted = core->options.databases;
    const auto port = std::to_string(target.port);
    for (const auto& row : *rows) {
        const auto name = field(row, "name");
        const bool ours =
            wanted.empty() ? name != "pgbouncer" : std::ranges::find(wanted, name) != wanted.end();
        const bool there =
            field(row, "host") == target.host && field(row, "port") == port && field(row, "paused") != "1";
        if (ours && !there) co_return false;
    }
    co_return true;
}

Task<Result<void>> lead_to(CorePtr core, Target target, Clients clients, MonoTime deadline) {
    const bool cuts = clients == Clients::bound ||
                      (clients == Clients::stray && !co_await leads_to(core, target, deadline));
    Result<void> written;
    if (core->retarget) written = co_await core->retarget(target, deadline);
    // Whoever wrote it may have told PgBouncer to read it again, but not when it has: this returns when it
    // has.
    Console console(core->clock, core->options.login);
    auto read = done(co_await console.ask(core->retarget ? "RELOAD" : "RECONNECT", deadline));
    Result<void> cut;
    if (cuts) cut = co_await cut_off(core, deadline);
    if (!written) co_return written;
    co_return read ? cut : read;
}

/// Rights are looked at before names: a command about a database that nobody has changes nothing.
Task<std::string> refusal(Console& console, const std::string& user, MonoTime deadline) {
    const auto answer = co_await console.ask("RESUME " + quoted("baton: may I?"), deadline);
    if (answer || answer.error().message.find("admin access") == std::string::npos) co_return std::string();
    co_return fmt::format("{} may look, but not PAUSE: it is not among its admin_users", user);
}

Task<Result<Standing>> look(CorePtr core, MonoTime deadline) {
    Console console(core->clock, core->options.login);
    const auto rows = co_await console.ask("SHOW DATABASES", deadline);
    if (!rows) co_return std::unexpected(rows.error());
    // A database without a mode of its own has that of all.
    const auto config = co_await console.ask("SHOW CONFIG", deadline);
    if (!config) co_return std::unexpected(config.error());
    std::string mode_of_all;
    for (const auto& row : *config) {
        if (field(row, "key") == "pool_mode") mode_of_all = field(row, "value");
    }
    Standing standing;
    standing.forbidden = co_await refusal(console, core->options.login.user, deadline);
    const auto& wanted = core->options.databases;
    for (const auto& row : *rows) {
        const auto name = field(row, "name");
        const bool ours = wanted.empty() || std::ranges::find(wanted, name) != wanted.end();
        if (!ours || name == "pgbouncer") continue;
        const auto port = static_cast<uint16_t>(parse_uint(field(row, "port")).value_or(0));
        standing.routes.push_back(
            {.database = name, .to = {field(row, "host"), port}, .paused = field(row, "paused") == "1"});
        const auto mode = field(row, "pool_mode");
        if ((mode.empty() ? mode_of_all : mode) == "session")
            standing.remarks.push_back(fmt::format(
                "database {} has session pooling: it cannot be paused while a client is connected", name));
    }
    for (const auto& name : wanted) {
        if (std::ranges::find(standing.routes, name, &Standing::Route::database) == standing.routes.end())
            standing.remarks.push_back(fmt::format("it has no database {}", name));
    }
    co_return standing;
}

class Pgbouncer final : public Router {
  public:
    explicit Pgbouncer(CorePtr core) : core_(std::move(core)) {}
    const std::string& name() const override { return core_->options.name; }
    Task<Result<void>> pause(Leash leash, MonoTime d) override {
        return pause_it(core_, std::move(leash), d);
    }
    Task<Result<void>> resume(MonoTime d) override { return resume_it(core_, d); }
    Task<Result<void>> point_at(Target target, Clients clients, MonoTime d) override {
        return lead_to(core_, std::move(target), clients, d);
    }
    Task<Result<Standing>> check(MonoTime d) override { return look(core_, d); }

  private:
    CorePtr core_;
};

}  // namespace

std::string Target::text() const {
    return host.find(':') == std::string::npos ? fmt::format("{}:{}", host, port)
                                               : fmt::format("[{}]:{}", host, port);
}

RouterPtr make_pgbouncer(Clock& clock, PgbouncerOptions options, Retarget retarget, Watchdog watchdog) {
    return std::make_shared<Pgbouncer>(
        std::make_shared<const Core>(clock, std::move(options), std::move(retarget), std::move(watchdog)));
}

}  // namespace baton::routing
