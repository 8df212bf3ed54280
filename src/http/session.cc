#include "http/session.h"

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/status.hpp>
#include <boost/beast/http/string_body.hpp>
#include <ctime>

#include "base/async.h"
#include "base/text.h"
#include "http/compress.h"

namespace baton::http {

namespace beast_http = boost::beast::http;

namespace {

/// Answers up to this size leave in one write together with their header.
constexpr size_t one_write_bytes = 16384;
/// The write limit holds for each piece: a slow client with a big answer is not cut as long as it keeps
/// taking it.
constexpr size_t piece_bytes = 262144;

MonoTime steady_now() {
    return MonoTime(std::chrono::steady_clock::now().time_since_epoch());
}

WallTime wall_now() {
    return std::chrono::time_point_cast<std::chrono::microseconds>(std::chrono::system_clock::now());
}

std::string text_of(boost::beast::string_view text) {
    return {text.data(), text.size()};
}

/// A header value that holds a line break would be the start of another header.
std::string header_line(std::string_view name, std::string_view value) {
    auto line = fmt::format("{}: {}", name, value);
    std::erase_if(line, [](char c) { return c == '\r' || c == '\n' || c == '\0'; });
    return line + "\r\n";
}

std::string status_line(int status) {
    return fmt::format("HTTP/1.1 {} {}\r\n", status,
                       text_of(beast_http::obsolete_reason(static_cast<beast_http::status>(status))));
}

std::string head_of(const Response& response, bool keep_alive) {
    auto head = status_line(response.status);
    head += header_line("Content-Type", response.content_type);
    for (const auto& [name, value] : response.headers)
        head += header_line(name, value);
    head += header_line("Date", http_date(wall_now()));
    if (!keep_alive) head += "Connection: close\r\n";
    return head;
}

void compress(Response& response) {
    if (response.body.size() <= compress_above_bytes) return;
    if (auto smaller = gzip(response.body)) {
        response.body = std::move(*smaller);
        response.headers.emplace_back("Content-Encoding", "gzip");
    }
}

Response malformed(const boost::system::error_code& code) {
    if (code == beast_http::error::header_limit)
        return plain_text(431, "431 Request Header Fields Too Large\n");
    if (code == beast_http::error::body_limit) return plain_text(413, "413 Request Entity Too Large\n");
    return plain_text(400, "400 Bad Request: " + code.message() + "\n");
}

std::string find_header(const Headers& headers, std::string_view name) {
    const auto it = std::ranges::find_if(headers, [&](const auto& h) { return iequals(h.first, name); });
    return it == headers.end() ? std::string() : it->second;
}

}  // namespace

std::string http_date(WallTime t) {
    const auto seconds_since_1970 = std::chrono::floor<std::chrono::seconds>(t).time_since_epoch().count();
    const time_t time = static_cast<time_t>(seconds_since_1970);
    std::tm parts{};
    ::gmtime_r(&time, &parts);
    static constexpr std::array days{"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
    static constexpr std::array months{"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                       "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
    return fmt::format("{}, {:02} {} {} {:02}:{:02}:{:02} GMT", days[static_cast<size_t>(parts.tm_wday)],
                       parts.tm_mday, months[static_cast<size_t>(parts.tm_mon)], 1900 + parts.tm_year,
                       parts.tm_hour, parts.tm_min, parts.tm_sec);
}

/// What came of reading a request: a request, an answer to what is no request, or the end of the connection.
struct Session::RequestRead {
    std::optional<Incoming> incoming;
    std::optional<Response> refusal;
    bool keep_alive = false;
    bool head_only = false;
    bool gzip = false;
};

/// The open end of a streamed answer.
class Session::Writer final : public BodyWriter {
  public:
    explicit Writer(Session& session) : session_(session) {}
    Task<bool> write(std::string_view piece) override {
        if (closed_) co_return false;
        co_return co_await session_.write_pieces(piece);
    }
    asio::any_io_executor executor() override { return session_.stream_->executor(); }
    void when_closed(std::function<void()> callback) override {
        callback_ = std::move(callback);
        if (closed_) callback_();
    }
    void close() {
        if (std::exchange(closed_, true)) return;
        if (callback_) callback_();
    }

  private:
    Session& session_;
    std::function<void()> callback_;
    bool closed_ = false;
};

Session::Session(std::unique_ptr<net::Stream> stream, std::shared_ptr<const Application> application,
                 std::shared_ptr<ServerFigures> figures, SessionLimits limits)
    : stream_(std::move(stream)),
      application_(std::move(application)),
      figures_(std::move(figures)),
      limits_(limits) {}

void Session::stop() {
    stopping_ = true;
    if (!answering_ || streaming_) stream_->cancel();
}

Task<void> Session::run() {
    std::string trouble;
    try {
        co_await serve();
    } catch (const std::exception& e) {
        trouble = e.what();
    }
    if (!trouble.empty()) spdlog::error("connection from {} given up: {}", stream_->peer().address, trouble);
}

Task<void> Session::serve() {
    if (stopping_) co_return;
    if (auto shaken = co_await stream_->handshake(limits_.handshake); !shaken) {
        spdlog::debug("TLS handshake with {} failed: {}", stream_->peer().address, shaken.error().message);
        co_return;
    }
    bool go_on = true;
    while (go_on && !stopping_) {
        auto request = co_await read_request();
        if (!request.incoming && !request.refusal) break;
        answering_ = true;
        ++figures_->requests;
        auto response =
            request.refusal ? std::move(*request.refusal) : co_await application_->answer(*request.incoming);
        if (response.status >= 500) ++figures_->server_errors;
        go_on = co_await respond(request, std::move(response));
        answering_ = false;
    }
    co_await stream_->close(milliseconds(500));
}

/// False: no more will come; `result` says what to do.
Task<bool> Session::read_more(std::optional<MonoTime>& deadline, RequestRead& result) {
    std::array<char, 8192> chunk;
    const bool idle = received_.empty() && !deadline;
    const Duration limit = idle ? limits_.idle : deadline ? *deadline - steady_now() : limits_.request;
    const auto count = limit > Duration{} ? co_await stream_->read(asio::buffer(chunk), limit)
                                          : fail(ErrorKind::timeout, "the request took too long");
    if (!count) {
        if (!idle && count.error().kind == ErrorKind::timeout)
            result.refusal = plain_text(408, "408 Request Timeout\n");
        co_return false;
    }
    if (!deadline) deadline = steady_now() + limits_.request;
    received_.append(chunk.data(), *count);
    co_return true;
}

/// Turns a complete message into a request, or into a refusal.
template <class Message>
void Session::accept(const Message& message, RequestRead& result) const {
    Incoming incoming{.method = text_of(message.method_string()),
                      .target = text_of(message.target()),
                      .headers = {},
                      .peer = stream_->peer()};
    for (const auto& field : message) {
        incoming.headers.emplace_back(text_of(field.name_string()), text_of(field.value()));
    }
    result.head_only = incoming.method == "HEAD";
    if (message.version() >= 11 && message.count(beast_http::field::host) == 0) {
        result.refusal = plain_text(400, "400 Bad Request: missing required Host header\n");
        return;
    }
    result.keep_alive = message.keep_alive();
    result.gzip = accepts_gzip(find_header(incoming.headers, "Accept-Encoding"));
    result.incoming.emplace(std::move(incoming));
}

Task<Session::RequestRead> Session::read_request() {
    beast_http::request_parser<beast_http::string_body> parser;
    parser.eager(true);
    parser.header_limit(static_cast<uint32_t>(limits_.header_bytes));
    parser.body_limit(limits_.body_bytes);
    RequestRead result;
    std::optional<MonoTime> deadline;
    if (!received_.empty()) deadline = steady_now() + limits_.request;
    bool continued = false;
    while (!parser.is_done()) {
        boost::system::error_code code;
        if (!received_.empty()) received_.erase(0, parser.put(asio::buffer(received_), code));
        if (code && code != beast_http::error::need_more) {
            result.refusal = malformed(code);
            co_return result;
        }
        if (parser.is_done()) break;
        if (parser.is_header_done() && !continued &&
            iequals(text_of(parser.get()[beast_http::field::expect]), "100-continue")) {
            continued = true;
            if (!co_await write_pieces("HTTP/1.1 100 Continue\r\n\r\n")) co_return result;
        }
        if (!co_await read_more(deadline, result)) co_return result;
    }
    accept(parser.get(), result);
    co_return result;
}

Task<bool> Session::respond(const RequestRead& request, Response response) {
    if (request.incoming) {
        spdlog::debug("{} {} {} -> {}", stream_->peer().address, request.incoming->method,
                      request.incoming->target, response.status);
    }
    if (response.stream && !request.head_only) return respond_stream(std::move(response));
    return respond_body(request, std::move(response));
}

Task<bool> Session::respond_body(const RequestRead& request, Response response) {
    const bool keep_alive = request.keep_alive && !stopping_;
    response.headers.emplace_back("Vary", "Accept-Encoding");
    if (request.gzip) compress(response);
    auto head = head_of(response, keep_alive);
    if (!response.stream) head += header_line("Content-Length", std::to_string(response.body.size()));
    head += "\r\n";
    if (request.head_only) response.body.clear();
    if (response.body.size() <= one_write_bytes) {
        head += response.body;
        response.body.clear();
    }
    if (!co_await write_pieces(head) || !co_await write_pieces(response.body)) co_return false;
    co_return keep_alive;
}

Task<bool> Session::respond_stream(Response response) {
    streaming_ = true;
    if (co_await write_pieces(head_of(response, false) + "\r\n") && !stopping_) {
        const auto writer = std::make_shared<Writer>(*this);
        spawn(stream_->executor(),
              [](std::shared_ptr<Session> self, std::shared_ptr<Writer> w) -> Task<void> {
                  co_await self->watch_for_leaving(w);
              }(shared_from_this(), writer));
        co_await response.stream(*writer);
    }
    stream_->cancel();
    co_return false;
}

Task<void> Session::watch_for_leaving(std::shared_ptr<Writer> writer) {
    std::array<char, 1024> ignored;
    // Whatever a client says after it asked for a stream has no meaning; that it stops saying anything has.
    while (co_await stream_->read(asio::buffer(ignored), std::nullopt)) {
    }
    writer->close();
}

Task<bool> Session::write_pieces(std::string_view text) {
    while (!text.empty()) {
        const auto piece = text.substr(0, piece_bytes);
        if (auto written = co_await stream_->write(piece, limits_.write); !written) co_return false;
        text.remove_prefix(piece.size());
    }
    co_return true;
}

}  // namespace baton::http
