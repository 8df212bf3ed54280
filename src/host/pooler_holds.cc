#include "host/pooler_holds.h"

#include <fmt/format.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

#include <algorithm>
#include <set>

#include "agent/codec.h"
#include "base/async.h"
#include "base/text.h"
#include "host/files.h"
#include "host/own_thread.h"
#include "host/pgbouncer_file.h"
#include "host/pooler_console.h"
#include "host/probe.h"

namespace baton::host {
namespace {

constexpr milliseconds longest_span = std::chrono::hours(1);
constexpr seconds console_limit{2};
constexpr milliseconds look_limit{1000};
constexpr seconds try_again{1};
/// After that somebody has to look at the pooler.
constexpr int tries = 600;

struct Hold {
    agent::Order order;
    MonoTime until{};
    uint64_t turn = 0;  ///< a later order about the same pooler ends the watch of this one
};

std::string field(const std::map<std::string, std::string>& row, const std::string& name) {
    const auto at = row.find(name);
    return at == row.end() ? std::string() : at->second;
}

bool not_paused(const Error& e) {
    return e.kind == ErrorKind::sql && e.message.find("not paused") != std::string::npos;
}

}  // namespace

struct PoolerHolds::House : std::enable_shared_from_this<House> {
    House(Clock& c, std::vector<PoolerOptions> p, const std::string& state_directory)
        : clock(c), poolers(std::move(p)), file(state_directory + "/poolers.held"), written(c) {}

    Clock& clock;
    std::vector<PoolerOptions> poolers;
    std::string file;
    std::map<std::string, Hold> holds;  ///< by the pooler's name
    uint64_t turns = 0;
    uint64_t version = 0;  ///< of `holds`
    uint64_t on_disk = 0;
    bool writing = false;
    std::string trouble;
    Signal written;
    bool stopped = false;

    const PoolerOptions* find(const std::string& name) const {
        const auto at = std::ranges::find(poolers, name, &PoolerOptions::name);
        return at == poolers.end() ? nullptr : &*at;
    }
    void set(const std::string& name, agent::Order order, MonoTime until);
    void drop(const std::string& name);
    std::string text() const;
    void take_up(const std::string& text);
    void keep();
    static Task<void> write(HousePtr house);
    static Task<void> read(HousePtr house);
    static Task<void> watch(HousePtr house, std::string name, uint64_t turn);
    static Task<Result<std::string>> let_go(HousePtr house, PoolerOptions pooler, agent::Order order);
    static Task<Result<std::string>> lead(HousePtr house, PoolerOptions pooler, agent::Order order,
                                          PoolerRows held);
};

PoolerHolds::PoolerHolds(Clock& clock, std::vector<PoolerOptions> poolers, std::string state_directory)
    : house_(std::make_shared<House>(clock, std::move(poolers), state_directory)) {}

PoolerHolds::~PoolerHolds() {
    house_->stopped = true;
}

void PoolerHolds::start() {
    if (!house_->poolers.empty()) spawn(house_->clock.executor(), House::read(house_));
}

Task<Result<std::string>> PoolerHolds::obey(agent::Order order, MonoTime deadline) {
    const auto house = house_;
    const auto* pooler = house->find(order.router);
    if (pooler == nullptr)
        co_return fail(ErrorKind::not_found, "this agent's configuration has no such PgBouncers entry",
                       order.router);
    if (order.on && (order.span <= milliseconds(0) || order.span > longest_span))
        co_return fail(ErrorKind::invalid_argument, "clients are held for a moment, an hour at most",
                       order.router);
    const auto name = order.router;
    if (!order.on) {
        house->drop(name);
        co_return "its clients are nobody's business any more";
    }
    // Who could not let them go must not say that he will.
    const auto until = house->clock.now() + order.span;
    const auto reached = co_await ask_pooler(house->clock, {pooler->socket_directory, pooler->port},
                                             "SHOW DATABASES", deadline);
    if (!reached) co_return std::unexpected(reached.error());
    house->set(name, std::move(order), until);
    const auto wanted = house->version;
    while (house->on_disk < wanted && house->trouble.empty()) {
        if (!co_await house->written.wait_until(deadline))
            co_return fail(ErrorKind::timeout, "it could not be written in time", house->file);
    }
    if (house->on_disk < wanted) co_return fail(ErrorKind::io, house->trouble, house->file);
    co_return "its clients go on by themselves if need be";
}

void PoolerHolds::House::set(const std::string& name, agent::Order order, MonoTime until) {
    const auto turn = ++turns;
    holds[name] = {std::move(order), until, turn};
    keep();
    spawn(clock.executor(), watch(shared_from_this(), name, turn));
}

void PoolerHolds::House::drop(const std::string& name) {
    if (holds.erase(name) != 0) keep();
}

// ---- the file: the boot, then a line for each pooler

std::string PoolerHolds::House::text() const {
    std::string out = clock.boot() + "\n";
    for (const auto& [name, hold] : holds)
        out += fmt::format("{} {}\n", hold.until.time_since_epoch().count(), agent::to_text(hold.order));
    return out;
}

void PoolerHolds::House::take_up(const std::string& text) {
    const auto lines = split(text, '\n');
    // Of an earlier boot no pooler is left either.
    if (lines.empty() || lines.front() != clock.boot()) return;
    for (const auto& line : lines) {
        const auto at = line.find(' ');
        const auto until = at == std::string::npos ? std::nullopt : parse_int(line.substr(0, at));
        if (!until) continue;
        const auto frame = agent::parse_frame(line.substr(at + 1));
        const auto* order = frame ? std::get_if<agent::Order>(&*frame) : nullptr;
        if (order == nullptr || find(order->router) == nullptr || holds.contains(order->router)) continue;
        set(order->router, *order, MonoTime(Duration(*until)));
    }
}

void PoolerHolds::House::keep() {
    ++version;
    if (!std::exchange(writing, true)) spawn(clock.executor(), write(shared_from_this()));
}

Task<void> PoolerHolds::House::write(HousePtr house) {
    while (house->on_disk < house->version && !house->stopped) {
        const auto about = house->version;
        const auto done = co_await on_own_thread<Result<void>>(
            house->clock, [file = house->file, none = house->holds.empty(), text = house->text()] {
                if (!none) return write_durably(file, text);
                ::unlink(file.c_str());
                return Result<void>{};
            });
        house->trouble = done ? std::string() : done.error().text();
        if (done) house->on_disk = about;
        house->written.notify();
        if (!done) break;
    }
    house->writing = false;
}

Task<void> PoolerHolds::House::read(HousePtr house) {
    const auto text = co_await on_own_thread<Result<std::string>>(
        house->clock, [file = house->file] { return read_whole(file); });
    if (text && !house->stopped) house->take_up(*text);
}

// ---- when their time is up

Task<void> PoolerHolds::House::watch(HousePtr house, std::string name, uint64_t turn) {
    const auto mine = [&]() -> const Hold* {
        const auto at = house->holds.find(name);
        return at == house->holds.end() || at->second.turn != turn || house->stopped ? nullptr : &at->second;
    };
    const auto until = mine() ? mine()->until : MonoTime{};
    co_await house->clock.sleep_until(until);
    std::string last;
    for (int i = 0; i < tries; ++i) {
        const auto* hold = mine();
        if (hold == nullptr) co_return;
        const auto done = co_await let_go(house, *house->find(name), hold->order);
        if (mine() == nullptr) co_return;
        if (done) {
            spdlog::warn("{}: whoever held its clients is gone: {}", name, *done);
            break;
        }
        if (done.error().text() != last)
            spdlog::error("{}: its clients are held for too long, and cannot be let go: {}", name,
                          done.error().text());
        last = done.error().text();
        co_await house->clock.sleep_for(try_again);
    }
    if (mine() != nullptr) house->drop(name);
}

/// Where the server that they were led to does not answer, and the other one does, that is the primary now or
/// will be: a switchover stops the old one before it promotes anybody.
Task<Result<std::string>> PoolerHolds::House::lead(HousePtr house, PoolerOptions pooler, agent::Order order,
                                                   PoolerRows held) {
    std::set<std::pair<std::string, uint16_t>> targets;
    for (const auto& row : held)
        targets.emplace(field(row, "host"),
                        static_cast<uint16_t>(parse_uint(field(row, "port")).value_or(0)));
    bool all = true;
    for (const auto& [host, port] : targets)
        all = (co_await probe_server(house->clock, host, port, look_limit)).has_value() && all;
    if (all || !order.upstream.valid()) co_return "they go on where they were";
    const auto& to = order.upstream;
    if (const auto other = co_await probe_server(house->clock, to.host, to.port, look_limit); !other)
        co_return fmt::format("they go on where they were, although nobody answers there nor at {}",
                              to.text());
    auto written = co_await on_own_thread<Result<std::string>>(house->clock, [pooler, order] {
        return retarget_file(pooler.databases_file, pooler.pid_file, order.databases, order.upstream);
    });
    if (!written) co_return written;
    const auto read = co_await ask_pooler(house->clock, {pooler.socket_directory, pooler.port}, "RELOAD",
                                          house->clock.now() + console_limit);
    if (!read) co_return std::unexpected(read.error());
    co_return "they are led to " + to.text();
}

Task<Result<std::string>> PoolerHolds::House::let_go(HousePtr house, PoolerOptions pooler,
                                                     agent::Order order) {
    const auto ask = [house, pooler](std::string command) {
        return ask_pooler(house->clock, {pooler.socket_directory, pooler.port}, std::move(command),
                          house->clock.now() + console_limit);
    };
    auto held = co_await ask("SHOW DATABASES");
    if (!held) co_return std::unexpected(held.error());
    const auto& wanted = order.databases;
    // A PAUSE of everything does not show in the list.
    std::erase_if(*held, [&](const auto& row) {
        const auto name = field(row, "name");
        const bool ours =
            wanted.empty() ? name != "pgbouncer"
                           : std::ranges::find(wanted, name) != wanted.end() && field(row, "paused") != "0";
        return !ours;
    });
    if (held->empty()) co_return "they had gone on already";
    auto led = co_await lead(house, pooler, order, *held);
    if (!led) co_return led;
    std::vector<std::string> commands;
    for (const auto& row : *held)
        commands.push_back("RESUME " + pooler_name(field(row, "name")));
    if (wanted.empty()) commands = {"RESUME"};
    for (auto& command : commands) {
        const auto done = co_await ask(std::move(command));
        if (!done && !not_paused(done.error())) co_return std::unexpected(done.error());
    }
    co_return led;
}

}  // namespace baton::host
