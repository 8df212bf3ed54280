#pragma once

#include "cli/modern.h"

/// Modern commands that are more than one request, or one of several.
namespace baton::cli::special {

int topology(const ModernCall& call);
int instances(const ModernCall& call);
int problems(const ModernCall& call);
int timeline(const ModernCall& call);
int status(const ModernCall& call);
int events(const ModernCall& call);
int failover(const ModernCall& call);
int switchover(const ModernCall& call);
int rejoin(const ModernCall& call);
int reinit(const ModernCall& call);
int clone(const ModernCall& call);
int acknowledge_modern(const ModernCall& call);
int maintenance(const ModernCall& call);
int api_modern(const ModernCall& call);

}  // namespace baton::cli::special
