#pragma once

#include <memory>
#include <string>

#include "http/route.h"

namespace baton::http {

struct ServerOptions {
    std::string listen_address;  ///< "host:port", ":port"
    std::string listen_socket;   ///< Unix socket path; when set, no TCP listener
    std::string url_prefix;
    bool use_tls = false;
    bool verify_clients = false;
    std::string certificate_file, key_file, ca_file;
    std::vector<std::string> valid_ous;
    std::string status_endpoint = "/api/status";
    size_t max_connections = 512;
    size_t max_body_bytes = 65536;
    size_t max_event_subscribers = 128;
    size_t event_queue = 1000;
    int threads = 1;
    bool metrics = true;
};

/// Serves until stop(). Has threads of its own.
class Server {
  public:
    virtual ~Server() = default;
    /// Binds and begins; the error names the address and why ("address already in use", …).
    virtual Result<void> start() = 0;
    virtual void stop() = 0;
    virtual uint16_t port() const = 0;  ///< bound port, for a listen address with port 0
};

/// Authentication follows the configuration that is in force in control.view() at each request.
std::unique_ptr<Server> make_server(control::Control& control, ServerOptions options);
/// The same with a route table of one's own.
std::unique_ptr<Server> make_server(control::Control& control, ServerOptions options,
                                    std::vector<Route> routes);

}  // namespace baton::http
