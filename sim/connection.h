#pragma once

#include <expected>
#include <functional>
#include <memory>
#include <string>

#include "sim/ground.h"
#include "topology/instance.h"

namespace baton::sim {

using topology::Reach;

/// Why a connection or a request came to nothing.
struct Failure {
    Reach reach = Reach::unknown;
    Error error;
    bool on_new_connection = true;
};

/// Answers a request; the error is what the server reports, without ending the session.
using Reply = std::function<void(Result<void>)>;
/// What a request does on the server when it gets there. It may reply later, or never.
using Work = std::function<void(Server&, Reply)>;

/// One session of a party (the manager, a client) with a server. One call at a time.
class Connection : public std::enable_shared_from_this<Connection> {
  public:
    Connection(Ground& ground, Clock& clock, std::string party, InstanceKey to)
        : ground_(ground),
          clock_(clock),
          signal_(clock),
          party_(std::move(party)),
          to_(std::move(to)),
          here_(ground.network.id(party_)),
          there_(ground.network.id(to_.host)) {}

    using Done = std::expected<void, Failure>;
    Task<Done> open(MonoTime deadline);
    /// One round trip. An error that the server reports comes with Reach::failing and leaves the session
    /// open; all others end it.
    Task<Done> ask(Work work, MonoTime deadline);
    bool is_open() const { return open_; }
    void close();
    void on_end(std::function<void()> callback) { on_end_ = std::move(callback); }
    const std::string& party() const { return party_; }
    const InstanceKey& to() const { return to_; }

    /// The server's side ends the session (FATAL, RST); the news arrives when the network lets it.
    void end(std::string message, std::string sqlstate);
    /// Something between the two ends it, and this side knows at once.
    void cut(const std::string& why) { ended(why, {}); }
    /// A parked request of a hung server goes on.
    void resume();

    /// Tells the watchers that a request for promotion leaves.
    void look_arrived() const;
    void promotion_leaves() const;

  private:
    struct Call {
        std::optional<Result<void>> answer;
    };
    Task<Done> log_in(MonoTime deadline);
    void send(std::shared_ptr<Call> call, std::shared_ptr<Work> work);
    void arrive(std::shared_ptr<Call> call, std::shared_ptr<Work> work);
    void answer(std::shared_ptr<Call> call, Result<void> result);
    void ended(std::string message, std::string sqlstate);
    Task<Done> fail_at(MonoTime when, Reach reach, ErrorKind kind, std::string message,
                       std::string state = {});
    Failure broken() const;
    Link link() const { return ground_.network.between(here_, there_); }
    Duration to_server() { return ground_.network.delay(here_, there_); }
    Duration from_server();

    Ground& ground_;
    Clock& clock_;
    Signal signal_;
    const std::string party_;
    const InstanceKey to_;
    const Network::HostId here_, there_;
    MonoTime last_arrival_{};  ///< of what the server sent, by the world's clock: nothing overtakes
    std::function<void()> on_end_;
    std::function<void()> parked_;
    bool open_ = false;
    bool used_ = false;  ///< has answered a request: its end proves nothing about new ones
    uint64_t life_ = 0;  ///< what was sent in an earlier life does not arrive in this one
    Error ending_;
};
using ConnectionPtr = std::shared_ptr<Connection>;

}  // namespace baton::sim
