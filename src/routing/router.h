#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/error.h"

/// What stands between clients and the primary, and is told when that changes. Control thread only.
namespace baton::routing {

/// Where clients are to be led.
struct Target {
    std::string host;
    uint16_t port = 0;
    std::string text() const;
    bool operator==(const Target&) const = default;
};

/// How a router stands, as it says itself.
struct Standing {
    struct Route {
        std::string database;
        Target to;
        bool paused = false;
    };
    std::vector<Route> routes;
    std::string forbidden;             ///< why it would refuse to hold clients; "" = it would not
    std::vector<std::string> remarks;  ///< what should be otherwise, for people
};

/// For how long clients may be held whatever happens to whoever holds them, and where they are led then if
/// nobody answers where they were.
struct Leash {
    milliseconds span{};
    Target then;
};

/// How clients stand when they are to be led elsewhere.
enum class Clients : uint8_t {
    held,   ///< paused; they stay so until resume()
    bound,  ///< to a server that died or fell silent: they are cut off from it, and go on at once
    stray,  ///< where they were led, nobody is any more: the same, unless they are where they should be
};

class Router {
  public:
    virtual ~Router() = default;
    virtual const std::string& name() const = 0;
    /// Clients wait from now on; returns when none is in a transaction any more. After a failure some may
    /// wait: resume() is called in any case. Should that never happen, they go on by themselves after
    /// `leash.span` where the router has somebody who sees to it. Errors: timeout (clients did not come to an
    /// end), and those of a connection.
    virtual Task<Result<void>> pause(Leash leash, MonoTime deadline) = 0;
    /// Clients go on; success where they did not wait.
    virtual Task<Result<void>> resume(MonoTime deadline) = 0;
    /// From now on to `target`.
    virtual Task<Result<void>> point_at(Target target, Clients clients, MonoTime deadline) = 0;
    virtual Task<Result<Standing>> check(MonoTime deadline) = 0;
};
using RouterPtr = std::shared_ptr<Router>;

/// Writes a router's targets where it finds them (its host's agent does). Must end by `deadline`.
using Retarget = std::function<Task<Result<void>>(Target target, MonoTime deadline)>;
/// Somebody beside the router sees to it that clients are not held for longer than that; nothing: they are
/// not held any more. Must end by `deadline`.
using Watchdog = std::function<Task<Result<void>>(std::optional<Leash> leash, MonoTime deadline)>;

}  // namespace baton::routing
