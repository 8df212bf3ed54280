#pragma once

#include <string>

#include "config/config.h"

namespace baton::doctor {

struct Listening {
    bool taken = false;   ///< somebody listens there
    std::string problem;  ///< why nobody could; "" = the address is free
};

/// Binds to where the API would listen, and lets go at once. A Unix socket is only looked at.
Listening try_listening(const config::Config& config);

}  // namespace baton::doctor
