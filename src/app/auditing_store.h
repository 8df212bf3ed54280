#pragma once

#include "config/config.h"
#include "store/store.h"

namespace baton::app {

/// A store that also writes each audit entry where the configuration wants it: AuditLogFile, AuditToSyslog.
std::unique_ptr<store::Store> with_audit_trail(std::unique_ptr<store::Store> inner,
                                               const config::Config& config);

}  // namespace baton::app
