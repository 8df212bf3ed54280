#pragma once

#include "sim/checkers/checker.h"

/// All checkers; each is a file of its own.
namespace baton::sim {

extern const CheckerInfo one_history;
extern const CheckerInfo no_lost_rows;
extern const CheckerInfo no_false_failover;
extern const CheckerInfo converges;
extern const CheckerInfo explained;
extern const CheckerInfo one_recovery_at_a_time;
extern const CheckerInfo bounded;
extern const CheckerInfo wishes;
extern const CheckerInfo moves;
extern const CheckerInfo outcomes;
extern const CheckerInfo fenced;

}  // namespace baton::sim
