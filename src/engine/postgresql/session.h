#pragma once

#include <libpq-fe.h>

#include <boost/asio/posix/stream_descriptor.hpp>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "engine/postgresql/classify.h"
#include "engine/postgresql/postgresql.h"
#include "engine/resolver.h"

namespace baton::engine::postgresql {

struct ResultDeleter {
    void operator()(PGresult* result) const { PQclear(result); }
};
struct ConnectionDeleter {
    void operator()(PGconn* connection) const { PQfinish(connection); }
};
using ResultPtr = std::unique_ptr<PGresult, ResultDeleter>;
using ConnectionPtr = std::unique_ptr<PGconn, ConnectionDeleter>;

/// A result, or why there is none: the session failed, or the server answered with an error (reach is then
/// failing).
using Asked = std::expected<ResultPtr, Unreached>;
using Opened = std::expected<void, Unreached>;

/// What all sessions of one engine share.
struct Wiring {
    Wiring(Clock& c, Login l) : clock(c), login(std::move(l)), resolver(c) {}

    Clock& clock;
    Login login;
    Resolver resolver;
};

enum class Purpose : uint8_t { watching, deeds, replication };

/// One connection of libpq on an Asio descriptor. Between and during queries there is always one wait for
/// input, so that the end of the session is noticed when the kernel knows of it. Lives on as long as a
/// handler or a caller's coroutine holds it; close() ends whatever is under way. One call at a time.
class Session : public std::enable_shared_from_this<Session> {
  public:
    Session(std::shared_ptr<Wiring> wiring, InstanceKey key, Purpose purpose);
    ~Session();
    Session(const Session&) = delete;
    Session& operator=(const Session&) = delete;

    /// Makes a new connection; an old one is closed first.
    Task<Opened> open(MonoTime deadline);
    /// One statement by the simple protocol. "" is the empty query.
    Task<Asked> query(std::string sql, MonoTime deadline);
    Task<Asked> prepare(const char* name, std::string_view sql, MonoTime deadline);
    Task<Asked> execute(const char* name, MonoTime deadline);

    bool is_open() const { return established_; }
    void close();
    /// From now on a failure is one of an established session.
    void settle() { stage_ = Stage::session; }
    /// Called when the session ends while no query is under way.
    void on_end(std::function<void()> callback) { on_end_ = std::move(callback); }
    /// PQserverVersion: 150018; 0 when closed.
    int server_version() const { return conn_ ? PQserverVersion(conn_.get()) : 0; }
    /// `text` as an SQL literal, quotes included. The session must be open.
    std::string literal(const std::string& text) const;
    std::string who() const { return key_.text(); }

  private:
    using Wait = boost::asio::posix::stream_descriptor::wait_type;

    Task<Opened> connect_to(std::string address, MonoTime deadline);
    ConnectionPtr start_connect(const std::string& address) const;
    bool advance_connect(PostgresPollingStatusType& wanted, Failure& failure);
    Unreached connect_failed(Failure failure);
    Unreached closed_meanwhile() const;
    Task<bool> wait_ready(Wait type, MonoTime deadline);
    bool ready_now(Wait type) const;
    void watch();
    void unwatch();

    Task<Asked> answer(bool sent, MonoTime deadline);
    Task<bool> flush(MonoTime deadline);
    void arm_read();
    void on_readable(uint64_t generation, const boost::system::error_code& ec);
    void pump();
    void collect();
    void keep(ResultPtr result);
    void finish_query();
    void lost(std::string message, std::string sqlstate);
    void drop();
    Unreached timed_out();

    std::shared_ptr<Wiring> wiring_;
    InstanceKey key_;
    Purpose purpose_;
    boost::asio::posix::stream_descriptor descriptor_;
    Signal signal_;  // "something has happened": the coroutine under way looks what it was
    ConnectionPtr conn_;
    uint64_t generation_ = 0;  // of the connection; handlers of an older one do nothing
    Stage stage_ = Stage::connecting;
    bool established_ = false;
    bool ready_ = false;   // while connecting: the wait under way has ended
    bool asking_ = false;  // a query is under way
    ResultPtr result_;
    std::optional<Asked> outcome_;
    std::string fatal_message_;  // of a FATAL that came while idle
    std::string fatal_sqlstate_;
    std::function<void()> on_end_;

    static void take_notice(void* session, const PGresult* notice);
};

/// Message, detail and hint of a failed result, in one line.
std::string message_of(const PGresult* result);
std::string sqlstate_of(const PGresult* result);

/// Row 0, column `column`, or "" (NULL too).
inline std::string value_of(const ResultPtr& result, int column) {
    const bool there = PQntuples(result.get()) > 0 && column < PQnfields(result.get());
    return there ? std::string(PQgetvalue(result.get(), 0, column)) : std::string();
}

}  // namespace baton::engine::postgresql
