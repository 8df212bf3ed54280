#pragma once

#include <memory>
#include <optional>
#include <string>

#include "base/clock.h"
#include "host/options.h"
#include "net/stream.h"

namespace baton::host {

/// By what the agent knows managers and other agents, and they know it: token and certificates. Renewed
/// files are found by itself; connections that are there stay. Agent's thread; shared, because its coroutine
/// may end after its owner.
class Trust : public std::enable_shared_from_this<Trust> {
  public:
    Trust(Clock& clock, Options options);

    /// Before anything is used. Blocks. Error io: names the file and the setting.
    Result<void> load();
    /// Looks at the files from now on, until stop().
    void start();
    void stop();
    /// The token and the files as in `options` from now on, read again even if they are called the same. On
    /// an error all stays as it was.
    Task<Result<void>> reload(Options options);

    /// Changes in place.
    const std::shared_ptr<std::string>& token() const { return token_; }
    /// Null without TLS. To peers a certificate whose time is over is as good as before: a lease must not end
    /// by a date.
    const std::shared_ptr<net::TlsClient>& to_managers() const { return tls_.managers; }
    const std::shared_ptr<net::TlsClient>& to_peers() const { return tls_.peers; }
    const std::shared_ptr<net::TlsContext>& of_peers() const { return tls_.listener; }
    /// Of the own certificate; zero when it has ended, nothing where there is none.
    std::optional<Duration> certificate_left() const;

  private:
    struct Tls {
        std::shared_ptr<net::TlsClient> managers, peers;
        std::shared_ptr<net::TlsContext> listener;
        std::optional<WallTime> ends;
        std::string files;  ///< the state that they were read in
    };
    static Result<Tls> read(const Options& options);
    static Task<void> watch(std::shared_ptr<Trust> self);
    void take(Options options, const Tls& fresh);
    void tell_of_end();

    Clock& clock_;
    Options options_;
    std::shared_ptr<std::string> token_;
    Tls tls_;
    Signal wake_;
    MonoTime told_of_end_{};
    bool stopped_ = false;
};

}  // namespace baton::host
