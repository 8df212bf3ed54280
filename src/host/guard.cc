#include "host/guard.h"

#include <fmt/format.h>

#include "base/defect.h"

namespace baton::host {
namespace {

/// A wake-up that comes so much too late was none: the agent, or its host, was asleep.
constexpr milliseconds late_after{500};
constexpr milliseconds ask_every{250};
constexpr milliseconds ask_every_while_frozen{100};
constexpr milliseconds kill_again{20};
constexpr milliseconds stopped_is_hung_after{1000};
constexpr seconds young{10};

}  // namespace

void Actions::operator+=(Actions more) {
    freeze = freeze || more.freeze;
    thaw = thaw || more.thaw;
    quit = quit || more.quit;
    kill = kill || more.kill;
    save = save || more.save;
    ask = ask || more.ask;
    say = say || more.say;
    if (!why.empty() && !more.why.empty()) why += "; ";
    why += more.why;
}

Guard::Guard(GuardOptions options, Kept kept, uint64_t epoch, MonoTime now)
    : options_(std::move(options)),
      kept_(std::move(kept)),
      had_manager_(epoch > 0),
      said_hold_(kept_.hold),
      acknowledged_(kept_.grant),
      state_since_(now) {
    holder_.restore(defect("forget-grant-at-restart") ? agent::Grant{} : kept_.grant, epoch);
    voucher_.started(now);
    if (kept_.clear_until != MonoTime{}) voucher_.restore_clear(kept_.clear_until);
}

Actions Guard::hold_changed() {
    hold_version_ = ++version_;
    return {.save = true};
}

Actions Guard::grant_changed(const agent::Grant& grant) {
    kept_.grant = grant;
    grant_version_ = ++version_;
    return {.save = true};
}

void Guard::note_lateness(MonoTime now) {
    if (wake_at_ != MonoTime::max() && now > wake_at_ + late_after) late_ = true;
}

void Guard::wake_by(MonoTime t) {
    wake_at_ = std::min(wake_at_, t);
}

// ---- events

Actions Guard::saw(const Sight& sight, MonoTime now) {
    note_lateness(now);
    Actions a;
    const auto before = std::exchange(sight_, sight);
    const bool first = !std::exchange(looked_, true);
    note_birth_and_death(before, now);
    if (first && sight_.postmaster) born_ = MonoTime{};
    if (!sight_.postmaster || !sight_.stopped) stopped_since_.reset();
    if (sight_.postmaster && sight_.stopped && !stopped_since_) stopped_since_ = now;
    const auto standby = [](const Sight& s) { return s.postmaster && s.standby_signal; };
    // A standby is bound by nothing, and what bound it as a primary must not bind it after its promotion.
    if (standby(sight_) && !standby(before) && kept_.grant.epoch != 0) {
        holder_.reset();
        pending_sent_.reset();
        a += grant_changed({});
    }
    if (standby(before) && is_primary()) a.say = true;
    if (sight_.stuck && !before.stuck) {
        a += {.why = fmt::format(
                  "{}: a disk holds killed processes in the kernel; they end when it answers, and "
                  "run no more",
                  options_.key.text())};
    }
    a += settle(now);
    return a;
}

Actions Guard::intruded() const {
    return {.kill = true,
            .why = fmt::format("{} was started while it is being rewound or made anew: killing it",
                               options_.key.text())};
}

void Guard::note_birth_and_death(const Sight& before, MonoTime now) {
    if (sight_.postmaster && (!before.postmaster || before.pid != sight_.pid)) {
        born_ = now;
        let_go_ = false;
        silent_since_.reset();
    }
    if (!before.postmaster || sight_.postmaster) return;
    silent_since_.reset();
    const bool meant = deed_ != Deed::none || kept_.hold != Hold::none || before.phase == Phase::stopping;
    if (meant) return;
    const bool soon = born_ && now - *born_ < young;
    if (soon) ++crashes_;
    last_failure_ =
        soon ? fmt::format("it died {} ms after its start", to_ms(now - *born_)) : "its postmaster died";
}

Actions Guard::probed(bool answered, MonoTime asked, MonoTime now) {
    note_lateness(now);
    if (answered) {
        silent_since_.reset();
    } else if (!silent_since_ && sight_.postmaster) {
        silent_since_ = asked;
    }
    return settle(now);
}

Actions Guard::answered(MonoTime sent, const agent::Grant& grant, MonoTime now) {
    note_lateness(now);
    if (defect("lease-from-answer-time")) sent = now;
    Actions a;
    auto next = holder_;
    if (!next.answered(sent, grant)) return settle(now);
    if (grant == holder_.grant()) {
        holder_ = std::move(next);
        return settle(now);
    }
    // A new one is in force when it is on disk. Until then the answer renews the old one: the same manager
    // lets it run.
    if (grant.epoch == holder_.grant().epoch) holder_.answered(sent, holder_.grant());
    const auto age = [](const agent::Grant& g) { return std::pair(g.epoch, g.number); };
    if (grant == kept_.grant) {
        pending_sent_ = std::max(pending_sent_.value_or(sent), sent);
    } else if (!pending_sent_ || age(grant) >= age(kept_.grant)) {
        pending_sent_ = sent;
        a += grant_changed(grant);
    }
    a += settle(now);
    return a;
}

Actions Guard::vouched(const InstanceKey& member, MonoTime asked, milliseconds span, MonoTime now) {
    note_lateness(now);
    holder_.vouched(member, asked, span);
    return settle(now);
}

Actions Guard::tick(MonoTime now) {
    note_lateness(now);
    return settle(now);
}

Actions Guard::saved(uint64_t version, MonoTime now) {
    note_lateness(now);
    Actions a;
    saved_ = std::max(saved_, version);
    if (saved_ >= hold_version_ && said_hold_ != kept_.hold) {
        said_hold_ = kept_.hold;
        a.say = true;
    }
    if (saved_ >= grant_version_ && pending_sent_)
        holder_.answered(*std::exchange(pending_sent_, std::nullopt), kept_.grant);
    if (saved_ >= grant_version_ && acknowledged_ != kept_.grant) {
        acknowledged_ = kept_.grant;
        a.say = true;
    }
    a += settle(now);
    return a;
}

Actions Guard::heard_epoch(uint64_t epoch, MonoTime now) {
    note_lateness(now);
    had_manager_ = true;
    holder_.heard_epoch(epoch);
    // What an order of this epoch changes waits until the epoch is on disk, too.
    ++version_;
    Actions a{.save = true};
    a += settle(now);
    return a;
}

Result<Actions> Guard::identified(const std::string& system_identifier, bool adopt, MonoTime now) {
    Actions a;
    if (kept_.system_identifier == system_identifier) return a;
    if (!kept_.system_identifier.empty() && !adopt) {
        return fail(
            ErrorKind::refused_by_policy,
            fmt::format("the data directory belongs to the cluster with system identifier {}, and this "
                        "agent guarded {} there before; if that is meant: `baton agent --adopt`",
                        system_identifier, kept_.system_identifier),
            options_.key.text());
    }
    kept_.system_identifier = system_identifier;
    ++version_;
    a.save = true;
    a += settle(now);
    return a;
}

Actions Guard::start_failed(std::string why, MonoTime now) {
    ++crashes_;
    last_failure_ = std::move(why);
    auto a = settle(now);
    a.say = true;
    return a;
}

// ---- what follows from all this

Actions Guard::settle(MonoTime now) {
    wake_at_ = MonoTime::max();
    forget_old_crashes(now);
    Actions a;
    // While a job has the directory, its programs run there.
    if (deed_ != Deed::job) {
        a += keep_down(now);
        a += enforce_lease(now);
    }
    if (const auto state = present_state(now); state != state_) {
        a += {.say = true, .why = fmt::format("{} is {}", options_.key.text(), to_string(state))};
        state_ = state;
        state_since_ = now;
    }
    return a;
}

Actions Guard::keep_down(MonoTime now) {
    if (!looked_) return {};
    if (gone()) {
        quit_at_.reset();
        frozen_since_.reset();
        const bool ours = deed_ == Deed::start || deed_ == Deed::restart;
        const bool would_write = sight_.data && !sight_.standby_signal;
        if (ours || !would_write || !had_manager_ || let_go_ || kept_.hold != Hold::none) return {};
        return hold(Hold::down, last_failure_.empty() ? "it was found down" : last_failure_, now);
    }
    const bool forbidden = kept_.hold != Hold::none || !kept_.quarantine.empty();
    // Also while it is being stopped: what runs in spite of a hold was started by somebody else, and does not
    // heed a shutdown that it got before it was there.
    if (sight_.postmaster && !forbidden) return {};
    // Backends that are left without a postmaster go on committing.
    if (quit_at_ && now < *quit_at_ + agent::kill_after) {
        wake_by(*quit_at_ + agent::kill_after);
        return {};
    }
    wake_by(now + kill_again);
    Actions a{.kill = true};
    if (state_ == ServerState::stopping) return a;
    if (!sight_.postmaster) {
        a.why = fmt::format("{}: ending the processes that its postmaster left behind", options_.key.text());
    } else if (!quit_at_) {
        a.why = fmt::format("{} was started although it must not run ({}): killing it", options_.key.text(),
                            kept_.quarantine.empty() ? kept_.hold_reason : kept_.quarantine);
    }
    return a;
}

bool Guard::lease_binds() const {
    return looked_ && is_primary() && kept_.hold == Hold::none;
}

Actions Guard::enforce_lease(MonoTime now) {
    Actions a;
    if (!lease_binds()) {
        late_ = false;
        if (looked_) just_started_ = false;
        return a;
    }
    const auto verdict = holder_.verdict(now);
    if (verdict.deed == agent::LeaseDeed::stop) return lease_ended(now);
    late_ = just_started_ = false;
    if (frozen_since_) {
        a += {.thaw = true, .why = fmt::format("{}: its lease holds, it goes on", options_.key.text())};
        frozen_since_.reset();
    }
    wake_by(verdict.look_again);
    if (verdict.deed == agent::LeaseDeed::ask && (!asked_at_ || now - *asked_at_ >= ask_every)) {
        asked_at_ = now;
        a.ask = true;
    }
    return a;
}

Actions Guard::lease_ended(MonoTime now) {
    if (!frozen_since_ && !late_ && !just_started_) {
        return fence_since("its lease ended: no manager answered, and not every standby vouched",
                           holder_.verdict(now).until, now);
    }
    Actions a;
    if (!frozen_since_) {
        frozen_since_ = now;
        a += {.freeze = true,
              .why =
                  fmt::format("{}: nobody watched its lease, and it has ended; frozen until somebody answers",
                              options_.key.text())};
    } else if (now - *frozen_since_ >= agent::freeze_span) {
        return fence("its lease ended while the agent was away, and nobody answered", now);
    }
    wake_by(*frozen_since_ + agent::freeze_span);
    wake_by(now + ask_every_while_frozen);
    if (!asked_at_ || now - *asked_at_ >= ask_every_while_frozen || a.freeze) {
        asked_at_ = now;
        a.ask = true;
    }
    return a;
}

void Guard::forget_old_crashes(MonoTime now) {
    if (!sight_.postmaster || !born_ || crashes_ == 0) return;
    if (now - *born_ >= young) {
        crashes_ = 0;
    } else {
        wake_by(*born_ + young);
    }
}

bool Guard::unresponsive(MonoTime now) const {
    if (stopped_since_ && now - *stopped_since_ >= stopped_is_hung_after) return true;
    return silent_since_ && sight_.phase != Phase::starting && now - *silent_since_ >= options_.hung_after;
}

ServerState Guard::present_state(MonoTime now) const {
    if (!looked_) return ServerState::unknown;
    if (gone()) return state_when_gone();
    const bool ending = quit_at_ || kept_.hold != Hold::none || !kept_.quarantine.empty() ||
                        deed_ == Deed::stop || sight_.phase == Phase::stopping;
    if (!sight_.postmaster || ending) return ServerState::stopping;
    if (!frozen_since_ && unresponsive(now)) return ServerState::hung;
    return sight_.phase == Phase::ready ? ServerState::running : ServerState::starting;
}

ServerState Guard::state_when_gone() const {
    if (!sight_.data) return ServerState::no_data;
    if (deed_ == Deed::start || deed_ == Deed::restart) return ServerState::starting;
    // The word is a promise, and a promise that is not on disk is none.
    if (saved_ < hold_version_)
        return state_ == ServerState::unknown ? ServerState::unknown : ServerState::stopping;
    return ServerState::down;
}

// ---- peers

agent::Vouched Guard::asked_to_vouch(const agent::Vouch& vouch, MonoTime now) {
    note_lateness(now);
    agent::Vouched answer{.seq = vouch.seq};
    const bool same = vouch.system_identifier.empty() || kept_.system_identifier.empty() ||
                      vouch.system_identifier == kept_.system_identifier;
    if (!same) {
        answer.reason = "it belongs to another cluster";
    } else if (!looked_) {
        answer.reason = "its agent has just started";
    } else if (!sight_.standby_signal) {
        answer.reason = "it is no standby";
    } else if (auto refused = voucher_.promise(now, vouch.span)) {
        answer.reason = std::move(*refused);
    }
    answer.promised = answer.reason.empty();
    return answer;
}

void Guard::remember_clear() {
    kept_.clear_until = voucher_.clear_until() == MonoTime::min() ? MonoTime{} : voucher_.clear_until();
    ++version_;
}

Actions Guard::stand_clear(MonoTime now) {
    note_lateness(now);
    voucher_.stand_clear(now);
    remember_clear();
    Actions a{.save = true, .say = true};
    a += settle(now);
    return a;
}

Actions Guard::vouch_again(MonoTime now) {
    note_lateness(now);
    voucher_.vouch_again();
    remember_clear();
    Actions a{.save = true, .say = true};
    a += settle(now);
    return a;
}

// ---- deeds

Actions Guard::begin(Deed deed, MonoTime now) {
    note_lateness(now);
    Actions a;
    deed_ = deed;
    let_go_ = false;
    if ((deed == Deed::start || deed == Deed::restart) && kept_.hold == Hold::down) {
        kept_.hold = Hold::none;
        kept_.hold_reason.clear();
        a += hold_changed();
    }
    a += settle(now);
    if (deed == Deed::start || deed == Deed::restart) a += ask_for_lease(now);
    return a;
}

Actions Guard::ask_for_lease(MonoTime now) {
    if (lease_holds(now) || (asked_at_ && now - *asked_at_ < ask_every)) return {};
    asked_at_ = now;
    return {.ask = true};
}

Actions Guard::let_go(MonoTime now) {
    let_go_ = gone();
    return hold(Hold::none, "", now);
}

Actions Guard::end(MonoTime now) {
    note_lateness(now);
    deed_ = Deed::none;
    return settle(now);
}

Actions Guard::hold(Hold hold, const std::string& why, MonoTime now) {
    if (hold == Hold::none) crashes_ = 0;
    if (hold == kept_.hold || (hold == Hold::down && kept_.hold == Hold::fenced)) return {};
    kept_.hold = hold;
    kept_.hold_reason = why;
    auto a = hold_changed();
    a += settle(now);
    return a;
}

Actions Guard::fence_since(const std::string& why, MonoTime ended, MonoTime now) {
    Actions a;
    a.why = fmt::format("{} is fenced: {}", options_.key.text(), why);
    // A stopped process does not hear SIGQUIT.
    const bool hears = sight_.postmaster && !sight_.stopped && !frozen_since_;
    a.quit = hears;
    a.kill = sight_.postmaster && !hears;
    quit_at_ = hears ? ended : now - agent::kill_after;
    frozen_since_.reset();
    a += hold(Hold::fenced, why, now);
    a += settle(now);
    return a;
}

Actions Guard::quarantine(const std::string& why, MonoTime now) {
    if (kept_.quarantine == why) return {};
    kept_.quarantine = why;
    auto a = hold_changed();
    a += settle(now);
    return a;
}

Actions Guard::given_role(MonoTime now) {
    Actions a;
    holder_.reset();
    pending_sent_.reset();
    if (kept_.grant.epoch != 0) a += grant_changed({});
    voucher_.vouch_again();
    remember_clear();
    crashes_ = 0;
    kept_.hold = Hold::none;
    kept_.hold_reason.clear();
    kept_.quarantine.clear();
    a += hold_changed();
    a += settle(now);
    return a;
}

}  // namespace baton::host
