#pragma once

#include <memory>

#include "config/config.h"
#include "fleet/fleet.h"
#include "store/store.h"

namespace baton::app {

fleet::Options fleet_options(const config::Config& config, const std::string& hostname);

/// What host agents connect to; null where none are served. All must outlive it.
std::unique_ptr<fleet::Fleet> make_fleet(const config::Config& config, Clock& clock, store::Store& store,
                                         const std::string& hostname);

}  // namespace baton::app
