#pragma once

#include <gtest/gtest.h>

#include <deque>
#include <map>
#include <string>
#include <vector>

#include "cli/client.h"

namespace baton::cli {

/// An API made of prepared answers; everything asked is kept.
class FakeHttp : public Http {
  public:
    std::map<std::string, HttpReply> replies;         ///< by path below /api/
    std::map<std::string, std::deque<Error>> errors;  ///< by path: given before any reply
    std::map<std::string, HttpReply> by_url;          ///< by whole address
    std::string stream_body;
    std::vector<HttpRequest> requests;
    HttpReply otherwise{404, "404 page not found"};
    std::optional<Error> unreachable;

    Result<HttpReply> get(const HttpRequest& request) override {
        requests.push_back(request);
        if (unreachable) return std::unexpected(*unreachable);
        if (const auto found = by_url.find(request.url); found != by_url.end()) return found->second;
        const std::string path = path_of(request.url);
        if (auto& queue = errors[path]; !queue.empty()) {
            const Error error = queue.front();
            queue.pop_front();
            return std::unexpected(error);
        }
        const auto found = replies.find(path);
        return found == replies.end() ? otherwise : found->second;
    }

    Result<void> stream(const HttpRequest& request, std::function<bool(std::string_view)> on_data) override {
        requests.push_back(request);
        if (unreachable) return std::unexpected(*unreachable);
        // In small pieces, as a network may deliver it.
        for (size_t at = 0; at < stream_body.size(); at += 7)
            if (!on_data(std::string_view(stream_body).substr(at, 7))) break;
        return {};
    }

    std::vector<std::string> paths() const {
        std::vector<std::string> out;
        for (const auto& request : requests)
            out.push_back(path_of(request.url));
        return out;
    }

    static std::string path_of(const std::string& url) {
        const auto at = url.find("/api/");
        return at == std::string::npos ? url : url.substr(at + 5);
    }
};

/// What one call of the client left behind.
struct Outcome {
    int code = -1;
    std::string out;
    std::string err;
};

class FakeWorld {
  public:
    FakeHttp http;
    std::map<std::string, std::string> environment;
    std::vector<milliseconds> sleeps;
    bool is_terminal = false;
    std::map<std::string, ConfiguredApi> configured;  ///< by file
    int rounds = 1;                                   ///< how many times --watch may look

    Outcome run(Personality personality, std::vector<std::string> args) {
        Outcome outcome;
        Io io;
        io.out = [&](std::string_view text) { outcome.out += text; };
        io.err = [&](std::string_view text) { outcome.err += text; };
        io.env = [&](std::string_view name) -> std::optional<std::string> {
            const auto found = environment.find(std::string(name));
            return found == environment.end() ? std::nullopt : std::optional(found->second);
        };
        io.sleep = [&](milliseconds pause) { sleeps.push_back(pause); };
        io.now = [] { return WallTime(seconds(1795170653)); };
        io.stopped = [left = rounds]() mutable { return left-- <= 0; };
        io.configured_api = [&](const std::string& file) -> std::optional<ConfiguredApi> {
            const auto found = configured.find(file);
            return found == configured.end() ? std::nullopt : std::optional(found->second);
        };
        io.http = &http;
        io.is_terminal = is_terminal;
        io.process_id = 25847;
        io.user_name = "ops";
        outcome.code = run_client(personality, std::move(args), io);
        return outcome;
    }

    Outcome script(std::vector<std::string> args) {
        return run(Personality::orchestrator_client, std::move(args));
    }
    Outcome binary(std::vector<std::string> args) { return run(Personality::orchestrator, std::move(args)); }
    Outcome baton(std::vector<std::string> args) { return run(Personality::baton, std::move(args)); }
};

/// A command line cut at its blanks, except within single quotes.
inline std::vector<std::string> words(std::string_view line) {
    std::vector<std::string> out;
    std::string word;
    bool quoted = false;
    for (const char c : line) {
        if (c == '\'') {
            quoted = !quoted;
        } else if (c != ' ' || quoted) {
            word += c;
        } else if (!word.empty()) {
            out.push_back(std::exchange(word, {}));
        }
    }
    if (!word.empty()) out.push_back(word);
    return out;
}

inline std::string ok(std::string_view details, std::string_view message = "") {
    return R"({"Code":"OK","Message":")" + std::string(message) + R"(","Details":)" + std::string(details) +
           "}";
}
inline HttpReply no(std::string_view message, std::string_view details = "null") {
    return {500, R"({"Code":"ERROR","Message":")" + std::string(message) + R"(","Details":)" +
                     std::string(details) + "}"};
}

}  // namespace baton::cli
