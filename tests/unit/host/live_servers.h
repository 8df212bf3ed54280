#pragma once

#include <sys/types.h>

#include <functional>
#include <string>
#include <vector>

#include "host/options.h"
#include "live.h"

/// Real PostgreSQL servers for the tests of long deeds: on this machine, in a temporary directory that goes
/// away.
namespace baton::host::live {

using baton::live::free_port;
using baton::live::programs;
using baton::live::server_user;

/// Runs `body` in a child of its own, as the servers' user. Returns its pid.
pid_t begin_as_server_user(const std::function<void()>& body);
/// 0 when the child ended well and none of its expectations failed.
int wait_for(pid_t child);
inline int as_server_user(const std::function<void()>& body) {
    return wait_for(begin_as_server_user(body));
}
bool wait_until(const std::function<bool()>& done, int limit_ms = 20000);

/// A primary "a" and its standby "b" with a slot. Roles: repl (password "re:pl\\ 'x'"), rewinder (password
/// "rew"), both by scram over TCP.
class Pair {
  public:
    /// `settings`: further lines of postgresql.conf.
    explicit Pair(const std::string& settings = "");
    ~Pair();
    Pair(const Pair&) = delete;
    Pair& operator=(const Pair&) = delete;

    std::string data(char name) const { return directory_ + "/" + name; }
    std::string state_directory() const { return directory_ + "/state"; }
    std::string directory() const { return directory_; }
    uint16_t port(char name) const { return name == 'a' ? port_a_ : port_b_; }
    InstanceOptions options(char name) const;

    bool start(char name) const;
    void stop(char name, const std::string& mode) const;
    /// kill -9 of the postmaster, and of what it leaves behind.
    void crash(char name) const;
    bool promote(char name) const;
    std::string sql(char name, const std::string& statement) const;
    /// What the agent does after a deed: leads it to `upstream`, as a standby.
    void make_standby(char name, char upstream) const;
    bool streams(char name) const;
    /// "a" has written what "b", promoted, never got; "a" is down.
    void part_ways() const;

  private:
    std::string directory_;
    uint16_t port_a_, port_b_;
};

/// Exit code; output is added to `output` if given.
int run_as_server_user(const std::vector<std::string>& words, std::string* output = nullptr);

}  // namespace baton::host::live
