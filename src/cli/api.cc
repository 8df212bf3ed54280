#include "cli/api.h"

#include "base/text.h"

namespace baton::cli {
namespace {

constexpr milliseconds leader_check_timeout{1000};
constexpr milliseconds read_timeout{30000};
constexpr milliseconds act_timeout{60000};
constexpr milliseconds recover_timeout{120000};
constexpr size_t addresses_max = 64;

/// orchestrator-client's patience; a person at a terminal should know sooner.
constexpr std::array classic_pauses{milliseconds(100),  milliseconds(200),  milliseconds(500),
                                    milliseconds(1000), milliseconds(2000), milliseconds(2500),
                                    milliseconds(5000), milliseconds(0)};
constexpr std::array modern_pauses{milliseconds(100), milliseconds(300), milliseconds(0)};

std::span<const milliseconds> pauses(const Options& options) {
    if (options.command.empty()) return modern_pauses;
    return classic_pauses;
}

milliseconds timeout_of(Deed deed) {
    switch (deed) {
        case Deed::read:
            return read_timeout;
        case Deed::act:
            return act_timeout;
        case Deed::recover:
            return recover_timeout;
    }
    return read_timeout;
}

bool worth_another_try(const Error& error, Deed deed) {
    if (error.kind == ErrorKind::refused || error.kind == ErrorKind::unreachable) return true;
    return deed == Deed::read && (error.kind == ErrorKind::timeout || error.kind == ErrorKind::broken);
}

Error not_json(const HttpReply& reply, const std::string& url) {
    const std::string code = "HTTP " + std::to_string(reply.status);
    if (reply.status == 401)
        return {ErrorKind::authentication,
                "the API at " + url +
                    " wants a user and password; set ORCHESTRATOR_AUTH_USER and ORCHESTRATOR_AUTH_PASSWORD"};
    if (reply.status == 404)
        return {ErrorKind::not_found, url + " is not a route of this API (" + code + ")"};
    const std::string start = printable(trim(std::string_view(reply.body).substr(0, 4096)));
    if (reply.status == 403) return {ErrorKind::authentication, url + ": " + code + " " + start};
    return {ErrorKind::broken, url + " answered something that is not JSON (" + code + "): " + start};
}

Error no_answer(const Error& error, const std::string& path) {
    return {error.kind, "no answer to " + path + " (" + error.message +
                            "); it may have been carried out all the same: look before you try again"};
}

}  // namespace

bool Answer::failed() const {
    if (text_of(body, "Code") == "ERROR" || text_of(body, "status") == "error") return true;
    return status >= 400;
}

std::string Answer::message() const {
    const auto& v2_error = member(body, "error");
    std::string text = v2_error.is_object() ? text_of(v2_error, "message") : text_of(body, "Message");
    if (text.empty() && body.is_string()) text = text_of(body);
    if (text.empty() && failed()) text = "HTTP " + std::to_string(status);
    return text;
}

const json::value& Answer::content() const {
    const auto* object = body.if_object();
    if (object == nullptr) return body;
    if (object->contains("Code") && object->contains("Message")) return member(body, "Details");
    if (object->contains("status") && (object->contains("data") || object->contains("error")))
        return member(body, "data");
    return body;
}

std::string normal_address(std::string_view address) {
    address = trim(address);
    while (address.ends_with('/'))
        address.remove_suffix(1);
    std::string out(address);
    if (out.find("://") == std::string::npos) out = "http://" + out;
    if (!out.ends_with("/api")) out += "/api";
    return out;
}

std::string shown_address(std::string_view address) {
    const auto scheme = address.find("://");
    const auto from = scheme == std::string_view::npos ? 0 : scheme + 3;
    const auto at = address.substr(0, address.find('/', from)).rfind('@');
    if (at == std::string_view::npos || at < from) return std::string(address);
    return std::string(address.substr(0, from)) + std::string(address.substr(at + 1));
}

Api::Api(Io& io, const Options& options) : io_(io), options_(options) {
    for (const auto& part : split(options.api, ' '))
        if (!trim(part).empty() && addresses_.size() < addresses_max)
            addresses_.push_back(normal_address(part));
}

HttpRequest Api::request(std::string url, milliseconds total) const {
    HttpRequest request;
    request.url = std::move(url);
    request.total_timeout = total;
    request.connect_timeout = std::min(request.connect_timeout, total);
    if (!options_.auth_header.empty()) request.headers.push_back(options_.auth_header);
    request.tls = {options_.ca_file, options_.certificate_file, options_.key_file, !options_.insecure};
    if (!options_.auth.empty()) {
        const auto colon = options_.auth.find(':');
        request.user = options_.auth.substr(0, colon);
        if (colon != std::string::npos) request.password = options_.auth.substr(colon + 1);
        return request;
    }
    const auto variable = [&](std::string_view ours, std::string_view theirs) {
        const auto value = io_.env(ours);
        return value && !value->empty() ? *value : io_.env(theirs).value_or("");
    };
    request.user = variable("BATON_AUTH_USER", "ORCHESTRATOR_AUTH_USER");
    request.password = variable("BATON_AUTH_PASSWORD", "ORCHESTRATOR_AUTH_PASSWORD");
    return request;
}

bool Api::answers_ok(const std::string& base, std::string_view path) {
    const auto reply = io_.http->get(request(base + "/" + std::string(path), leader_check_timeout));
    return reply && reply->status == 200;
}

Result<std::string> Api::find_leader() {
    if (addresses_.size() == 1) return addresses_.front();
    for (const std::string_view check : {"leader-check", "routed-leader-check"})
        for (const auto& address : addresses_)
            if (answers_ok(address, check)) return address;
    return fail(ErrorKind::unreachable, "Cannot determine leader from " + shown_addresses());
}

Result<std::string> Api::base() {
    if (!base_.empty()) return base_;
    auto found = find_leader();
    if (found) base_ = *found;
    return found;
}

Result<Answer> Api::try_once(const std::string& path, Deed deed) {
    const auto address = base();
    if (!address) return std::unexpected(address.error());
    const std::string url = *address + "/" + path;
    const auto reply = io_.http->get(request(url, timeout_of(deed)));
    if (!reply) return std::unexpected(reply.error());
    boost::system::error_code error;
    Answer answer{reply->status, json::parse(reply->body, error)};
    if (error) return std::unexpected(not_json(*reply, shown_address(url)));
    return answer;
}

Result<Answer> Api::get(std::string_view path, Deed deed) {
    const std::string route(path);
    Error last;
    for (const auto pause : pauses(options_)) {
        auto answer = try_once(route, deed);
        if (answer) return answer;
        last = answer.error();
        if (!worth_another_try(last, deed)) break;
        // With several addresses the node that led may be the one that went away.
        if (addresses_.size() > 1) base_.clear();
        if (pause.count() > 0) io_.sleep(pause);
    }
    if (worth_another_try(last, Deed::act)) return std::unexpected(no_access(last));
    if (last.kind == ErrorKind::timeout || (last.kind == ErrorKind::broken && deed != Deed::read))
        return std::unexpected(deed == Deed::read ? no_access(last) : no_answer(last, route));
    if (last.kind == ErrorKind::broken && !options_.command.empty()) return std::unexpected(no_access(last));
    return std::unexpected(last);
}

Result<void> Api::stream(std::string_view path, milliseconds quiet, const std::string& last_event_id,
                         std::function<bool(std::string_view)> on_data) {
    const auto address = base();
    if (!address) return std::unexpected(no_access(address.error()));
    auto stream_request = request(*address + "/" + std::string(path), quiet);
    if (!last_event_id.empty()) stream_request.headers.push_back("Last-Event-ID: " + last_event_id);
    return io_.http->stream(stream_request, std::move(on_data));
}

std::string Api::shown_addresses() const {
    std::vector<std::string> shown;
    shown.reserve(addresses_.size());
    for (const auto& address : addresses_)
        shown.push_back(shown_address(address));
    return join(shown, " ");
}

Error Api::no_access(const Error& last) const {
    const std::string where = base_.empty() ? shown_addresses() : shown_address(base_);
    if (last.message.starts_with("Cannot determine leader")) return {ErrorKind::unreachable, last.message};
    if (options_.command.empty())
        return {ErrorKind::unreachable,
                "cannot reach the API at " + where + ": " + last.message +
                    "; is the manager running? Name its address with --api or BATON_API"};
    return {ErrorKind::unreachable,
            "Cannot access orchestrator at " + where +
                ".  Check ORCHESTRATOR_API is configured correctly and orchestrator is running"};
}

}  // namespace baton::cli
