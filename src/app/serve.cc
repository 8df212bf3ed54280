#include "app/serve.h"

#include <fmt/format.h>
#include <malloc.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/sinks/syslog_sink.h>
#include <spdlog/spdlog.h>
#include <sys/resource.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

#include <boost/asio/signal_set.hpp>
#include <csignal>

#include "app/agents.h"
#include "app/auditing_store.h"
#include "base/async.h"
#include "base/defect.h"
#include "base/text.h"
#include "control/manager.h"
#include "control/options.h"
#include "engine/postgresql/postgresql.h"
#include "http/server.h"

namespace baton::app {
namespace {

void set_up_log(const config::Config& config, const ServeOptions& options) {
    auto logger =
        std::make_shared<spdlog::logger>("baton", std::make_shared<spdlog::sinks::stderr_sink_mt>());
    if (config.EnableSyslog) {
        logger->sinks().push_back(
            std::make_shared<spdlog::sinks::syslog_sink_mt>("baton", LOG_PID, LOG_DAEMON, true));
    }
    logger->set_pattern("%Y-%m-%d %H:%M:%S.%e %^%l%$ %v");
    logger->flush_on(spdlog::level::info);
    spdlog::set_default_logger(std::move(logger));
    spdlog::set_level(options.quiet                   ? spdlog::level::warn
                      : options.debug || config.Debug ? spdlog::level::debug
                                                      : spdlog::level::info);
}

http::ServerOptions server_options(const config::Config& config) {
    return {.listen_address = config.ListenAddress,
            .listen_socket = config.ListenSocket,
            .url_prefix = config.URLPrefix,
            .use_tls = config.UseSSL,
            .verify_clients = config.UseMutualTLS,
            .certificate_file = config.SSLCertFile,
            .key_file = config.SSLPrivateKeyFile,
            .ca_file = config.SSLCAFile,
            .valid_ous = config.SSLValidOUs,
            .status_endpoint = config.StatusEndpoint,
            .max_connections = static_cast<size_t>(config.HTTPMaxConnections),
            .max_body_bytes = static_cast<size_t>(config.HTTPMaxBodyBytes),
            .max_event_subscribers = static_cast<size_t>(config.EventSubscribersLimit),
            .event_queue = static_cast<size_t>(config.EventQueueLimit),
            .threads = static_cast<int>(config.HTTPThreads),
            .metrics = config.PrometheusEnabled};
}

/// Ten thousand servers are ten thousand descriptors: take what the system lets us have.
void raise_descriptor_limit() {
    rlimit limit{};
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur == limit.rlim_max) return;
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
}

std::string hostname() {
    char name[256] = {};
    gethostname(name, sizeof name - 1);
    return name;
}

/// Two buffers of 16 KB belong to each database session, mostly unused. In mappings of their own their unused
/// pages cost nothing; on the heap they come to lie on pages that were in use before.
void keep_large_blocks_apart() {
    constexpr int session_buffer_bytes = 16 * 1024;
    mallopt(M_MMAP_THRESHOLD, session_buffer_bytes);
}

Result<std::unique_ptr<store::Store>> open_store(const config::Config& config, Clock& clock) {
    if (config.SQLite3DataFile == ":memory:")
        return store::make_memory_store(clock, nullptr, control::store_limits(config));
    return store::open_sqlite(config.SQLite3DataFile, clock, control::store_limits(config));
}

/// Feeds systemd's watchdog from the control thread: a control loop that hangs gets the process restarted.
Task<void> feed_watchdog(Clock& clock, const bool& stopping) {
    uint64_t interval_us = 0;
    if (sd_watchdog_enabled(0, &interval_us) <= 0) co_return;
    while (!stopping) {
        sd_notify(0, "WATCHDOG=1");
        co_await clock.sleep_for(std::chrono::microseconds(interval_us / 3));
    }
}

Task<void> reload(control::Manager& manager) {
    sd_notify(0, "RELOADING=1");
    const auto done = co_await manager.reload_configuration({});
    if (done) {
        spdlog::info("configuration read again: {}", *done);
    } else {
        spdlog::error("configuration not changed, because it has errors:\n{}", done.error().text());
    }
    sd_notify(0, "READY=1");
}

/// The process: one control thread (this one), the store's writer and the HTTP threads beside it.
class Process {
  public:
    Process(config::Loaded loaded, std::vector<std::string> files, ServeOptions options)
        : config_(std::move(loaded.values)), files_(std::move(files)), options_(std::move(options)) {}

    Result<void> start() {
        auto opened = open_store(config_, *clock_);
        if (!opened) return std::unexpected(opened.error());
        store_ = with_audit_trail(std::move(*opened), config_);
        engine_ = engine::postgresql::make_engine(*clock_, control::login(config_));
        processes_ = make_process_runner(*clock_);
        fleet_ = make_fleet(config_, *clock_, *store_, hostname());
        manager_ = std::make_unique<control::Manager>(
            control::Parts{.clock = *clock_,
                           .engine = *engine_,
                           .store = *store_,
                           .processes = *processes_,
                           .hostname = hostname(),
                           .token = random_hex(32),
                           .configuration_files = files_,
                           .apply_outside = [this](const config::Config& fresh) { apply(fresh); },
                           .agents = fleet_ ? fleet_->registry() : agent::no_agents()},
            config_);
        if (auto listening = serve_agents(); !listening) return listening;
        server_ = http::make_server(*manager_, server_options(config_));
        if (auto listening = server_->start(); !listening) return listening;
        manager_->start();
        return {};
    }

    int run() {
        signals_.async_wait([this](auto ec, int number) { on_signal(ec, number); });
        spawn(clock_->executor(), feed_watchdog(*clock_, stopping_));
        sd_notify(0, "READY=1");
        spdlog::info("baton {} listens on {}{}, record in {}", BATON_VERSION,
                     config_.ListenSocket.empty() ? config_.ListenAddress : config_.ListenSocket,
                     config_.URLPrefix, config_.SQLite3DataFile);
        context_.run();
        // The HTTP threads wait for answers from this thread: they are told first, and this thread goes on
        // answering.
        server_.reset();
        manager_.reset();
        fleet_.reset();
        store_.reset();
        spdlog::info("baton stopped");
        return 0;
    }

    ~Process() {
        server_.reset();
        manager_.reset();
        fleet_.reset();
        store_.reset();
    }

  private:
    /// An agent may know its server by another name than the one that is watched.
    Result<void> serve_agents() {
        if (!fleet_) return {};
        fleet_->registry().names_of([this](const topology::InstanceKey& key) {
            std::vector<topology::InstanceKey> names;
            const auto known = manager_->view()->topology->find_instance(key);
            if (!known) return names;
            names = known->aliases;
            names.push_back(known->key);
            return names;
        });
        return fleet_->start();
    }

    void apply(const config::Config& fresh) {
        engine::postgresql::set_login(*engine_, control::login(fresh));
        if (!options_.quiet && !options_.debug)
            spdlog::set_level(fresh.Debug ? spdlog::level::debug : spdlog::level::info);
        if (!fleet_) return;
        if (const auto read = fleet_->reload(fleet_options(fresh, hostname())); !read)
            spdlog::error("what agents must show, and are shown, stays as it was: {}", read.error().text());
    }

    void on_signal(const boost::system::error_code& ec, int number) {
        if (ec) return;
        if (number == SIGHUP) {
            spawn(clock_->executor(), reload(*manager_));
            signals_.async_wait([this](auto again, int next) { on_signal(again, next); });
            return;
        }
        spdlog::info("signal {}: stopping", number);
        sd_notify(0, "STOPPING=1");
        stopping_ = true;
        server_->stop();
        manager_->stop();
        if (fleet_) fleet_->stop();
        context_.stop();
    }

    config::Config config_;
    std::vector<std::string> files_;
    ServeOptions options_;
    asio::io_context context_{1};
    std::unique_ptr<Clock> clock_ = make_system_clock(context_.get_executor());
    asio::signal_set signals_{context_, SIGTERM, SIGINT, SIGHUP};
    bool stopping_ = false;
    std::unique_ptr<store::Store> store_;
    std::unique_ptr<engine::Engine> engine_;
    std::unique_ptr<ProcessRunner> processes_;
    std::unique_ptr<fleet::Fleet> fleet_;
    std::unique_ptr<control::Manager> manager_;
    std::unique_ptr<http::Server> server_;
};

}  // namespace

int serve(const ServeOptions& options) {
    const auto files = options.config_files.empty() ? config::default_files() : options.config_files;
    auto report = config::check(files);
    set_up_log(report.loaded.values, options);
    for (const auto& w : report.loaded.warnings)
        spdlog::warn("{}", w.text);
    if (!report.ok()) {
        spdlog::error("the configuration has errors:\n{}", report.as_error().text());
        return 1;
    }
    if (files.empty()) spdlog::warn("no configuration file found: all keys have their defaults");
    if (has_defects)
        spdlog::warn(
            "a test build: deliberate defects are compiled in (none is active); build the preset release");
    raise_descriptor_limit();
    keep_large_blocks_apart();
    std::signal(SIGPIPE, SIG_IGN);
    Process process(std::move(report.loaded), files, options);
    if (const auto started = process.start(); !started) {
        spdlog::error("cannot start: {}", started.error().text());
        return 1;
    }
    return process.run();
}

}  // namespace baton::app
