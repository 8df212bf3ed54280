// What the agent of a modelled host does when a manager orders it, as host/guarded_orders.cc does.
#include <fmt/format.h>

#include "sim/agents.h"
#include "sim/host_agent.h"

namespace baton::sim {
namespace {

using agent::Verb;
using host::Deed;
using topology::Hold;
using topology::ServerState;

constexpr milliseconds pace{2};
constexpr seconds starts_within{60};
constexpr milliseconds to_remember{5000};
constexpr seconds to_be_leased{3};
constexpr Duration least_copy = milliseconds(300);
constexpr Duration most_copy = milliseconds(3000);

}  // namespace

Task<void> HostAgent::obey(agent::Order order) {
    const auto wire = wire_;
    agent::Done done{.order = order.id};
    look();
    Ended ended;
    if (order.epoch < epoch_) {
        ended = fail(ErrorKind::conflict, "a manager of a newer epoch has been heard since");
    } else if (hear_epoch(order.epoch); !guard_.accepts(order, now())) {
        ended = std::unexpected(guard_.accepts(order, now()).error());
    } else {
        host_.ground.trace.note("agent " + name(),
                                fmt::format("order {}{}", to_string(order.verb), order.on ? "" : " off"));
        ended = co_await carry_out(order, now() + order.deadline, done);
    }
    if (ended) {
        done.detail = std::move(*ended);
    } else {
        host_.ground.trace.note("agent " + name(),
                                fmt::format("{}: {}", to_string(order.verb), ended.error().message));
        done.error = ended.error();
    }
    done.status = status();
    if (wire && wire == wire_) wire->send_up(std::move(done));
    say();
}

Task<HostAgent::Ended> HostAgent::carry_out(const agent::Order& order, MonoTime deadline, agent::Done& done) {
    switch (order.verb) {
        case Verb::start:
            co_return co_await start_server(deadline);
        case Verb::stop:
            co_return co_await stop_server(order.mode, deadline);
        case Verb::fence:
            co_return co_await fence(deadline);
        case Verb::unfence:
            apply(guard_.let_go(now()));
            if (auto kept = co_await durable(deadline); !kept) co_return std::unexpected(kept.error());
            co_return "";
        case Verb::stand_clear:
            co_return co_await stand_clear(order.on, deadline);
        case Verb::make_standby:
            co_return co_await make_standby(order, deadline);
        case Verb::rewind:
        case Verb::clone:
            co_return co_await job(order, deadline);
        case Verb::control_data:
            co_return "";
        case Verb::wal_past:
            co_return look_past(order, done);
        default:
            co_return fail(ErrorKind::unsupported, "is not modelled", name());
    }
}

Task<Result<void>> HostAgent::until(std::function<bool()> so, MonoTime deadline, std::string what) {
    while (!so()) {
        if (now() >= deadline) co_return fail(ErrorKind::timeout, std::move(what), name());
        co_await process_.sleep_for(pace);
    }
    co_return Result<void>{};
}

Task<Result<void>> HostAgent::durable(MonoTime deadline) {
    co_return co_await until([this] { return guard_.durable(); }, std::max(deadline, now() + to_remember),
                             "the state file cannot be written");
}

Task<Result<void>> HostAgent::bring_up(MonoTime deadline) {
    host_.server.start();
    look();
    const auto over = [this] {
        return guard_.state() == ServerState::running || guard_.kept().hold != Hold::none || gone();
    };
    if (auto up = co_await until(over, std::min(deadline, now() + starts_within), "it is not ready yet"); !up)
        co_return up;
    if (guard_.state() == ServerState::running) co_return Result<void>{};
    if (guard_.kept().hold == Hold::none) apply(guard_.start_failed("it did not start", now()));
    co_return fail(ErrorKind::io, "it did not start", name());
}

Task<Result<void>> HostAgent::leased(MonoTime deadline) {
    const auto holds = [this] {
        apply(guard_.ask_for_lease(now()));
        return guard_.lease_holds(now()) || guard_.kept().hold != Hold::none;
    };
    auto done = co_await until(holds, std::min(deadline, now() + to_be_leased), "its lease does not hold");
    if (done && guard_.kept().hold != Hold::none)
        done = fail(ErrorKind::conflict, "it was held again", name());
    co_return done;
}

Task<HostAgent::Ended> HostAgent::start_server(MonoTime deadline) {
    apply(guard_.begin(Deed::start, now()));
    auto done = co_await durable(deadline);
    if (done) done = co_await leased(deadline);
    if (done) done = co_await bring_up(deadline);
    apply(guard_.end(now()));
    if (!done) co_return std::unexpected(done.error());
    co_return "it runs";
}

Task<HostAgent::Ended> HostAgent::stop_server(std::string mode, MonoTime deadline) {
    apply(guard_.begin(Deed::stop, now()));
    if (mode == "immediate") {
        end_server({});
    } else if (host_.server.listens()) {
        host_.server.shutdown(mode == "fast");
    }
    auto done = co_await until([this] { return gone(); }, deadline, "it is still stopping");
    if (done) apply(guard_.hold(Hold::down, "it was stopped by order", now()));
    apply(guard_.end(now()));
    if (done) done = co_await durable(deadline);
    if (!done) co_return std::unexpected(done.error());
    co_return "it is down, and is kept so";
}

Task<HostAgent::Ended> HostAgent::fence(MonoTime deadline) {
    apply(guard_.fence("by order of a manager", now()));
    if (auto down = co_await until([this] { return gone(); }, deadline, "it survives SIGKILL"); !down)
        co_return std::unexpected(down.error());
    if (auto kept = co_await durable(deadline); !kept) co_return std::unexpected(kept.error());
    co_return "it is down, and starts as a standby only";
}

Task<HostAgent::Ended> HostAgent::stand_clear(bool on, MonoTime deadline) {
    if (!on) {
        apply(guard_.vouch_again(now()));
        co_return "it vouches again";
    }
    apply(guard_.stand_clear(now()));
    const auto clear = co_await until([this] { return guard_.cleared(now()); }, deadline,
                                      "its last promise has not run out, or is not forgotten on disk yet");
    if (!clear) co_return std::unexpected(clear.error());
    co_return "it promises nothing, and may be promoted";
}

Task<HostAgent::Ended> HostAgent::make_standby(const agent::Order& order, MonoTime deadline) {
    if (guard_.sight().postmaster && guard_.sight().standby_signal) {
        apply(guard_.given_role(now()));
        host_.server.follow({.upstream = order.upstream, .slot = order.slot}, [](const auto&) {});
        co_return "it follows";
    }
    if (guard_.sight().postmaster) {
        if (auto stopped = co_await stop_server("fast", deadline); !stopped) co_return stopped;
    }
    co_return co_await follow_as_standby(order, deadline);
}

Task<HostAgent::Ended> HostAgent::follow_as_standby(const agent::Order& order, MonoTime deadline) {
    apply(guard_.begin(Deed::job, now()));
    co_await process_.sleep_for(milliseconds(2));
    host_.server.become_standby_of(order.upstream, order.slot);
    apply(guard_.begin(Deed::start, now()));
    look();
    apply(guard_.given_role(now()));
    auto done = co_await durable(deadline);
    if (done) done = co_await bring_up(deadline);
    apply(guard_.end(now()));
    if (!done) co_return std::unexpected(done.error());
    co_return "it runs as a standby";
}

/// A rewind or a clone: it takes its time, and the upstream must be there until its end.
Task<HostAgent::Ended> HostAgent::job(const agent::Order& order, MonoTime deadline) {
    if (!gone()) {
        if (auto stopped = co_await stop_server("fast", deadline); !stopped) co_return stopped;
    }
    const auto what = std::string(to_string(order.verb));
    const auto before = guard_.kept().quarantine;
    apply(guard_.begin(Deed::job, now()));
    apply(guard_.quarantine(fmt::format("a {} from {} was interrupted", what, order.upstream.text()), now()));
    auto kept = co_await durable(deadline);
    if (kept) {
        job_ = agent::Job{.order = order.id, .verb = what};
        co_await process_.sleep_for(random_.between(least_copy, most_copy));
        job_.reset();
        auto* from = host_.ground.server(order.upstream);
        if (from == nullptr || !host_.server.take_copy_of(*from)) {
            apply(guard_.quarantine(before, now()));
            kept = fail(ErrorKind::unreachable, "the copy comes to nothing", name());
        }
    }
    if (!kept) {
        apply(guard_.end(now()));
        look();
        co_return std::unexpected(kept.error());
    }
    co_return co_await follow_as_standby(order, std::max(deadline, now() + starts_within));
}

HostAgent::Ended HostAgent::look_past(const agent::Order& order, agent::Done& done) const {
    const auto& s = host_.server;
    auto branch = s.branch();
    while (branch && branch->timeline > order.timeline)
        branch = branch->parent;
    if (!branch || branch->timeline != order.timeline)
        return fail(ErrorKind::unsupported, "there is no WAL of that timeline", name());
    topology::WalPast past{.end = std::max(order.position, s.position())};
    for (const auto& row : branch->rows)
        past.commits += row.end > order.position && row.end <= s.position() ? 1 : 0;
    done.past = past;
    return fmt::format("{} commits", past.commits);
}

}  // namespace baton::sim
