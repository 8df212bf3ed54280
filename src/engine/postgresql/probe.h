#pragma once

#include "engine/postgresql/decode.h"
#include "engine/postgresql/session.h"

namespace baton::engine::postgresql {

std::unique_ptr<Probe> make_probe(std::shared_ptr<Wiring> wiring, const InstanceKey& key);

}  // namespace baton::engine::postgresql
