#pragma once

#include <deque>

#include "cli/client.h"
#include "fuzz.h"

/// A client whose manager says what the input says.
namespace baton::fuzz {

/// Gives the answers in their order, and the last one for ever.
class Answers final : public cli::Http {
  public:
    Answers(int status, std::vector<std::string> bodies) : status_(status), bodies_(std::move(bodies)) {
        if (bodies_.empty()) bodies_.emplace_back();
    }
    Result<cli::HttpReply> get(const cli::HttpRequest& request) override {
        urls.push_back(request.url);
        return cli::HttpReply{status_, bodies_[std::min(next_++, bodies_.size() - 1)]};
    }
    Result<void> stream(const cli::HttpRequest& request,
                        std::function<bool(std::string_view)> on_data) override {
        urls.push_back(request.url);
        for (const auto& header : request.headers)
            require(header.find_first_of("\r\n") == std::string::npos, "a header is one line", header);
        // In small pieces, as a network may deliver it.
        const std::string_view body = bodies_[std::min(next_++, bodies_.size() - 1)];
        for (size_t at = 0; at < body.size(); at += 7)
            if (!on_data(body.substr(at, 7))) break;
        return {};
    }

    std::vector<std::string> urls;

  private:
    int status_;
    std::vector<std::string> bodies_;
    size_t next_ = 0;
};

struct Outcome {
    int code = -1;
    std::string out, err;
};

inline Outcome run(cli::Personality personality, std::vector<std::string> args, Answers& answers,
                   bool terminal) {
    Outcome outcome;
    cli::Io io;
    int looks = 0;
    io.out = [&](std::string_view text) { outcome.out += text; };
    io.err = [&](std::string_view text) { outcome.err += text; };
    io.env = [](std::string_view) { return std::optional<std::string>(); };
    io.sleep = [](milliseconds) {};
    io.now = [] { return WallTime(seconds(1795170653)); };
    // Watching and following end after a while.
    io.stopped = [&looks] { return ++looks > 20; };
    io.http = &answers;
    io.is_terminal = terminal;
    io.user_name = "ops";
    outcome.code = cli::run_client(personality, std::move(args), io);
    require(outcome.code >= cli::exit_ok && outcome.code <= cli::exit_unreachable,
            "an exit code is one of four");
    return outcome;
}

inline cli::Personality personality_of(std::string_view name) {
    if (name == "orchestrator") return cli::Personality::orchestrator;
    return name == "orchestrator-client" ? cli::Personality::orchestrator_client : cli::Personality::baton;
}

}  // namespace baton::fuzz
