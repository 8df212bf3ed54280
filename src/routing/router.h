#pragma once

#include <cstdint>
#include <functional>
#include <memory>
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
    std::vector<std::string> remarks;  ///< what should be otherwise, for people
};

class Router {
  public:
    virtual ~Router() = default;
    virtual const std::string& name() const = 0;
    /// Clients wait from now on; returns when none is in a transaction any more. After a failure some may
    /// wait: resume() is called in any case. Errors: timeout (clients did not come to an end), and those of a
    /// connection.
    virtual Task<Result<void>> pause(MonoTime deadline) = 0;
    /// Clients go on; success where they did not wait.
    virtual Task<Result<void>> resume(MonoTime deadline) = 0;
    /// From now on to `target`. `held`: clients are paused, and stay so until resume(). Otherwise those that
    /// are bound to where it led before are cut off, and all others go on at once.
    virtual Task<Result<void>> point_at(Target target, bool held, MonoTime deadline) = 0;
    virtual Task<Result<Standing>> check(MonoTime deadline) = 0;
};
using RouterPtr = std::shared_ptr<Router>;

/// Writes a router's targets where it finds them (its host's agent does). Must end by `deadline`.
using Retarget = std::function<Task<Result<void>>(Target target, MonoTime deadline)>;

}  // namespace baton::routing
