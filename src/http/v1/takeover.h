#pragma once

#include <optional>
#include <string>

#include "control/control.h"

/// What orchestrator checks before it changes who leads. Pure.
namespace baton::http::v1 {

/// The one primary of a cluster. Errors: "Cannot deduce cluster master for X", with the count when there are
/// several.
Result<const topology::Instance*> only_primary(const topology::Cluster& cluster, const std::string& hint);

/// May `designated` be promoted by force? The error says whose replica it is.
Result<void> check_direct_replica(const topology::Instance& primary, const topology::Instance& designated);

/// Who would lead after a planned takeover, if orchestrator's conditions are met; the error is the first of
/// them that is not. What else hinders it, the switchover itself says.
Result<const topology::Instance*> graceful_takeover_target(
    const control::View& view, const topology::Cluster& cluster, const std::string& hint,
    const std::optional<topology::InstanceKey>& designated, bool choose);

}  // namespace baton::http::v1
