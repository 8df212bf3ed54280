#include "app/agent_command.h"

#include <fmt/format.h>
#include <malloc.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/signal_set.hpp>
#include <csignal>
#include <iostream>

#include "base/async.h"
#include "base/defect.h"
#include "base/text.h"
#include "host/agent.h"
#include "host/own_thread.h"

namespace baton::app {
namespace {

constexpr std::string_view usage =
    "usage: baton agent [-config FILE]             guards this host's servers, as the user that runs them\n"
    "       baton agent --check [-config FILE]     looks whether it could, and ends\n"
    "       baton agent --adopt [-config FILE]     accepts that data directories belong to other clusters "
    "than\n"
    "                                              before, and ends\n"
    "       baton agent --release [-config FILE]   lifts what keeps stopped and fenced servers down, and "
    "ends: for\n"
    "                                              when no manager can be asked any more\n";

constexpr int exit_usage = 2;

enum class Mode : uint8_t { run, check, adopt, release, help };

struct Call {
    Mode mode = Mode::run;
    std::string file{host::default_file};
};

Result<Call> parse(const std::vector<std::string>& args) {
    Call call;
    for (size_t i = 0; i < args.size(); ++i) {
        const auto equals = args[i].find('=');
        auto name = args[i].substr(0, equals);
        name.erase(0, name.starts_with("--") ? 2 : name.starts_with('-') ? 1 : 0);
        if (name == "config") {
            if (equals == std::string::npos && i + 1 == args.size())
                return fail(ErrorKind::invalid_argument, "-config needs the name of a file");
            call.file = equals == std::string::npos ? args[++i] : args[i].substr(equals + 1);
        } else if (name == "check") {
            call.mode = Mode::check;
        } else if (name == "adopt") {
            call.mode = Mode::adopt;
        } else if (name == "release") {
            call.mode = Mode::release;
        } else if (name == "help" || name == "h") {
            call.mode = Mode::help;
        } else {
            return fail(ErrorKind::invalid_argument,
                        fmt::format("agent does not know '{}'\n{}", printable(args[i]), usage));
        }
    }
    return call;
}

void set_up_log(bool debug) {
    auto logger =
        std::make_shared<spdlog::logger>("baton", std::make_shared<spdlog::sinks::stderr_sink_st>());
    logger->set_pattern("%Y-%m-%d %H:%M:%S.%e %^%l%$ %v");
    logger->flush_on(spdlog::level::info);
    spdlog::set_default_logger(std::move(logger));
    spdlog::set_level(debug ? spdlog::level::debug : spdlog::level::info);
}

std::string hostname() {
    char name[256] = {};
    gethostname(name, sizeof name - 1);
    return name;
}

/// The process: one thread, and those that may hang in a disk's stead.
class Process {
  public:
    Process(host::Options options, std::string file) : options_(std::move(options)), file_(std::move(file)) {}

    Result<void> open() {
        auto state = host::open_state(*clock_, options_.state_directory);
        if (!state) return std::unexpected(state.error());
        state_ = std::move(*state);
        return {};
    }

    /// Everything is looked at once. `adopt` as Agent::prepare().
    Result<void> prepare(bool adopt) {
        agent_ = std::make_unique<host::Agent>(
            host::AgentParts{
                .clock = *clock_, .processes = *processes_, .state = *state_, .hostname = hostname()},
            options_);
        Result<void> result = fail(ErrorKind::internal, "it did not end");
        spawn(clock_->executor(), [](Process& self, bool accept, Result<void>& out) -> Task<void> {
            out = co_await self.agent_->prepare(accept);
            self.context_.stop();
        }(*this, adopt, result));
        context_.run();
        context_.restart();
        return result;
    }

    /// Writes what is remembered and waits until it is durable.
    Result<void> remember(const host::Memory& memory) {
        bool done = false;
        const auto work = asio::make_work_guard(context_);
        state_->write(host::to_text(memory), [&] {
            done = true;
            context_.stop();
        });
        context_.run_for(std::chrono::seconds(10));
        if (!done)
            return fail(ErrorKind::io, "cannot be written: " + state_->trouble(), options_.state_directory);
        return {};
    }
    const host::Memory& memory() const { return state_->memory(); }
    /// After prepare(): what the agent knows now.
    host::Memory present_memory() const { return agent_->memory(); }

    int run() {
        await_signal();
        if (const auto started = agent_->start(); !started) {
            spdlog::error("cannot start: {}", started.error().text());
            return 1;
        }
        spawn(clock_->executor(), feed_watchdog(*clock_));
        sd_notify(0, "READY=1");
        spdlog::info("baton agent {} guards {}", BATON_VERSION, guarded());
        context_.run();
        agent_.reset();
        state_.reset();
        return 0;
    }

  private:
    void await_signal() {
        signals_.async_wait([this](const boost::system::error_code& ec, int number) {
            if (ec) return;
            if (number == SIGHUP) {
                spawn(clock_->executor(), reload(*this));
                await_signal();
                return;
            }
            spdlog::info("signal {}: the agent ends, its servers run on", number);
            sd_notify(0, "STOPPING=1");
            agent_->stop();
            context_.stop();
        });
    }
    static Task<void> reload(Process& self) {
        if (std::exchange(self.reloading_, true)) co_return;
        sd_notify(0, "RELOADING=1");
        auto loaded = co_await host::on_own_thread<Result<host::LoadedOptions>>(
            *self.clock_, [file = self.file_] { return host::load_options(file); });
        Result<std::string> done = std::string();
        if (loaded) {
            for (const auto& w : loaded->warnings)
                spdlog::warn("{}", w);
            spdlog::set_level(loaded->options.debug ? spdlog::level::debug : spdlog::level::info);
            done = co_await self.agent_->reload(std::move(loaded->options));
        } else {
            done = std::unexpected(loaded.error());
        }
        if (done) {
            spdlog::info("configuration read again: {}", *done);
        } else {
            spdlog::error("configuration not changed, because it has errors:\n{}", done.error().text());
        }
        sd_notify(0, "READY=1");
        self.reloading_ = false;
    }
    /// A loop that hangs enforces no lease: systemd starts the agent anew then.
    static Task<void> feed_watchdog(Clock& clock) {
        uint64_t interval_us = 0;
        if (sd_watchdog_enabled(0, &interval_us) <= 0) co_return;
        for (;;) {
            sd_notify(0, "WATCHDOG=1");
            co_await clock.sleep_for(std::chrono::microseconds(interval_us / 3));
        }
    }
    std::string guarded() const {
        std::vector<std::string> names;
        for (const auto& i : options_.instances)
            names.push_back(fmt::format("{} ({})", i.key.text(), i.data_directory));
        return join(names, ", ");
    }

    host::Options options_;
    const std::string file_;
    bool reloading_ = false;
    asio::io_context context_{1};
    std::unique_ptr<Clock> clock_ = make_boot_clock(context_.get_executor());
    std::unique_ptr<ProcessRunner> processes_ = make_process_runner(*clock_);
    asio::signal_set signals_{context_, SIGTERM, SIGINT, SIGHUP};
    std::unique_ptr<host::StateFile> state_;
    std::unique_ptr<host::Agent> agent_;
};

int failed(const Error& error) {
    std::cerr << "baton agent: " << error.text() << "\n";
    return 1;
}

int release(Process& process) {
    auto memory = process.memory();
    size_t lifted = 0;
    for (auto& [directory, kept] : memory.instances) {
        if (kept.hold == host::Hold::none && !kept.grant.on) continue;
        kept.hold = host::Hold::none;
        kept.hold_reason.clear();
        kept.grant = {};
        ++lifted;
    }
    // An agent that was never told of a manager keeps nothing down.
    memory.epoch = 0;
    if (auto done = process.remember(memory); !done) return failed(done.error());
    std::cout << fmt::format("{} servers released; start them as you like. A quarantine stays.\n", lifted);
    return 0;
}

int adopt(Process& process) {
    if (const auto looked = process.prepare(true); !looked) return failed(looked.error());
    if (auto done = process.remember(process.present_memory()); !done) return failed(done.error());
    std::cout << "adopted; the agent can be started\n";
    return 0;
}

int check(Process& process, const host::Options& options) {
    if (const auto looked = process.prepare(false); !looked) return failed(looked.error());
    std::cout << fmt::format("good: {} servers, {} managers\n", options.instances.size(),
                             options.managers.size());
    return 0;
}

}  // namespace

int agent_command(const std::vector<std::string>& args) {
    const auto call = parse(args);
    if (!call) {
        std::cerr << call.error().text() << "\n";
        return exit_usage;
    }
    if (call->mode == Mode::help) {
        std::cout << usage << "\nKeys of the file (default " << host::default_file << "):\n"
                  << host::options_help();
        return 0;
    }
    if (geteuid() == 0) {
        return failed({ErrorKind::refused_by_policy,
                       "it must not run as root: run it as the user that runs the servers (User=postgres in "
                       "its unit, or `runuser -u postgres -- baton agent …`)",
                       "", ""});
    }
    auto loaded = host::load_options(call->file);
    if (!loaded) return failed(loaded.error());
    set_up_log(loaded->options.debug);
    for (const auto& w : loaded->warnings)
        spdlog::warn("{}", w);
    if (has_defects && call->mode == Mode::run)
        spdlog::warn("a test build: deliberate defects are compiled in (none is active)");
    std::signal(SIGPIPE, SIG_IGN);
    // Few threads and little to keep: one arena is enough.
    mallopt(M_ARENA_MAX, 1);
    Process process(loaded->options, call->file);
    if (const auto opened = process.open(); !opened) return failed(opened.error());
    if (call->mode == Mode::release) return release(process);
    if (call->mode == Mode::adopt) return adopt(process);
    if (call->mode == Mode::check) return check(process, loaded->options);
    if (const auto looked = process.prepare(false); !looked) return failed(looked.error());
    return process.run();
}

}  // namespace baton::app
