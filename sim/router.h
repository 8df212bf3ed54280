#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "sim/connection.h"

namespace baton::sim {

/// What stands between clients and servers in many houses: one address that leads to the primary. On a host
/// of its own, "router".
class Router {
  public:
    enum class Kind : uint8_t {
        checks,  ///< asks each server every 500 ms whether it takes writes; twice no is down, twice yes is up
        told     ///< leads where it was pointed, whatever is there
    };

    Router(Ground& ground, std::vector<InstanceKey> servers, Kind kind);

    /// A hook or an operator says who is primary; sessions with another one end.
    void point_at(const InstanceKey& key);
    /// All sessions end, and for so long the host answers with RST.
    void restart(Duration takes = milliseconds(500));
    void hang() { hung_ = true; }
    void resume() { hung_ = false; }

    /// Where a new session goes; nothing: nowhere, the router ends it at once.
    std::optional<InstanceKey> target() const;
    bool listens() const { return listens_; }
    bool hung() const { return hung_; }
    /// The server's side of a session that the router leads: it ends with the router, or when its server is
    /// down.
    void carry(const ConnectionPtr& session);
    const std::string& host() const { return host_; }

  private:
    struct Backend {
        InstanceKey key;
        bool up = false;
        bool known = false;  ///< asked at least once: the first answer counts at once
        int against = 0;     ///< answers in a row that contradict `up`
    };

    Task<void> watch(size_t backend);
    Task<bool> takes_writes(InstanceKey key);
    void heard(Backend& backend, bool yes);
    void end_sessions(const InstanceKey* only, const std::string& why);

    Ground& ground_;
    const std::string host_ = "router";
    const Kind kind_;
    std::vector<Backend> backends_;
    std::optional<InstanceKey> target_;
    bool listens_ = true;
    bool hung_ = false;
    int life_ = 0;
    std::vector<std::weak_ptr<Connection>> sessions_;
    Process process_;
};

}  // namespace baton::sim
