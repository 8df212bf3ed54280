#pragma once

#include <sys/types.h>

#include <boost/asio/io_context.hpp>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "engine/postgresql/postgresql.h"
#include "live.h"

/// Real PostgreSQL servers for the tests of the engine: on this machine, with data in a temporary directory
/// that goes away.
namespace baton::live {

/// Runs coroutines of one test on the machine's clock.
class Loop {
  public:
    Loop() : clock(make_system_clock(io.get_executor())) {}

    template <class T>
    T run(Task<T> task) {
        std::optional<T> result;
        asio::co_spawn(
            io,
            [](Task<T> inner, std::optional<T>& out) -> Task<void> {
                out.emplace(co_await std::move(inner));
            }(std::move(task), result),
            [](std::exception_ptr e) {
                if (e) std::rethrow_exception(e);
            });
        io.restart();
        while (!result && io.run_one() > 0) {
        }
        return std::move(*result);
    }
    /// Lets handlers run until `done` says so; false when it did not within `limit`.
    bool run_until(const std::function<bool()>& done, milliseconds limit);
    MonoTime in(milliseconds d) const { return clock->now() + d; }

    boost::asio::io_context io{1};
    std::unique_ptr<Clock> clock;
};

/// A temporary directory that the servers' user owns, with one initialised data directory to copy from.
/// Roles: postgres (superuser, trust), mgr (least privilege, password "mgr-pass"), plain (LOGIN only, trust),
/// repl (REPLICATION, password "re pl'pass").
class Home {
  public:
    Home();
    ~Home();
    Home(const Home&) = delete;
    Home& operator=(const Home&) = delete;
    const std::string& path() const { return path_; }

  private:
    std::string path_;
};

/// One server. Its data directory is a copy of the home's; killed and gone with the object.
class Server {
  public:
    Server(Home& home, std::string name, std::map<std::string, std::string> settings = {});
    ~Server();
    Server(const Server&) = delete;
    Server& operator=(const Server&) = delete;

    /// Makes it a standby with this primary_conninfo.
    void become_standby(const std::string& conninfo, const std::string& slot = "");
    /// Gives it a certificate of its own for localhost; false when there is no openssl program.
    bool enable_tls();
    std::string certificate() const { return data_ + "/server.crt"; }
    void start();
    void signal(int number) const;      ///< to the postmaster
    void signal_all(int number) const;  ///< to the postmaster and all its children
    void kill_and_reap();               ///< SIGKILL to the postmaster only, as in an accident
    topology::InstanceKey key() const { return {"127.0.0.1", port_}; }
    std::string log() const;

  private:
    std::string data_;
    std::string name_;
    uint16_t port_;
    pid_t pid_ = 0;
};

engine::postgresql::Login login_as(std::string user, std::string password = "");
/// primary_conninfo for streaming from `server`, as the role repl.
std::string conninfo_to(const Server& server, const std::string& application_name);
/// Looks again and again until `wanted` holds; null when it did not within `limit`.
engine::ObservationPtr look_until(Loop& loop, engine::Probe& probe,
                                  const std::function<bool(const engine::Observation&)>& wanted,
                                  milliseconds limit = milliseconds(10000));
engine::ObservationPtr look_until_up(Loop& loop, engine::Probe& probe);

}  // namespace baton::live
