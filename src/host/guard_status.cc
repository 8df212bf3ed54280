// What a guard says of its server, and which orders it takes.
#include <fmt/format.h>

#include "host/guard.h"

namespace baton::host {
namespace {

std::string_view name_of(Deed deed) {
    switch (deed) {
        case Deed::start:
            return "a start";
        case Deed::stop:
            return "a stop";
        case Deed::restart:
            return "a restart";
        case Deed::job:
            return "a rewind or clone";
        case Deed::none:
            break;
    }
    return "nothing";
}

std::unexpected<Error> conflict(const InstanceKey& key, std::string why) {
    return fail(ErrorKind::conflict, std::move(why), key.text());
}

constexpr std::string_view stuck_text =
    "processes of it were killed and wait in the kernel for a disk that does not answer; they end when it "
    "does, or with the host";

bool may_always(Verb verb) {
    return verb == Verb::fence || verb == Verb::unfence || verb == Verb::control_data ||
           verb == Verb::stand_clear || verb == Verb::ask || verb == Verb::route || verb == Verb::hold ||
           verb == Verb::wal_past;
}

}  // namespace

agent::Status Guard::status(MonoTime now) const {
    agent::Status s;
    s.key = options_.key;
    s.system_identifier = kept_.system_identifier;
    s.state = state_;
    s.standby_signal = sight_.standby_signal;
    s.postmaster_pid = sight_.postmaster ? sight_.pid : 0;
    s.started_at_us = sight_.postmaster ? sight_.started_at_us : 0;
    s.in_state = now - state_since_;
    s.crashes = crashes_;
    s.last_failure = last_failure_;
    s.hold = said_hold_;
    s.quarantine = kept_.quarantine;
    s.vouches = looked_ && sight_.standby_signal && now < voucher_.promised_until();
    const auto verdict = holder_.verdict(now);
    s.lease.on = holder_.grant().on;
    if (!s.lease.on) return s;
    for (const auto& member : holder_.grant().promotable)
        s.lease.promotable.push_back(member.key);
    s.lease.held_by = verdict.held_by;
    // Never answered is the beginning of time, which is too long ago to subtract from.
    if (verdict.until > now && verdict.until != MonoTime::max()) s.lease.left = verdict.until - now;
    return s;
}

Result<void> Guard::accepts(const agent::Order& order, MonoTime now) const {
    if (may_always(order.verb)) return {};
    if (deed_ != Deed::none)
        return conflict(options_.key, fmt::format("{} is under way; cancel it or wait", name_of(deed_)));
    switch (order.verb) {
        case Verb::start:
        case Verb::restart:
            return accepts_start(order);
        case Verb::promote:
            return accepts_promote(now);
        case Verb::reload:
            if (!sight_.postmaster) return conflict(options_.key, "it does not run");
            return {};
        case Verb::make_standby:
        case Verb::rewind:
        case Verb::clone:
            return accepts_role(order);
        case Verb::stop:
            if (order.mode == "fast" || order.mode == "immediate" || order.mode == "smart") return {};
            return fail(ErrorKind::invalid_argument,
                        "the mode of a stop is fast, immediate or smart, and not " + order.mode,
                        options_.key.text());
        default:
            return {};
    }
}

Result<void> Guard::accepts_start(const agent::Order& order) const {
    if (sight_.stuck) return conflict(options_.key, std::string(stuck_text));
    if (!kept_.quarantine.empty()) {
        return conflict(options_.key,
                        fmt::format("it is in quarantine ({}): rewind or clone it first", kept_.quarantine));
    }
    if (kept_.hold == Hold::fenced) {
        return conflict(options_.key,
                        fmt::format("it is fenced ({}): make it a standby, rewind or clone it, or lift the "
                                    "fence first",
                                    kept_.hold_reason));
    }
    if (!sight_.data) return conflict(options_.key, "it has no data: clone it first");
    if (sight_.postmaster && order.verb == Verb::start) return conflict(options_.key, "it runs already");
    if (crashes_ >= options_.crash_loop_limit) {
        return fail(
            ErrorKind::refused_by_policy,
            fmt::format("it failed {} times in a row ({}); when the cause is gone, unfence it and try "
                        "again",
                        crashes_, last_failure_),
            options_.key.text());
    }
    return {};
}

Result<void> Guard::accepts_promote(MonoTime now) const {
    if (!sight_.postmaster) return conflict(options_.key, "it does not run");
    if (!sight_.standby_signal) return conflict(options_.key, "it is a primary already");
    if (now < voucher_.promised_until()) {
        return conflict(options_.key,
                        fmt::format("it promised the primary's agent not to be promoted for another {} ms",
                                    to_ms(voucher_.promised_until() - now)));
    }
    return {};
}

Result<void> Guard::accepts_role(const agent::Order& order) const {
    if (!order.upstream.valid() || order.upstream == options_.key)
        return fail(ErrorKind::invalid_argument, "whom shall it follow?", options_.key.text());
    if (sight_.stuck) return conflict(options_.key, std::string(stuck_text));
    if (order.verb != Verb::clone && !sight_.data) return conflict(options_.key, "it has no data: clone it");
    if (order.verb == Verb::make_standby && !kept_.quarantine.empty()) {
        return conflict(options_.key,
                        fmt::format("it is in quarantine ({}): rewind or clone it", kept_.quarantine));
    }
    if (order.verb != Verb::make_standby && is_primary())
        return conflict(options_.key, "it runs as a primary: stop or fence it first");
    return {};
}

}  // namespace baton::host
