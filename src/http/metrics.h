#pragma once

#include <string>

#include "http/events.h"
#include "http/route.h"

namespace baton::http {

/// All that /metrics tells, gathered at one moment.
struct Measured {
    control::Metrics control;
    control::ViewPtr view;
    std::optional<EventHub::Figures> events;
    std::shared_ptr<const ServerFigures> server;
};

/// Prometheus text exposition 0.0.4: orchestrator's names, and baton_* for what it has no name for.
std::string prometheus_text(const Measured& measured);
/// orchestrator's /debug/metrics: one flat JSON object, numbers by go-metrics name.
std::string debug_metrics_json(const Measured& measured);

}  // namespace baton::http
