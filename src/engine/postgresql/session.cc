#include "engine/postgresql/session.h"

#include <fmt/format.h>
#include <poll.h>
#include <sys/socket.h>

#include "base/text.h"

namespace baton::engine::postgresql {
namespace {

constexpr int tls_reads_max = 2;  // 16 kB of a record, 8 kB at a time

/// Keywords and values for PQconnectStartParams.
class Parameters {
  public:
    void add(const char* key, const std::string& value) {
        if (value.empty()) return;
        keys_.push_back(key);
        values_.push_back(value);
    }
    ConnectionPtr start() const {
        std::vector<const char*> keys(keys_), values;
        for (const auto& value : values_)
            values.push_back(value.c_str());
        keys.push_back(nullptr);
        values.push_back(nullptr);
        return ConnectionPtr(PQconnectStartParams(keys.data(), values.data(), 0));
    }

  private:
    std::vector<const char*> keys_;
    std::vector<std::string> values_;
};

/// Deeds may wait for a checkpoint or an fsync; a look that takes seconds is worth nothing.
const char* backend_options(Purpose purpose) {
    return purpose == Purpose::watching ? "-c statement_timeout=5000 -c search_path=pg_catalog -c jit=off"
                                        : "-c statement_timeout=30000 -c search_path=pg_catalog -c jit=off";
}

/// The peer has closed or reset the connection and left nothing to read.
bool peer_ended(int fd) {
    char byte = 0;
    const auto got = recv(fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT);
    return got == 0 || (got < 0 && errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR);
}

int pending_error(int fd) {
    int error = 0;
    socklen_t size = sizeof error;
    return getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size) == 0 ? error : errno;
}

std::string field_of(const PGresult* result, int field) {
    const char* text = PQresultErrorField(result, field);
    return text != nullptr ? text : "";
}

bool is_fatal(const PGresult* result) {
    const auto severity = field_of(result, PG_DIAG_SEVERITY_NONLOCALIZED);
    return severity == "FATAL" || severity == "PANIC";
}

bool succeeded(const PGresult* result) {
    const auto status = PQresultStatus(result);
    return status == PGRES_TUPLES_OK || status == PGRES_COMMAND_OK || status == PGRES_EMPTY_QUERY;
}

/// Of several addresses that failed, the one that proves least speaks for the server: "refused" must hold for
/// all of them.
int doubt(Reach reach) {
    switch (reach) {
        case Reach::unresponsive:
            return 4;
        case Reach::silent:
            return 3;
        case Reach::refused:
            return 2;
        case Reach::unreachable:
            return 1;  // often an IPv6 address on a host without IPv6
        default:
            return 0;
    }
}

/// Each of the addresses left gets an equal part of the time left.
MonoTime share_of(MonoTime now, MonoTime deadline, size_t addresses) {
    return now + (deadline - now) / static_cast<int64_t>(addresses);
}

}  // namespace

std::string sqlstate_of(const PGresult* result) {
    return field_of(result, PG_DIAG_SQLSTATE);
}

std::string message_of(const PGresult* result) {
    auto message = field_of(result, PG_DIAG_MESSAGE_PRIMARY);
    if (message.empty()) message = trim(PQresultErrorMessage(result));
    for (const char part : {PG_DIAG_MESSAGE_DETAIL, PG_DIAG_MESSAGE_HINT}) {
        if (const auto text = field_of(result, part); !text.empty()) message += "; " + text;
    }
    return message;
}

Session::Session(std::shared_ptr<Wiring> wiring, InstanceKey key, Purpose purpose)
    : wiring_(std::move(wiring)),
      key_(std::move(key)),
      purpose_(purpose),
      descriptor_(wiring_->clock.executor()),
      signal_(wiring_->clock) {}

Session::~Session() {
    drop();
}

// --- connecting
// -----------------------------------------------------------------------------------------------------

Task<Opened> Session::open(MonoTime deadline) {
    drop();
    const auto generation = generation_;
    deadline = std::min(deadline, wiring_->clock.now() + wiring_->login.connect_timeout);
    auto addresses = co_await wiring_->resolver.resolve(key_.host, deadline);
    if (generation != generation_) co_return std::unexpected(closed_meanwhile());
    if (!addresses) {
        const bool late = addresses.error().kind == ErrorKind::timeout;
        co_return std::unexpected(classify(
            {.stage = Stage::resolving, .timed_out = late, .message = addresses.error().text()}, who()));
    }
    Opened opened;
    for (size_t i = 0; i < addresses->size(); ++i) {
        const auto now = wiring_->clock.now();
        if (i > 0 && now >= deadline) break;
        auto tried = co_await connect_to((*addresses)[i], share_of(now, deadline, addresses->size() - i));
        if (tried || known_alive(tried.error().reach)) co_return tried;
        if (tried.error().error.kind == ErrorKind::cancelled) co_return tried;
        if (opened || doubt(tried.error().reach) > doubt(opened.error().reach)) opened = std::move(tried);
    }
    wiring_->resolver.suspect(key_.host);  // the name may point elsewhere by now
    co_return opened;
}

ConnectionPtr Session::start_connect(const std::string& address) const {
    const auto& login = wiring_->login;
    Parameters parameters;
    parameters.add("host", key_.host);  // for certificates and the password file; hostaddr saves the lookup
    parameters.add("hostaddr", address);
    parameters.add("port", std::to_string(key_.port));
    parameters.add("user", login.user);
    parameters.add("password", login.password);
    parameters.add("passfile", login.passfile);
    parameters.add("dbname", login.database);
    parameters.add("sslmode", login.sslmode);
    parameters.add("sslrootcert", login.sslrootcert);
    parameters.add("sslcert", login.sslcert);
    parameters.add("sslkey", login.sslkey);
    parameters.add("gssencmode", "disable");  // "prefer" asks the Kerberos library at each connect
    parameters.add("target_session_attrs", "any");
    parameters.add("application_name", "baton");
    parameters.add("client_encoding", "UTF8");
    parameters.add("options", backend_options(purpose_));
    parameters.add("keepalives_idle", "5");
    parameters.add("keepalives_interval", "2");
    parameters.add("keepalives_count", "3");
    parameters.add("tcp_user_timeout", "10000");
    if (purpose_ == Purpose::replication) parameters.add("replication", "true");
    return parameters.start();
}

Task<Opened> Session::connect_to(std::string address, MonoTime deadline) {
    drop();
    const auto generation = generation_;
    stage_ = Stage::connecting;
    conn_ = start_connect(address);
    if (!conn_) co_return std::unexpected(connect_failed({.stage = stage_, .message = "out of memory"}));
    if (PQstatus(conn_.get()) == CONNECTION_BAD) {
        const auto* text = PQerrorMessage(conn_.get());
        co_return std::unexpected(connect_failed({.stage = stage_, .os_error = errno_of_message(text)}));
    }
    PQsetErrorVerbosity(conn_.get(),
                        PQERRORS_VERBOSE);  // puts the SQLSTATE into what libpq says about a failed login
    PQsetNoticeReceiver(conn_.get(), take_notice, this);
    Failure failure;
    for (auto wanted = PGRES_POLLING_WRITING; wanted != PGRES_POLLING_OK;) {
        watch();
        const bool ready = co_await wait_ready(
            wanted == PGRES_POLLING_READING ? Wait::wait_read : Wait::wait_write, deadline);
        if (generation != generation_) co_return std::unexpected(closed_meanwhile());
        failure.timed_out = !ready;
        // libpq may close this socket and open another with the same number: Asio must not hold on to it.
        unwatch();
        if (!ready || !advance_connect(wanted, failure)) co_return std::unexpected(connect_failed(failure));
    }
    PQsetnonblocking(conn_.get(), 1);
    stage_ = Stage::first_use;
    established_ = true;
    watch();
    arm_read();
    co_return Opened{};
}

/// The socket is ready: lets libpq go on. False when the attempt has failed; `failure` then tells how.
bool Session::advance_connect(PostgresPollingStatusType& wanted, Failure& failure) {
    const int fd = PQsocket(conn_.get());
    if (stage_ == Stage::connecting) {
        failure.os_error = pending_error(fd);
        if (failure.os_error != 0) return false;
        stage_ = Stage::handshake;
    } else if (wanted == PGRES_POLLING_READING) {
        failure.ended = peer_ended(fd);
    }
    wanted = PQconnectPoll(conn_.get());
    if (wanted == PGRES_POLLING_FAILED) {
        const int error = errno_of_message(PQerrorMessage(conn_.get()));
        failure.ended |= PQsocket(conn_.get()) < 0 || error == ECONNRESET || error == EPIPE;
        return false;
    }
    // sslmode=prefer and allow try again on a new socket.
    if (PQstatus(conn_.get()) == CONNECTION_STARTED) stage_ = Stage::connecting;
    return true;
}

Unreached Session::connect_failed(Failure failure) {
    failure.stage = stage_;
    if (conn_ && failure.os_error == 0 && !failure.timed_out) {
        auto said = read_connect_message(PQerrorMessage(conn_.get()));
        failure.sqlstate = std::move(said.sqlstate);
        failure.message = std::move(said.message);
        if (!failure.sqlstate.empty()) failure.ended = false;  // it said why before it hung up
    }
    if (failure.os_error != 0) failure.message = std::generic_category().message(failure.os_error);
    if (failure.timed_out) {
        failure.message = stage_ == Stage::connecting ? "no answer to the connect request in time"
                                                      : "connected, but the server did not answer in time";
    }
    drop();
    return classify(std::move(failure), who());
}

Unreached Session::closed_meanwhile() const {
    return {Reach::unknown, Error{ErrorKind::cancelled, "the session was closed meanwhile", who(), ""},
            stage_ != Stage::session};
}

Task<bool> Session::wait_ready(Wait type, MonoTime deadline) {
    const auto generation = generation_;
    ready_ = false;
    descriptor_.async_wait(type,
                           [self = shared_from_this(), generation](const boost::system::error_code& ec) {
                               if (ec || generation != self->generation_) return;
                               self->ready_ = true;
                               self->signal_.notify();
                           });
    while (!ready_ && generation == generation_) {
        if (!co_await signal_.wait_until(deadline)) break;
    }
    if (generation != generation_) co_return false;
    // Should this thread have been held up past the deadline, that is not the server's fault.
    co_return ready_ || ready_now(type);
}

bool Session::ready_now(Wait type) const {
    pollfd entry{PQsocket(conn_.get()), static_cast<short>(type == Wait::wait_read ? POLLIN : POLLOUT), 0};
    return poll(&entry, 1, 0) == 1;
}

void Session::watch() {
    descriptor_.assign(PQsocket(conn_.get()));
}

void Session::unwatch() {
    if (descriptor_.is_open()) descriptor_.release();
}

// --- asking
// ---------------------------------------------------------------------------------------------------------

Task<Asked> Session::query(std::string sql, MonoTime deadline) {
    return answer(established_ && PQsendQuery(conn_.get(), sql.c_str()) == 1, deadline);
}

Task<Asked> Session::prepare(const char* name, std::string_view sql, MonoTime deadline) {
    return answer(established_ && PQsendPrepare(conn_.get(), name, std::string(sql).c_str(), 0, nullptr) == 1,
                  deadline);
}

Task<Asked> Session::execute(const char* name, MonoTime deadline) {
    return answer(
        established_ && PQsendQueryPrepared(conn_.get(), name, 0, nullptr, nullptr, nullptr, 0) == 1,
        deadline);
}

Task<Asked> Session::answer(bool sent, MonoTime deadline) {
    const auto generation = generation_;
    if (!established_) {
        co_return std::unexpected(
            classify({.stage = stage_, .ended = true, .message = "the session has ended"}, who()));
    }
    asking_ = true;
    outcome_.reset();
    result_.reset();
    if (!sent) {
        lost(std::string(trim(PQerrorMessage(conn_.get()))), "");
    } else if (!co_await flush(deadline) && !outcome_) {
        co_return std::unexpected(generation == generation_ ? timed_out() : closed_meanwhile());
    }
    while (!outcome_) {
        if (co_await signal_.wait_until(deadline)) continue;
        if (!outcome_ && established_) pump();  // the answer may have come while this thread was held up
        if (!outcome_) co_return std::unexpected(timed_out());
    }
    auto outcome = std::move(*outcome_);
    outcome_.reset();
    co_return outcome;
}

/// Nearly always done at once: a request is smaller than the socket's buffer.
Task<bool> Session::flush(MonoTime deadline) {
    const auto generation = generation_;
    for (;;) {
        const int left = PQflush(conn_.get());
        if (left == 0) co_return true;
        if (left < 0) {
            lost(std::string(trim(PQerrorMessage(conn_.get()))), "");
            co_return false;
        }
        if (!co_await wait_ready(Wait::wait_write, deadline) || generation != generation_) co_return false;
    }
}

void Session::arm_read() {
    descriptor_.async_wait(Wait::wait_read, [self = shared_from_this(), generation = generation_](
                                                const auto& ec) { self->on_readable(generation, ec); });
}

void Session::on_readable(uint64_t generation, const boost::system::error_code& ec) {
    if (generation != generation_) return;
    if (ec) return lost(ec.message(), "");
    pump();
    if (generation == generation_) arm_read();
}

void Session::pump() {
    bool readable = PQconsumeInput(conn_.get()) == 1;
    // A TLS record may be larger than what libpq takes at a time; the kernel does not announce the rest
    // again.
    for (int more = 0; more < tls_reads_max && readable && asking_ && PQsslInUse(conn_.get()) == 1 &&
                       PQisBusy(conn_.get()) == 1;
         ++more) {
        readable = PQconsumeInput(conn_.get()) == 1;
    }
    const auto generation = generation_;
    if (readable) collect();
    if (generation != generation_) return;
    if (!fatal_sqlstate_.empty()) return lost(fatal_message_, fatal_sqlstate_);
    if (!readable || PQstatus(conn_.get()) == CONNECTION_BAD) {
        lost("the connection was closed by the server or the network", "");
    }
}

void Session::collect() {
    while (PQisBusy(conn_.get()) == 0) {
        ResultPtr result(PQgetResult(conn_.get()));
        if (!result) {
            if (asking_ && result_) finish_query();
            return;
        }
        if (is_fatal(result.get())) return lost(message_of(result.get()), sqlstate_of(result.get()));
        if (asking_) keep(std::move(result));
    }
}

void Session::keep(ResultPtr result) {
    if (!result_ || succeeded(result_.get())) result_ = std::move(result);
}

void Session::finish_query() {
    asking_ = false;
    if (succeeded(result_.get())) {
        outcome_.emplace(std::move(result_));
    } else if (PQstatus(conn_.get()) == CONNECTION_BAD) {
        asking_ = true;
        return lost("the connection was closed by the server or the network", "");
    } else {
        outcome_.emplace(std::unexpect, classify({.stage = stage_,
                                                  .sqlstate = sqlstate_of(result_.get()),
                                                  .message = message_of(result_.get())},
                                                 who()));
    }
    signal_.notify();
}

/// The session has ended: tells the query under way, or else whoever watches.
void Session::lost(std::string message, std::string sqlstate) {
    const bool asking = asking_;
    const auto keep_alive = shared_from_this();
    drop();
    if (asking) {
        outcome_.emplace(std::unexpect, classify({.stage = stage_,
                                                  .ended = true,
                                                  .sqlstate = std::move(sqlstate),
                                                  .message = std::move(message)},
                                                 who()));
        signal_.notify();
    } else if (const auto callback = on_end_) {
        callback();
    }
}

Unreached Session::timed_out() {
    const auto stage = stage_;
    drop();
    return classify({.stage = stage, .timed_out = true, .message = "no answer to a query in time"}, who());
}

void Session::close() {
    const bool asking = asking_;
    drop();
    if (asking) outcome_.emplace(std::unexpect, closed_meanwhile());
    signal_.notify();
}

void Session::drop() {
    ++generation_;
    unwatch();
    conn_.reset();
    established_ = false;
    asking_ = false;
    result_.reset();
    fatal_message_.clear();
    fatal_sqlstate_.clear();
}

std::string Session::literal(const std::string& text) const {
    const std::unique_ptr<char, decltype([](char* p) { PQfreemem(p); })> quoted(
        PQescapeLiteral(conn_.get(), text.data(), text.size()));
    return quoted ? quoted.get() : "''";
}

/// Notices never go to standard error; of a FATAL that comes while idle the reason is kept.
void Session::take_notice(void* session, const PGresult* notice) {
    if (!is_fatal(notice)) return;
    auto* self = static_cast<Session*>(session);
    self->fatal_message_ = message_of(notice);
    self->fatal_sqlstate_ = sqlstate_of(notice);
}

}  // namespace baton::engine::postgresql
