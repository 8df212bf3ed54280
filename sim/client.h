#pragma once

#include <memory>
#include <string>
#include <vector>

#include "sim/connection.h"

namespace baton::sim {

/// An application that writes one row after the other through a multi-host connection
/// (target_session_attrs=read-write), reconnects when it has to, and keeps what was acknowledged.
class Client {
  public:
    Client(Ground& ground, std::vector<InstanceKey> hosts, Duration pause, std::string name = "client");
    /// The application ends; its host stays.
    void stop() { stopped_ = true; }

    const std::vector<uint64_t>& acknowledged() const { return acknowledged_; }
    /// Where the last acknowledged row went.
    const InstanceKey& writes_to() const { return writes_to_; }
    Duration longest_outage() const { return longest_outage_; }

  private:
    Task<void> work();
    Task<bool> connect();
    Task<bool> write();
    void succeeded();

    Ground& ground_;
    const std::string name_;
    const std::vector<InstanceKey> hosts_;
    const Duration pause_;
    std::vector<uint64_t> acknowledged_;
    uint64_t next_row_ = 1;
    InstanceKey connected_to_;
    InstanceKey writes_to_;
    MonoTime last_success_{};
    Duration longest_outage_{};
    bool failing_ = false;
    bool stopped_ = false;
    ConnectionPtr connection_;
    Process process_;
};

}  // namespace baton::sim
