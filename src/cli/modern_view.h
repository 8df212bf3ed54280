#pragma once

#include "cli/modern.h"

/// Tables and sentences for the modern commands.
namespace baton::cli::view {

std::string clusters(const Answer&, const ModernCall&);
std::string tree(const Answer&, const ModernCall&);
std::string instances(const Answer&, const ModernCall&);
std::string instance(const Answer&, const ModernCall&);
std::string moved(const Answer&, const ModernCall&);
std::string moved_many(const Answer&, const ModernCall&);
std::string message(const Answer&, const ModernCall&);
std::string promoted(const Answer&, const ModernCall&);
std::string recoveries(const Answer&, const ModernCall&);
std::string blocked(const Answer&, const ModernCall&);
std::string maintenance(const Answer&, const ModernCall&);
std::string downtimed(const Answer&, const ModernCall&);
std::string lines(const Answer&, const ModernCall&);
std::string keys(const Answer&, const ModernCall&);
std::string audit(const Answer&, const ModernCall&);
std::string plan(const Answer&, const ModernCall&);
std::string raw(const Answer&, const ModernCall&);
/// A table of the guarded servers; one server in detail.
std::string agents(const Answer&, const ModernCall&);

/// Rows of the analysis: code, instance, cluster, evidence.
std::string problems(const json::value& analysis, const json::value& instances, const Paint& paint);
/// The journal of one recovery, with the milliseconds of each step.
std::string timeline(const json::value& recovery, const json::value& steps, const Paint& paint);
/// One event of the stream as a line.
std::string event(std::string_view type, const json::value& data, const Paint& paint);
std::string status(const json::value& health, const json::value& recoveries, const json::value& clusters,
                   const Paint& paint);

}  // namespace baton::cli::view
