#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/error.h"

namespace baton::engine {

/// Turns names into numeric addresses without ever blocking the control thread, and remembers them: a name
/// server that fails or stalls must not make known servers unreachable. One thread (the clock's executor).
class Resolver {
  public:
    explicit Resolver(Clock& clock);
    ~Resolver();
    Resolver(const Resolver&) = delete;
    Resolver& operator=(const Resolver&) = delete;

    /// Numeric addresses, at least one. A number is its own address; a name that was ever resolved is
    /// answered at once from memory, and looked up again in the background when that answer is older than 60
    /// s. Only a name that is met for the first time waits for the name service. Errors: unreachable (no such
    /// name), timeout.
    Task<Result<std::vector<std::string>>> resolve(std::string host, MonoTime deadline);

    /// What is remembered; the name itself if it is a number; empty if it was never resolved.
    std::vector<std::string> known(const std::string& host) const;

    /// Nobody answered at the known addresses: the next resolve() looks the name up again in the background.
    void suspect(const std::string& host);

    /// Every name is looked up again when it is next needed; until that succeeds the old addresses stand in.
    void forget();

  private:
    struct State;
    std::shared_ptr<State> state_;
};

}  // namespace baton::engine
