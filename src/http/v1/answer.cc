#include "http/v1/answer.h"

#include <fmt/format.h>

#include "base/text.h"

namespace baton::http::v1 {

namespace {

Response envelope(int status, std::string_view code, std::string_view message, std::string_view details) {
    JsonWriter out;
    out.reserve(message.size() + details.size() + 64);
    out.begin_object().field("Code", code).field("Message", message);
    out.key("Details").raw(details);
    out.end_object();
    return {.status = status, .body = out.take()};
}

}  // namespace

Response bare(std::string json, int status) {
    return {.status = status, .body = std::move(json)};
}

Response ok(std::string_view message, std::string_view details) {
    return envelope(200, "OK", message, details);
}

Response failed(std::string_view message, std::string_view details) {
    return envelope(500, "ERROR", message, details);
}

Response failed(const Error& error) {
    return failed(error.text());
}

std::string key_json(const InstanceKey& key) {
    return json_of([&](JsonWriter& out) { write_key(out, key); });
}

std::string keys_json(std::span<const InstanceKey> keys) {
    return json_of([&](JsonWriter& out) { write_keys(out, keys); });
}

std::string text_json(std::string_view text) {
    return json_of([&](JsonWriter& out) { out.value(text); });
}

std::string instance_json(const View& view, const Instance& instance) {
    return json_of([&](JsonWriter& out) { write_instance(out, view, instance); });
}

std::string instances_json(const View& view, std::vector<InstancePtr> instances) {
    return json_of([&](JsonWriter& out) { write_instances(out, view, std::move(instances)); });
}

std::string text_param(const Request& request, const std::string& name) {
    return std::string(trim(request.param(name)));
}

std::string text_query(const Request& request, const std::string& name) {
    return std::string(trim(request.query_value(name)));
}

Result<InstanceKey> key_param(const Request& request, const std::string& host, const std::string& port) {
    const auto host_text = text_param(request, host);
    const auto port_text = text_param(request, port);
    const auto number = parse_uint(port_text);
    if (!number || *number == 0 || *number > 65535) {
        return fail(ErrorKind::invalid_argument,
                    fmt::format("Invalid port: {}; a port is a number from 1 to 65535", port_text),
                    host_text);
    }
    const bool bare_v6 = host_text.contains(':') && !host_text.starts_with('[');
    return topology::parse_instance_key(
        bare_v6 ? fmt::format("[{}]:{}", host_text, port_text) : fmt::format("{}:{}", host_text, port_text),
        0);
}

Result<InstancePtr> known_instance(const View& view, const Request& request, const std::string& host,
                                   const std::string& port) {
    const auto key = key_param(request, host, port);
    if (!key) return std::unexpected(key.error());
    if (auto instance = view.topology->find_instance(*key)) return instance;
    return fail(ErrorKind::not_found, "Cannot read instance: " + key->text());
}

Result<InstanceKey> canonical_key(const View& view, const Request& request) {
    auto key = key_param(request);
    if (!key) return key;
    const auto instance = view.topology->find_instance(*key);
    return instance ? instance->key : *key;
}

Result<ClusterPtr> known_cluster(const View& view, const std::string& hint) {
    const auto port = static_cast<uint16_t>(view.config->DefaultInstancePort);
    if (auto cluster = view.topology->find_cluster(std::string(trim(hint)), port)) return cluster;
    return fail(ErrorKind::not_found,
                fmt::format("Unable to determine cluster name. clusterHint={}", trim(hint)));
}

int page_of(const Request& request) {
    constexpr int64_t last_page = 1'000'000;
    const auto page = parse_int(text_param(request, "page"));
    return page && *page >= 0 && *page <= last_page ? static_cast<int>(*page) : 0;
}

Result<seconds> parse_duration(std::string_view text) {
    constexpr int64_t hour = 3600, day = 24 * hour, longest = 100 * 365 * day;
    const auto trimmed = trim(text);
    int64_t unit = 0;
    switch (trimmed.empty() ? '\0' : trimmed.back()) {
        case 's':
            unit = 1;
            break;
        case 'm':
            unit = 60;
            break;
        case 'h':
            unit = hour;
            break;
        case 'd':
            unit = day;
            break;
        case 'w':
            unit = 7 * day;
            break;
        default:
            break;
    }
    const auto count = unit == 0 ? std::nullopt : parse_uint(trimmed.substr(0, trimmed.size() - 1));
    if (!count || *count > static_cast<uint64_t>(longest / unit)) {
        return fail(
            ErrorKind::invalid_argument,
            fmt::format(
                "Cannot parse duration: {}; it is a number and s, m, h, d or w, as in 30s, 10m, 2h, 3d "
                "or 1w, and at most 100 years",
                trimmed));
    }
    return seconds(static_cast<int64_t>(*count) * unit);
}

Handler reading(Reader reader) {
    return [reader = std::move(reader)](const Context& context, const Request& request) -> Task<Response> {
        const auto view = context.view();
        auto answer = reader(*view, request);
        co_return answer ? std::move(*answer) : failed(answer.error());
    };
}

Handler acting(Actor actor) {
    return [actor = std::move(actor)](const Context& context, const Request& request) -> Task<Response> {
        auto answer = co_await actor(context, request);
        co_return answer ? std::move(*answer) : failed(answer.error());
    };
}

Table& Table::add(std::string_view patterns, bool needs_write, const Handler& handler,
                  const std::string& doc) {
    for (const auto& pattern : split(patterns, ' ')) {
        routes_.push_back({.method = "GET",
                           .pattern = pattern,
                           .needs_write = needs_write,
                           .handler = handler,
                           .doc = doc});
    }
    return *this;
}

Table& Table::read(std::string_view patterns, Reader reader, std::string doc) {
    return add(patterns, false, reading(std::move(reader)), doc);
}

Table& Table::read_if_permitted(std::string_view patterns, Reader reader, std::string doc) {
    return add(patterns, true, reading(std::move(reader)), doc);
}

Table& Table::ask(std::string_view patterns, Actor actor, std::string doc) {
    return add(patterns, false, acting(std::move(actor)), doc);
}

Table& Table::act(std::string_view patterns, Actor actor, std::string doc) {
    return add(patterns, true, acting(std::move(actor)), doc);
}

}  // namespace baton::http::v1
