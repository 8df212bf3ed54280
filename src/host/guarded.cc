#include "host/guarded.h"

#include <fmt/format.h>
#include <signal.h>
#include <spdlog/spdlog.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/async.h"
#include "topology/control_file.h"

namespace baton::host {
namespace {

/// Events tell what happens; a look at this pace finds what no event told.
constexpr milliseconds look_every{500};
constexpr milliseconds look_again_after_kill{1};
constexpr seconds look_around_every{60};

GuardOptions guard_options(const InstanceOptions& o) {
    return {.key = o.key, .hung_after = o.hung_after, .crash_loop_limit = o.crash_loop_limit};
}

}  // namespace

Guarded::Guarded(Surroundings around, const InstanceOptions& options, Kept kept, uint64_t epoch,
                 std::string log_file)
    : around_(std::move(around)),
      options_(options),
      guard_(guard_options(options), std::move(kept), epoch, around_.clock.now()),
      postgres_(around_.clock, around_.processes, options_, std::move(log_file)),
      watch_(around_.clock, options.data_directory, [this] { stir(); }),
      stirred_(around_.clock),
      control_stale_(around_.clock) {}

Task<Result<void>> Guarded::prepare(bool adopt) {
    struct ::stat directory{};
    const auto& path = options_.data_directory;
    if (::stat(path.c_str(), &directory) == 0 && directory.st_uid != ::geteuid()) {
        co_return fail(
            ErrorKind::refused_by_policy,
            fmt::format("the data directory belongs to user {}, and this agent runs as user {}: run "
                        "it as the user that runs the server",
                        directory.st_uid, ::geteuid()),
            path);
    }
    auto version = co_await postgres_.version();
    if (!version) co_return std::unexpected(version.error());
    version_ = std::move(*version);
    const auto sight = postgres_.look();
    if (!sight.data) co_return Result<void>{};
    const auto control = co_await postgres_.control_data();
    if (!control) {
        // A half-copied or damaged directory may have none; it does not start, and a clone heals it.
        if (!guard_.kept().quarantine.empty() || postgres_.damaged()) co_return Result<void>{};
        co_return std::unexpected(control.error());
    }
    control_ = *control;
    const auto known = guard_.identified(control_.system_identifier, adopt, now());
    if (!known) co_return std::unexpected(known.error());
    apply(*known);
    co_return Result<void>{};
}

void Guarded::start() {
    if (guard_.kept().quarantine.empty()) around_.jobs.tidy(options_);
    look();
    spawn(around_.clock.executor(), watch(shared_from_this()));
    spawn(around_.clock.executor(), probe(shared_from_this()));
    spawn(around_.clock.executor(), read_control(shared_from_this()));
    if (options_.control != Control::pg_ctl) spawn(around_.clock.executor(), look_around(shared_from_this()));
}

void Guarded::stop() {
    stopped_ = true;
    if (job_control_) job_control_->cancel();
    watch_.follow_nobody();
    stirred_.notify();
    control_stale_.notify();
}

void Guarded::stir() {
    look();
    stirred_.notify();
}

/// Looks, and does what follows from it.
void Guarded::look() {
    if (stopped_) return;
    if (guard_.deed() == Deed::job) {
        if (postgres_.intruded()) apply(guard_.intruded());
        return;
    }
    watch_.refresh();
    const auto sight = postgres_.look();
    if (!sight.postmaster) {
        watch_.follow_nobody();
    } else if (watch_.follows() != sight.pid) {
        watch_.follow(sight.pid, postgres_.open_pidfd());
    }
    look_soon_.reset();
    apply(guard_.saw(sight, now()));
}

void Guarded::apply(const Actions& actions) {
    if (!actions.why.empty()) spdlog::info("{}", actions.why);
    if (actions.freeze) postgres_.signal_all(SIGSTOP);
    if (actions.thaw) postgres_.signal_all(SIGCONT);
    if (actions.quit) postgres_.signal_postmaster(SIGQUIT);
    if (actions.kill) {
        postgres_.signal_all(SIGKILL);
        look_soon_ = now() + look_again_after_kill;
    }
    if (actions.save) around_.save();
    if (actions.ask) around_.ask(options_.key);
    if (actions.say) around_.say();
    if (guard_.state() != control_at_) control_stale_.notify();
    stirred_.notify();
}

Task<void> Guarded::watch(Self self) {
    auto next_look = self->now() + look_every;
    while (!self->stopped_) {
        auto until = std::min(self->guard_.wake_at(), next_look);
        if (self->look_soon_) until = std::min(until, *self->look_soon_);
        co_await self->stirred_.wait_until(until);
        if (self->stopped_) break;
        const auto now = self->now();
        if (now >= next_look || (self->look_soon_ && now >= *self->look_soon_)) {
            next_look = now + look_every;
            self->look();
        } else if (now >= self->guard_.wake_at()) {
            // What must be killed again must be looked for again.
            if (self->guard_.state() == ServerState::stopping) self->look();
            self->apply(self->guard_.tick(now));
        }
    }
}

Task<void> Guarded::probe(Self self) {
    while (!self->stopped_) {
        const auto& sight = self->guard_.sight();
        const bool worth_while = sight.postmaster && sight.phase == Phase::ready && !self->guard_.frozen() &&
                                 self->guard_.deed() != Deed::job;
        const auto asked = self->now();
        if (worth_while) {
            const int pid = sight.pid;
            const auto result = co_await self->postgres_.probe(self->options_.hung_after);
            const bool same = self->guard_.sight().postmaster && self->guard_.sight().pid == pid;
            const bool silent = !result && result.error().kind == ErrorKind::timeout;
            if (same && !self->stopped_ && (result || silent))
                self->apply(self->guard_.probed(result.has_value(), asked, self->now()));
        }
        if (self->stopped_) break;
        co_await self->around_.clock.sleep_until(asked + self->options_.hung_after);
    }
}

Task<Result<void>> Guarded::refresh_control() {
    const auto state = guard_.state();
    auto control = co_await postgres_.control_data();
    if (postgres_.damaged()) {
        auto known = control ? std::move(*control) : control_;
        known.state = topology::damaged_directory;
        known.wal_log_hints = known.data_checksums = false;
        control = std::move(known);
    }
    const bool of_now = std::exchange(control_of_, state) == state;
    if (control && control_ != *control) {
        control_ = std::move(*control);
        around_.say();
    } else if (!of_now) {
        around_.say();
    }
    if (!control) co_return std::unexpected(control.error());
    if (control_.system_identifier.empty()) co_return Result<void>{};
    const bool foreign = !guard_.kept().system_identifier.empty() &&
                         guard_.kept().system_identifier != control_.system_identifier;
    if (foreign) {
        spdlog::error("{}: the data directory was replaced by one of another cluster ({} instead of {})",
                      options_.key.text(), control_.system_identifier, guard_.kept().system_identifier);
    } else if (auto known = guard_.identified(control_.system_identifier, false, now())) {
        apply(*known);
    }
    co_return Result<void>{};
}

Task<void> Guarded::read_control(Self self) {
    while (!self->stopped_) {
        const auto state = self->guard_.state();
        if (state == self->control_at_) {
            co_await self->control_stale_.wait_until(MonoTime::max());
            continue;
        }
        self->control_at_ = state;
        if (self->guard_.deed() == Deed::job || !self->guard_.sight().data) continue;
        if (const auto done = co_await self->refresh_control(); !done)
            spdlog::warn("control data: {}", done.error().text());
    }
}

/// What else starts and stops the server is changed by people, and not through the agent.
Task<void> Guarded::look_around(Self self) {
    while (!self->stopped_) {
        auto found = co_await self->postgres_.in_the_way();
        if (self->stopped_) break;
        if (found != self->in_the_way_) {
            if (!found.empty()) spdlog::warn("{}: {}", self->options_.key.text(), found);
            self->in_the_way_ = std::move(found);
            self->around_.say();
        }
        co_await self->around_.clock.sleep_for(look_around_every);
    }
}

// ---- events from outside

void Guarded::answered(MonoTime sent, const agent::Grant& grant) {
    apply(guard_.answered(sent, grant, now()));
}

void Guarded::vouched(const InstanceKey& member, MonoTime asked, milliseconds span) {
    apply(guard_.vouched(member, asked, span, now()));
}

void Guarded::heard_epoch(uint64_t epoch) {
    apply(guard_.heard_epoch(epoch, now()));
}

void Guarded::saved(uint64_t version) {
    apply(guard_.saved(version, now()));
}

agent::Status Guarded::status() const {
    auto s = guard_.status(now());
    s.data_directory = options_.data_directory;
    s.version = version_;
    s.control = control_;
    // How it ended is not known yet: what it was while it ran says nothing of that.
    if (s.state == ServerState::down && control_of_ != s.state) s.control.state.clear();
    s.in_the_way = in_the_way_;
    if (s.system_identifier.empty()) s.system_identifier = control_.system_identifier;
    around_.disks(s.data_disk, s.wal_disk);
    s.certificate_left = around_.certificate_left();
    if (!job_) return s;
    s.job = job_;
    s.job->running = now() - job_began_;
    return s;
}

}  // namespace baton::host
