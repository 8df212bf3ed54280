#pragma once

#include <memory>
#include <string>

#include "discovery/member.h"

/// Members of a cluster, in words.
namespace baton::discovery {

inline const std::string system_id = "7300000000000000001";

inline InstanceKey at(const std::string& host, uint16_t port = 5432) {
    return {host, port};
}

inline Observation observed(topology::Role role) {
    Observation o;
    o.engine = topology::Engine::postgresql;
    o.system_identifier = system_id;
    o.role = role;
    o.timeline = 1;
    o.asked_at = MonoTime(seconds(100));
    o.answered_at = MonoTime(seconds(100)) + milliseconds(1);
    return o;
}

inline Member member(InstanceKey key, Observation o) {
    Member m;
    m.key = std::move(key);
    m.cluster_id = system_id;
    m.role = o.role;
    m.seen = std::make_shared<const Observation>(std::move(o));
    m.health.reach = topology::Reach::answering;
    return m;
}

inline Member primary(InstanceKey key) {
    return member(std::move(key), observed(topology::Role::primary));
}

inline Observation standby_of(const InstanceKey& upstream, const std::string& application_name = {},
                              const std::string& slot = {}) {
    auto o = observed(topology::Role::standby);
    o.upstream.hosts = {upstream};
    o.upstream.application_name = application_name;
    o.settings.primary_slot_name = slot;
    o.receiver =
        topology::Receiver{.status = "streaming", .sender_host = upstream.host, .sender_port = upstream.port};
    return o;
}

inline Member standby(InstanceKey key, const InstanceKey& upstream, const std::string& application_name = {},
                      const std::string& slot = {}) {
    auto m = member(std::move(key), standby_of(upstream, application_name, slot));
    m.edge = upstream;
    return m;
}

}  // namespace baton::discovery
