#pragma once

#include <memory>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "base/error.h"
#include "fleet_sim/answers.h"
#include "fleet_sim/world.h"

namespace baton::bench {

/// Closes a descriptor.
class Socket {
  public:
    explicit Socket(int fd = -1) : fd_(fd) {}
    ~Socket() { close(); }
    Socket(Socket&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
    Socket& operator=(Socket&& other) noexcept {
        std::swap(fd_, other.fd_);
        return *this;
    }
    int fd() const { return fd_; }
    void close();
    /// The peer sees a reset, as it does when a process with unread data dies.
    void reset();

  private:
    int fd_;
};

/// One client session with one simulated server.
struct Connection {
    Socket socket;
    uint32_t server = 0;
    bool ready = false;   ///< the startup packet has been answered
    bool failed = false;  ///< an error in an extended query: skip to Sync
    std::string in, out;
    std::unordered_map<std::string, std::pair<Statement, std::string>> prepared;
    std::string bound;
};

/// The whole fleet behind one epoll: a listening socket per server, any number of sessions, commands on
/// standard input.
class FleetServer {
  public:
    explicit FleetServer(World& world);

    Result<void> listen();
    /// Until `quit` or the end of standard input.
    void run();

  private:
    void accept_from(uint32_t server);
    void on_connection(uint32_t index, uint32_t events);
    bool read_from(Connection& c);
    bool handle_input(Connection& c);
    bool handle_startup(Connection& c, std::string_view packet);
    void handle_message(Connection& c, char type, std::string_view body);
    void parse(Connection& c, std::string_view body);
    void simple_query(Connection& c, std::string_view body);
    void run_statement(Connection& c, Statement statement, std::string_view sql, bool describe);
    bool flush(Connection& c, uint32_t index);
    void drop(uint32_t index);
    void read_commands();
    void command(const std::string& line);
    void kill(size_t count);
    void report() const;

    World& world_;
    Socket epoll_;
    std::vector<Socket> listeners_;
    std::vector<std::unique_ptr<Connection>> connections_;
    std::vector<uint32_t> free_, freed_now_;
    std::string commands_;
    std::string unknown_;  ///< the last statement that was not recognised
    uint64_t statements_ = 0, looks_ = 0, sessions_ = 0, unknown_count_ = 0;
    bool stopping_ = false;
};

}  // namespace baton::bench
