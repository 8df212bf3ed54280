#pragma once

#include <memory>
#include <string>
#include <vector>

#include "sim/connection.h"

namespace baton::sim {

class Router;

/// How an application writes.
struct Load {
    Duration pause = milliseconds(5);  ///< after each row
    int burst = 0;                     ///< rows after which it rests; 0 = it never does
    Duration rest{};                   ///< after each burst
};

/// A row of which the application was told that it is safe.
struct Acknowledgement {
    uint64_t row = 0;
    InstanceKey server;     ///< that committed it
    Timeline timeline = 0;  ///< on which
    MonoTime at{};          ///< by the world's clock, when the application heard of it
};

/// An application that writes one row after the other, reconnects when it has to, and keeps what was
/// acknowledged. Either through a multi-host connection (target_session_attrs=read-write) or through a
/// router.
class Client {
  public:
    Client(Ground& ground, std::vector<InstanceKey> hosts, Load load, std::string name = "client",
           Router* router = nullptr, uint64_t first_row = 1);
    /// The application ends; its host stays.
    void stop() { stopped_ = true; }

    const std::vector<uint64_t>& acknowledged() const { return acknowledged_; }
    const std::vector<Acknowledgement>& acknowledgements() const { return acknowledgements_; }
    /// Where the last acknowledged row went.
    const InstanceKey& writes_to() const { return writes_to_; }
    Duration longest_outage() const { return longest_outage_; }

  private:
    /// Where a row was committed. An answer that comes too late must not be taken for another's.
    struct Committed {
        uint64_t row = 0;
        Timeline timeline = 0;
    };

    Task<void> work();
    Task<bool> connect();
    Task<bool> connect_to(InstanceKey host);
    Task<bool> connect_through_router();
    /// One way between client and router; false: nothing got through.
    Task<bool> pass_router(bool there);
    Task<bool> write();
    Duration pause();
    void succeeded();

    Ground& ground_;
    const std::string name_;
    const std::vector<InstanceKey> hosts_;
    const Load load_;
    Router* const router_;
    std::vector<uint64_t> acknowledged_;
    std::vector<Acknowledgement> acknowledgements_;
    std::shared_ptr<Committed> committed_ = std::make_shared<Committed>();
    uint64_t next_row_;
    int in_burst_ = 0;
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
