#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "agent/protocol.h"

/// What load balancers ask the agent over HTTP, and what they are told: the names and meanings that users of
/// HAProxy know from Patroni. Pure.
namespace baton::host {

/// What a load balancer asks about.
enum class HealthQuestion : uint8_t {
    primary,       ///< /, /primary, /read-write, /leader: takes writes
    replica,       ///< /replica: a running standby; ?lag= how far it may be behind
    read_only,     ///< /read-only: any that answers reads
    synchronous,   ///< /synchronous, /sync: a standby that the primary waits for
    asynchronous,  ///< /asynchronous, /async: one that it does not wait for
    health,        ///< /health: the server runs
    liveness,      ///< /liveness: the agent itself answers
    readiness      ///< /readiness: as /health
};

struct HealthRequest {
    std::string method;
    std::string path;   ///< decoded, without what follows `?`
    std::string query;  ///< behind `?`
    bool keep_alive = true;
};
/// Longer requests are refused.
inline constexpr size_t health_request_limit = 8192;

/// The head of a request, up to and including the empty line. Error invalid_argument: no HTTP/1 request, or
/// one with a body.
Result<HealthRequest> parse_health_request(std::string_view head);

/// Which server and what of it is asked for. Nothing: there is no such path.
struct HealthTarget {
    size_t instance = 0;
    HealthQuestion question{};
    std::optional<int64_t> lag_limit;  ///< bytes
};
/// With one instance its questions are at /; with several at /HOST:PORT/, and only /liveness at /. Errors:
/// not_found (names the paths that there are), invalid_argument (lag).
Result<HealthTarget> find_health_target(const HealthRequest& request,
                                        const std::vector<agent::Status>& statuses);

/// "10485760", "10MB": bytes; units of 1024.
std::optional<int64_t> parse_bytes(std::string_view text);

/// What is known of a standby from its upstream.
struct UpstreamLook {
    std::optional<int64_t> lag_bytes;  ///< upstream's WAL that it has not received
    std::string sync_state;            ///< "sync", "quorum", "async", "potential"; "" = not known
    std::string why_not;               ///< what is missing, if something is
};
/// The answer depends on it.
bool needs_upstream(const HealthTarget& target);

struct HealthAnswer {
    int status = 503;
    std::string body;  ///< JSON
};
HealthAnswer health_answer(const HealthTarget& target, const agent::Status& status, const UpstreamLook& look);

/// The answer as it goes over the wire; HEAD and OPTIONS have no body.
std::string health_response(const HealthAnswer& answer, const HealthRequest& request);

}  // namespace baton::host
