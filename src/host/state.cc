#include "host/state.h"

#include <fmt/format.h>

#include <boost/json/parse.hpp>
#include <boost/json/value_to.hpp>

#include "base/json_writer.h"
#include "base/text.h"
#include "host/files.h"

namespace baton::host {
namespace {

namespace json = boost::json;

constexpr int format_version = 1;

/// Thrown and caught within parse_memory() only.
struct Damaged {
    std::string what;
};

const json::value& member(const json::object& object, std::string_view name) {
    const auto* found = object.if_contains(name);
    if (found == nullptr) throw Damaged{fmt::format("'{}' is missing", name)};
    return *found;
}

std::string text_of(const json::object& object, std::string_view name) {
    const auto* text = member(object, name).if_string();
    if (text == nullptr) throw Damaged{fmt::format("'{}' is no text", name)};
    return std::string(*text);
}

uint64_t number_of(const json::object& object, std::string_view name) {
    json::error_code ec;
    const auto& value = member(object, name);
    const auto number = value.is_number() ? value.to_number<uint64_t>(ec) : 0;
    if (!value.is_number() || ec) throw Damaged{fmt::format("'{}' is no number", name)};
    return number;
}

const json::object& object_of(const json::value& value, std::string_view name) {
    const auto* object = value.if_object();
    if (object == nullptr) throw Damaged{fmt::format("'{}' is no object", name)};
    return *object;
}

Hold hold_of(const std::string& word) {
    for (const auto hold : {Hold::none, Hold::down, Hold::fenced}) {
        if (word == topology::to_string(hold)) return hold;
    }
    throw Damaged{fmt::format("the hold '{}' is not known", printable(word))};
}

agent::Grant grant_of(const json::object& object) {
    agent::Grant g;
    g.epoch = number_of(object, "epoch");
    g.number = number_of(object, "number");
    g.on = member(object, "on") == true;
    g.lease = milliseconds(std::min<uint64_t>(number_of(object, "lease_ms"), 3600'000));
    const auto* members = member(object, "promotable").if_array();
    if (members == nullptr) throw Damaged{"'promotable' is no list"};
    for (const auto& m : *members) {
        const auto& one = object_of(m, "promotable");
        const auto key = topology::parse_instance_key(text_of(one, "key"), 1);
        if (!key) throw Damaged{key.error().text()};
        g.promotable.push_back({*key, text_of(one, "agent")});
    }
    return g;
}

Kept kept_of(const json::object& object) {
    Kept k;
    k.system_identifier = text_of(object, "system_identifier");
    k.hold = hold_of(text_of(object, "hold"));
    k.hold_reason = text_of(object, "hold_reason");
    k.quarantine = text_of(object, "quarantine");
    k.clear_until = MonoTime(Duration(static_cast<int64_t>(number_of(object, "clear_until_ns"))));
    k.grant = grant_of(object_of(member(object, "grant"), "grant"));
    return k;
}

void write_kept(JsonWriter& w, const Kept& k) {
    w.begin_object();
    w.field("system_identifier", k.system_identifier).field("hold", topology::to_string(k.hold));
    w.field("hold_reason", k.hold_reason).field("quarantine", k.quarantine);
    w.field("clear_until_ns", std::max<int64_t>(0, k.clear_until.time_since_epoch().count()));
    w.key("grant").begin_object();
    w.field("epoch", k.grant.epoch).field("number", k.grant.number).field("on", k.grant.on);
    w.field("lease_ms", k.grant.lease.count());
    w.key("promotable").begin_array();
    for (const auto& m : k.grant.promotable)
        w.begin_object().field("key", m.key.text()).field("agent", m.agent_address).end_object();
    w.end_array().end_object().end_object();
}

}  // namespace

std::string to_text(const Memory& memory) {
    JsonWriter w;
    w.begin_object();
    w.field("version", format_version).field("agent", memory.agent).field("epoch", memory.epoch);
    w.field("boot", memory.boot);
    w.key("instances").begin_object();
    for (const auto& [directory, kept] : memory.instances) {
        w.key(directory);
        write_kept(w, kept);
    }
    w.end_object().end_object();
    return w.take() + "\n";
}

Result<Memory> parse_memory(std::string_view text) {
    json::error_code ec;
    const auto value = json::parse(text, ec);
    if (ec) return fail(ErrorKind::invalid_argument, "it is no JSON: " + ec.message());
    try {
        const auto& object = object_of(value, "the whole");
        if (const auto version = number_of(object, "version"); version != format_version)
            throw Damaged{
                fmt::format("it is of version {}, and this agent knows {}", version, format_version)};
        Memory m;
        m.agent = text_of(object, "agent");
        m.epoch = number_of(object, "epoch");
        m.boot = text_of(object, "boot");
        for (const auto& entry : object_of(member(object, "instances"), "instances")) {
            const std::string directory(entry.key());
            m.instances.emplace(directory, kept_of(object_of(entry.value(), directory)));
        }
        if (m.agent.empty()) throw Damaged{"'agent' is empty"};
        return m;
    } catch (const Damaged& d) {
        return fail(ErrorKind::invalid_argument, d.what);
    }
}

}  // namespace baton::host
