#pragma once

#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/async.h"

namespace baton::routing {

/// What a console answers to one command.
struct Answer {
    std::string error;                           ///< "" = none
    std::vector<std::string> columns;            ///< none: only a completed command
    std::vector<std::vector<std::string>> rows;  ///< of text
    bool never = false;                          ///< it keeps the client waiting
};

/// A server that lets everybody in and answers by a script, on the loop of a test (PostgreSQL manual, 55.7).
template <class Protocol>
class FakeConsoleOn {
  public:
    using Script = std::function<Answer(const std::string& command)>;
    FakeConsoleOn(asio::any_io_executor executor, Script script,
                  typename Protocol::endpoint where = loopback())
        : state_(std::make_shared<State>(executor, where, std::move(script))) {
        spawn(executor, accept(state_));
    }
    ~FakeConsoleOn() {
        state_->acceptor.close();
        for (auto& socket : state_->sockets)
            socket->close();
    }
    uint16_t port() const { return state_->acceptor.local_endpoint().port(); }
    const std::vector<std::string>& commands() const { return state_->commands; }

  private:
    using Socket = typename Protocol::socket;
    static typename Protocol::endpoint loopback() {
        if constexpr (std::is_same_v<Protocol, asio::ip::tcp>)
            return {asio::ip::address_v4::loopback(), 0};
        else
            return {};
    }
    struct State {
        State(const asio::any_io_executor& executor, const typename Protocol::endpoint& where, Script s)
            : acceptor(executor, where), script(std::move(s)) {}
        typename Protocol::acceptor acceptor;
        Script script;
        std::vector<std::string> commands;
        std::vector<std::shared_ptr<Socket>> sockets;
    };
    using StatePtr = std::shared_ptr<State>;

    static void put(std::string& out, uint32_t n, int bytes) {
        for (int i = bytes - 1; i >= 0; --i)
            out += static_cast<char>(n >> (8 * i));
    }
    static std::string message(char type, const std::string& body) {
        std::string out(1, type);
        put(out, static_cast<uint32_t>(body.size() + 4), 4);
        return out + body;
    }
    static uint32_t number(const char* at) {
        uint32_t n = 0;
        for (int i = 0; i < 4; ++i)
            n = n << 8 | static_cast<unsigned char>(at[i]);
        return n;
    }
    static std::string text(const std::string& s) { return s + '\0'; }

    static std::string answer_of(const Answer& a) {
        std::string out;
        if (!a.error.empty()) {
            out = message('E', text("SERROR") + text("C08P01") + text("M" + a.error) + '\0');
        } else if (!a.columns.empty()) {
            std::string head;
            put(head, static_cast<uint32_t>(a.columns.size()), 2);
            for (const auto& c : a.columns)
                head += text(c) + std::string(6, '\0') +
                        std::string("\0\0\0\x19\xff\xff\xff\xff\xff\xff\0\0", 12);
            out = message('T', head);
            for (const auto& row : a.rows) {
                std::string body;
                put(body, static_cast<uint32_t>(row.size()), 2);
                for (const auto& cell : row) {
                    put(body, static_cast<uint32_t>(cell.size()), 4);
                    body += cell;
                }
                out += message('D', body);
            }
            out += message('C', text("SHOW"));
        } else {
            out = message('C', text("OK"));
        }
        return out + message('Z', "I");
    }

    static Task<std::optional<std::string>> take(Socket& socket, size_t n) {
        std::string bytes(n, '\0');
        boost::system::error_code ec;
        co_await asio::async_read(socket, asio::buffer(bytes), asio::redirect_error(asio::use_awaitable, ec));
        if (ec) co_return std::nullopt;
        co_return bytes;
    }
    static Task<void> give(Socket& socket, std::string bytes) {
        boost::system::error_code ec;
        co_await asio::async_write(socket, asio::buffer(bytes),
                                   asio::redirect_error(asio::use_awaitable, ec));
    }

    static Task<bool> let_in(Socket& socket) {
        for (;;) {
            const auto head = co_await take(socket, 8);
            if (!head) co_return false;
            const auto rest = co_await take(socket, number(head->data()) - 8);
            if (!rest) co_return false;
            const bool asks_for_tls = number(head->data() + 4) == 80877103;
            if (!asks_for_tls) break;
            co_await give(socket, "N");
        }
        co_await give(socket, message('R', std::string(4, '\0')) + message('Z', "I"));
        co_return true;
    }

    static Task<void> serve(StatePtr state, std::shared_ptr<Socket> socket) {
        if (!co_await let_in(*socket)) co_return;
        for (;;) {
            const auto head = co_await take(*socket, 5);
            if (!head) co_return;
            const auto body = co_await take(*socket, number(head->data() + 1) - 4);
            if (!body || head->front() != 'Q') co_return;
            const auto command = body->substr(0, body->size() - 1);
            state->commands.push_back(command);
            const auto answer = state->script(command);
            if (!answer.never) co_await give(*socket, answer_of(answer));
        }
    }

    static Task<void> accept(StatePtr state) {
        for (;;) {
            boost::system::error_code ec;
            auto socket = std::make_shared<Socket>(
                co_await state->acceptor.async_accept(asio::redirect_error(asio::use_awaitable, ec)));
            if (ec) co_return;
            state->sockets.push_back(socket);
            spawn(state->acceptor.get_executor(), serve(state, socket));
        }
    }

    StatePtr state_;
};
using FakeConsole = FakeConsoleOn<asio::ip::tcp>;

}  // namespace baton::routing
