// What a guarded server does when a manager orders it.
#include <fmt/format.h>
#include <signal.h>
#include <spdlog/spdlog.h>

#include "base/async.h"
#include "host/guarded.h"
#include "host/own_thread.h"
#include "host/probe.h"
#include "host/wal_past.h"

namespace baton::host {
namespace {

/// How often a condition is looked at; the looks themselves are driven by events.
constexpr milliseconds pace{2};
/// A postmaster that is not seen for so long after its start has ended again.
constexpr seconds to_appear{3};
/// For the next heartbeat's answer, and for peers to vouch.
constexpr seconds to_be_leased{3};
constexpr milliseconds to_remember{5000};
constexpr milliseconds between_progress{500};

MonoTime earlier(MonoTime a, MonoTime b) {
    return std::min(a, b);
}

}  // namespace

Task<agent::Done> Guarded::obey(agent::Order order, Told told) {
    const auto self = shared_from_this();
    const auto deadline = now() + order.deadline;
    agent::Done done{.order = order.id};
    look();
    Result<std::string> result;
    if (const auto fine = guard_.accepts(order, now()); !fine) {
        result = std::unexpected(fine.error());
    } else {
        spdlog::info("{}: order {}", options_.key.text(), agent::to_string(order.verb));
        result = co_await carry_out(order, deadline, told, done);
    }
    if (result) {
        done.detail = std::move(*result);
    } else {
        spdlog::warn("{}: order {}: {}", options_.key.text(), agent::to_string(order.verb),
                     result.error().text());
        done.error = result.error();
    }
    done.status = status();
    co_return done;
}

Task<Result<std::string>> Guarded::carry_out(const agent::Order& order, MonoTime deadline, const Told& told,
                                             agent::Done& done) {
    switch (order.verb) {
        case Verb::start:
            co_return co_await start_server(deadline);
        case Verb::stop:
            co_return co_await stop_server(order.mode, deadline);
        case Verb::restart:
            co_return co_await restart_server(deadline);
        case Verb::reload:
            if (auto sent = postgres_.reload(); !sent) co_return std::unexpected(sent.error());
            co_return "told to read its configuration again";
        case Verb::promote:
            co_return co_await promote_server(deadline);
        case Verb::make_standby:
            co_return co_await make_standby(order, deadline);
        case Verb::rewind:
        case Verb::clone:
            co_return co_await do_job(order, deadline, told);
        case Verb::fence:
            co_return co_await fence_server("by order of a manager", deadline);
        case Verb::unfence: {
            apply(guard_.let_go(now()));
            if (auto kept = co_await durable(deadline); !kept) co_return std::unexpected(kept.error());
            co_return "nothing but its own state holds it any more";
        }
        case Verb::control_data:
            if (auto read = co_await refresh_control(); !read) co_return std::unexpected(read.error());
            co_return "";
        case Verb::stand_clear:
            co_return co_await stand_clear(order.on, deadline);
        case Verb::ask: {
            const auto answer = co_await probe_server(around_.clock, order.upstream.host, order.upstream.port,
                                                      order.deadline);
            if (!answer) co_return std::unexpected(answer.error());
            co_return fmt::format("{} answers", order.upstream.text());
        }
        case Verb::wal_past:
            co_return co_await look_past(order, done);
        case Verb::route:
        case Verb::hold:
            break;
    }
    co_return fail(ErrorKind::unsupported, "this is no order for a server", options_.key.text());
}

// ---- up and down

Task<Result<void>> Guarded::until(std::function<bool()> so, MonoTime deadline, std::string what) {
    while (!so()) {
        if (stopped_) co_return fail(ErrorKind::cancelled, "the agent ends", options_.key.text());
        if (now() >= deadline) co_return fail(ErrorKind::timeout, std::move(what), options_.key.text());
        co_await around_.clock.sleep_for(pace);
    }
    co_return Result<void>{};
}

Task<Result<void>> Guarded::durable(MonoTime deadline) {
    auto done = co_await until([this] { return guard_.durable(); }, std::max(deadline, now() + to_remember),
                               "the state file cannot be written");
    if (!done && !around_.trouble().empty()) done.error().message += ": " + around_.trouble();
    co_return done;
}

/// Precondition: Deed::start or Deed::restart has begun, and no process is left.
Task<Result<void>> Guarded::bring_up(MonoTime deadline) {
    const auto by = earlier(deadline, now() + options_.start_timeout);
    const auto failed = [this](std::string why, const std::string& words) {
        if (!words.empty()) why += ": " + words;
        apply(guard_.start_failed(why, now()));
        return fail(ErrorKind::io, std::move(why), options_.key.text());
    };
    if (auto started = co_await postgres_.start(); !started) {
        const auto words = co_await postgres_.why_down();
        co_return failed(started.error().message, words);
    }
    look();
    bool seen = false;
    auto appear = earlier(by, now() + to_appear);
    const auto over = [&] {
        const bool alive = guard_.sight().postmaster;
        const bool ended = (seen && !alive) || (!seen && now() >= appear);
        seen = seen || alive;
        return guard_.state() == ServerState::running || guard_.kept().hold != Hold::none || ended;
    };
    do {
        if (auto waited = co_await until(over, by, "it was started and is not ready yet"); !waited)
            co_return waited;
        appear = earlier(by, now() + to_appear);
    } while (!seen && now() < by && co_await postgres_.begins_yet());
    if (guard_.state() == ServerState::running) co_return Result<void>{};
    if (guard_.kept().hold != Hold::none)
        co_return fail(ErrorKind::conflict, "it was stopped again: " + guard_.kept().hold_reason,
                       options_.key.text());
    const auto words = co_await postgres_.why_down();
    co_return failed("it did not start", words);
}

/// Precondition: Deed::stop or Deed::restart has begun.
Task<Result<void>> Guarded::bring_down(std::string mode, MonoTime deadline) {
    if (gone()) co_return Result<void>{};
    if (guard_.sight().postmaster) {
        if (auto sent = co_await postgres_.stop(mode); !sent && guard_.sight().postmaster)
            co_return std::unexpected(sent.error());
    }
    co_return co_await until([this] { return gone(); }, earlier(deadline, now() + options_.stop_timeout),
                             fmt::format("it is still stopping (mode {})", mode));
}

/// A server that would be stopped as soon as it runs is not started: a manager must grant its lease, or
/// everybody vouch who could have been promoted meanwhile.
Task<Result<void>> Guarded::leased(MonoTime deadline) {
    const auto holds = [this] {
        apply(guard_.ask_for_lease(now()));
        return guard_.lease_holds(now()) || guard_.kept().hold != Hold::none;
    };
    auto done = co_await until(holds, earlier(deadline, now() + to_be_leased),
                               "its lease does not hold: no manager grants it, and not everybody vouches who "
                               "could have been promoted in its place");
    if (!done && done.error().kind == ErrorKind::timeout) done.error().kind = ErrorKind::conflict;
    if (done && guard_.kept().hold != Hold::none)
        done =
            fail(ErrorKind::conflict, "it was held again: " + guard_.kept().hold_reason, options_.key.text());
    co_return done;
}

Task<Result<std::string>> Guarded::start_server(MonoTime deadline) {
    apply(guard_.begin(Deed::start, now()));
    auto done = co_await durable(deadline);
    if (done) done = co_await leased(deadline);
    if (done) done = co_await bring_up(deadline);
    apply(guard_.end(now()));
    if (!done) co_return std::unexpected(done.error());
    co_return "it runs";
}

Task<Result<std::string>> Guarded::stop_server(std::string mode, MonoTime deadline) {
    apply(guard_.begin(Deed::stop, now()));
    auto done = co_await bring_down(mode, deadline);
    if (done) apply(guard_.hold(Hold::down, "it was stopped by order", now()));
    apply(guard_.end(now()));
    if (done) done = co_await durable(deadline);
    if (!done) co_return std::unexpected(done.error());
    // What the managers want to know of a stopped server is where its WAL ends.
    if (auto read = co_await refresh_control(); !read) co_return std::unexpected(read.error());
    co_return "it is down, and is kept so";
}

Task<Result<std::string>> Guarded::restart_server(MonoTime deadline) {
    apply(guard_.begin(Deed::restart, now()));
    auto done = co_await durable(deadline);
    if (done) done = co_await bring_down("fast", deadline);
    if (done) done = co_await bring_up(deadline);
    apply(guard_.end(now()));
    if (!done) co_return std::unexpected(done.error());
    co_return "it runs";
}

Task<Result<std::string>> Guarded::fence_server(std::string why, MonoTime deadline) {
    apply(guard_.fence(why, now()));
    if (auto down = co_await until([this] { return gone(); }, deadline, "processes of it survive SIGKILL");
        !down)
        co_return std::unexpected(down.error());
    if (auto kept = co_await durable(deadline); !kept) co_return std::unexpected(kept.error());
    co_return "it is down, and starts as a standby only";
}

// ---- roles

Task<Result<std::string>> Guarded::promote_server(MonoTime deadline) {
    // From here on it promises nothing: a promise between now and the promotion would be a lie.
    apply(guard_.stand_clear(now()));
    if (auto kept = co_await durable(deadline); !kept) co_return std::unexpected(kept.error());
    if (auto asked = co_await postgres_.promote(); !asked) co_return std::unexpected(asked.error());
    co_return "asked to promote itself";
}

Task<Result<std::string>> Guarded::stand_clear(bool on, MonoTime deadline) {
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

Task<Result<void>> Guarded::write_standby(InstanceKey upstream, std::string slot) {
    // A disk that hangs must not take the agent's thread along.
    const auto postgres = std::make_shared<Postgres>(postgres_);
    co_return co_await on_own_thread<Result<void>>(
        around_.clock, [postgres, upstream = std::move(upstream), slot = std::move(slot)] {
            return postgres->write_standby(upstream, slot);
        });
}

Task<Result<std::string>> Guarded::make_standby(const agent::Order& order, MonoTime deadline) {
    const bool streams = guard_.sight().postmaster && guard_.sight().standby_signal;
    if (streams) {
        if (auto written = co_await write_standby(order.upstream, order.slot); !written)
            co_return std::unexpected(written.error());
        apply(guard_.given_role(now()));
        if (auto told = postgres_.reload(); !told) co_return std::unexpected(told.error());
        co_return fmt::format("it follows {} now", order.upstream.text());
    }
    if (guard_.sight().postmaster) {
        if (auto stopped = co_await stop_server("fast", deadline); !stopped) co_return stopped;
    }
    co_return co_await follow_as_standby(order, deadline);
}

/// Precondition: no process is left. A job that is under way goes over into the start.
Task<Result<std::string>> Guarded::follow_as_standby(const agent::Order& order, MonoTime deadline) {
    // Nobody starts it while its files are half written: what holds it is lifted after that.
    apply(guard_.begin(Deed::job, now()));
    auto done = co_await write_standby(order.upstream, order.slot);
    // Whoever has started it meanwhile without standby.signal runs a primary. From here on it is a standby.
    const auto alone = [this] {
        look();
        return !postgres_.intruded();
    };
    if (done) done = co_await until(alone, deadline, "somebody else starts it, again and again");
    if (!done) {
        apply(guard_.end(now()));
        look();
        co_return std::unexpected(done.error());
    }
    apply(guard_.begin(Deed::start, now()));
    look();
    apply(guard_.given_role(now()));
    done = co_await durable(deadline);
    if (done) done = co_await bring_up(deadline);
    apply(guard_.end(now()));
    if (!done) co_return std::unexpected(done.error());
    co_return fmt::format("it runs as a standby of {}", order.upstream.text());
}

// ---- jobs

Task<Result<std::string>> Guarded::do_job(const agent::Order& order, MonoTime deadline, const Told& told) {
    const auto name = agent::to_string(order.verb);
    if (!gone()) {
        if (auto stopped = co_await stop_server("fast", deadline); !stopped) co_return stopped;
    }
    const auto before = guard_.kept().quarantine;
    apply(guard_.begin(Deed::job, now()));
    apply(guard_.quarantine(fmt::format("a {} from {} was interrupted", name, order.upstream.text()), now()));
    if (auto kept = co_await durable(deadline); !kept) {
        apply(guard_.end(now()));
        co_return std::unexpected(kept.error());
    }
    job_ = agent::Job{.order = order.id, .verb = std::string(name)};
    job_began_ = now();
    job_control_ = std::make_shared<JobControl>(deadline, [this, told](const agent::Job& job) {
        const agent::Job mine{.order = job_->order, .verb = job_->verb};
        const bool same_phase = job.phase == job_->phase;
        job_ = job;
        job_->order = mine.order;
        job_->verb = mine.verb;
        if (same_phase && now() - job_told_ < between_progress) return;
        job_told_ = now();
        auto report = *job_;
        report.running = now() - job_began_;
        told(report);
    });
    const auto control = job_control_;
    const auto end = order.verb == Verb::rewind ? co_await around_.jobs.rewind(options_, order, *control)
                                                : co_await around_.jobs.clone(options_, order, *control);
    if (end.error) {
        job_.reset();
        job_control_.reset();
        const auto why =
            fmt::format("a {} from {} failed: {}", name, order.upstream.text(), end.error->message);
        apply(guard_.quarantine(end.untouched ? before : why, now()));
        apply(guard_.end(now()));
        look();
        co_return std::unexpected(*end.error);
    }
    if (const auto control_data = co_await postgres_.control_data()) {
        control_ = *control_data;
        if (auto known = guard_.identified(control_.system_identifier, true, now())) apply(*known);
    }
    auto starts = *job_;
    starts.phase = "starting as a standby";
    control->report(starts);
    job_control_.reset();
    // What was copied took its time; to come up gets as much as any start.
    auto follows = co_await follow_as_standby(order, std::max(deadline, now() + options_.start_timeout));
    job_.reset();
    if (follows && !end.detail.empty()) *follows += "; " + end.detail;
    co_return follows;
}

void Guarded::cancel(uint64_t order) {
    if (job_ && job_->order == order && job_control_) job_control_->cancel();
}

Task<Result<std::string>> Guarded::look_past(const agent::Order& order, agent::Done& done) {
    auto answer = co_await read_wal_past(around_.clock, around_.processes, options_, order);
    if (!answer) co_return std::unexpected(answer.error());
    done.past = answer->past;
    co_return answer->commits;
}

}  // namespace baton::host
