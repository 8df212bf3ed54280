#pragma once

#include "engine/postgresql/session.h"

namespace baton::engine::postgresql {

std::unique_ptr<Actor> make_actor(std::shared_ptr<Wiring> wiring, const InstanceKey& key);

/// What an actor's coroutines share; outlives the Actor while a call is under way.
struct Hand {
    Hand(std::shared_ptr<Wiring> w, InstanceKey k)
        : wiring(std::move(w)),
          key(std::move(k)),
          session(std::make_shared<Session>(wiring, key, Purpose::deeds)) {}

    std::shared_ptr<Wiring> wiring;
    InstanceKey key;
    std::shared_ptr<Session> session;
    int promotion_requests = 0;
};
using HandPtr = std::shared_ptr<Hand>;

/// Connects where there is no session.
Task<Result<void>> ensure_connected(Hand& hand, MonoTime deadline);
/// Connects if need be and runs one statement. A missing privilege ends with how to grant it: `remedy`.
Task<Result<ResultPtr>> ask(Hand& hand, std::string sql, MonoTime deadline, std::string remedy = {});
/// Likewise, for statements whose result does not matter.
Task<Result<void>> tell(Hand& hand, std::string sql, MonoTime deadline, std::string remedy = {});

// Deeds that have files of their own.
Task<Result<FollowHow>> follow_upstream(HandPtr hand, FollowOrder order, MonoTime deadline);
Task<Result<void>> restart_wal_receiver(HandPtr hand, MonoTime deadline);
Task<Result<void>> alter_system(HandPtr hand, std::string parameter, std::string value, MonoTime deadline);
Task<Result<Examination>> examine_server(HandPtr hand, MonoTime deadline);
Task<Result<void>> write_checkpoint(HandPtr hand, MonoTime deadline);
Task<Result<topology::Activity>> read_activity(HandPtr hand, MonoTime deadline);
Task<Result<topology::TimelineHistory>> read_timeline_history(HandPtr hand, Timeline timeline,
                                                              MonoTime deadline);

}  // namespace baton::engine::postgresql
