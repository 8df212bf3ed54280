// All that comes over one connection, through the parser, the whole route table and the handlers, before a
// small world that answers at once: every answer is well-formed HTTP, what says that it is JSON is JSON, and
// no handler throws.
#include "http/session.h"

#include <spdlog/spdlog.h>

#include <boost/beast/http.hpp>

#include "fuzz.h"
#include "http/fake_control.h"

namespace baton::http {
namespace {

namespace beast_http = boost::beast::http;

/// A client that has said everything already, and reads whatever it is told.
class MemoryStream final : public net::Stream {
  public:
    MemoryStream(asio::any_io_executor executor, std::string_view given, std::string& answered)
        : executor_(std::move(executor)), given_(given), answered_(answered) {
        peer_.address = "192.0.2.1";
    }
    Task<Result<void>> handshake(Duration) override { co_return Result<void>{}; }
    Task<Result<size_t>> read(asio::mutable_buffer into, std::optional<Duration>) override {
        if (given_.empty()) co_return fail(ErrorKind::broken, "end of input");
        // In pieces, as a network delivers it; of changing size, so that a piece ends everywhere.
        const size_t count = std::min({given_.size(), into.size(), size_t{1} << (reads_++ % 14)});
        std::memcpy(into.data(), given_.data(), count);
        given_.remove_prefix(count);
        co_return count;
    }
    Task<Result<void>> write(std::string_view bytes, Duration) override {
        answered_ += bytes;
        co_return Result<void>{};
    }
    void cancel() override { given_ = {}; }
    Task<void> close(Duration) override { co_return; }
    const net::Peer& peer() const override { return peer_; }
    bool held_up() const override { return false; }
    asio::any_io_executor executor() override { return executor_; }

  private:
    asio::any_io_executor executor_;
    std::string_view given_;
    std::string& answered_;
    unsigned reads_ = 10;
    net::Peer peer_;
};

/// Takes one answer off the front; false when the rest is the open end of a stream.
bool check_answer(std::string_view& rest) {
    beast_http::response_parser<beast_http::string_body> parser;
    parser.body_limit(boost::none);
    parser.eager(true);
    boost::system::error_code code;
    const size_t used = parser.put(asio::buffer(rest.data(), rest.size()), code);
    fuzz::require(!code || code == beast_http::error::need_more, "an answer is HTTP", rest);
    fuzz::require(parser.is_header_done(), "an answer has a head", rest);
    rest.remove_prefix(used);
    if (!parser.is_done()) return false;
    const auto& answer = parser.get();
    const auto status = answer.result_int();
    fuzz::require(status < 600 && (status == 100 || answer.count(beast_http::field::content_type) == 1),
                  "an answer says what it is", rest);
    const std::string& body = answer.body();
    fuzz::require(!body.contains("internal error in "), "no handler throws", body);
    const bool plain = answer.count(beast_http::field::content_encoding) == 0 && !body.empty();
    if (plain && answer[beast_http::field::content_type].starts_with("application/json"))
        fuzz::require_json(body, "JSON is JSON");
    return true;
}

/// The route table is made once, since that takes longer than most requests; the world behind it is made
/// anew, in the same place, for each input.
class Manager {
  public:
    Manager()
        : control_(std::in_place, io_.get_executor()),
          application_(std::make_shared<Application>(Context{*control_}, ServerOptions{}, routes())) {}

    std::string answers_to(std::string_view given) {
        control_.emplace(io_.get_executor());
        std::string answered;
        auto stream = std::make_unique<MemoryStream>(io_.get_executor(), given, answered);
        const auto session = std::make_shared<Session>(std::move(stream), application_,
                                                       std::make_shared<ServerFigures>(), SessionLimits{});
        asio::co_spawn(io_, session->run(), asio::detached);
        io_.restart();
        io_.run();
        return answered;
    }

  private:
    static std::vector<Route> routes() {
        auto all = all_routes(ServerOptions{});
        // An endless answer would need a server around it.
        std::erase_if(all, [](const Route& r) { return r.pattern.ends_with("/events"); });
        return all;
    }

    asio::io_context io_;
    std::optional<testing::FakeControl> control_;
    std::shared_ptr<Application> application_;
};

void serve(std::string_view given) {
    static Manager manager;
    const std::string answered = manager.answers_to(given);
    // The answer to a HEAD names the length of a body that does not come: only who asked knows where it ends.
    if (given.contains("HEAD ")) return;
    for (std::string_view rest = answered; !rest.empty();) {
        if (!check_answer(rest)) break;
    }
}

}  // namespace
}  // namespace baton::http

extern "C" int LLVMFuzzerInitialize(int*, char***) {
    spdlog::set_level(spdlog::level::off);
    return 0;
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    baton::http::serve(baton::fuzz::text_of(data, size));
    return 0;
}
