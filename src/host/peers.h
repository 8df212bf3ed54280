#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>

#include "agent/protocol.h"
#include "base/clock.h"
#include "host/dial.h"
#include "net/stream.h"

namespace baton::host {

/// Asks agents of other hosts for their promise. One connection for each address is kept while it is of use;
/// at most one question is under way on it. Agent's thread.
class PeerAsker {
  public:
    PeerAsker(Clock& clock, std::shared_ptr<const std::string> token, std::shared_ptr<net::TlsClient> tls);
    ~PeerAsker();
    /// `promised` is called when it promised; `asked` is when the question left. A question that finds the
    /// last one still under way is dropped: the caller asks again soon anyway.
    void ask(const std::string& address, agent::Vouch vouch, std::function<void(MonoTime asked)> promised);

  private:
    struct Peer;
    static Task<void> put(std::shared_ptr<Peer> peer, agent::Vouch vouch,
                          std::function<void(MonoTime)> promised);
    Clock& clock_;
    std::shared_ptr<const std::string> token_;
    std::shared_ptr<net::TlsClient> tls_;
    std::map<std::string, std::shared_ptr<Peer>> peers_;
};

struct PeerListenerOptions {
    std::string address;                       ///< PeerListenAddress
    std::shared_ptr<const std::string> token;  ///< "" = a good client certificate is needed instead
    std::shared_ptr<net::TlsContext> tls;
};

/// Answers agents of other hosts. Agent's thread.
class PeerListener {
  public:
    using Answer = std::function<agent::Vouched(const agent::Vouch&)>;
    PeerListener(Clock& clock, PeerListenerOptions options, Answer answer);
    ~PeerListener();
    /// The error names the address.
    Result<void> start();

  private:
    struct House;
    static Task<void> accept(std::shared_ptr<House> house);
    static Task<void> serve(std::shared_ptr<House> house, std::shared_ptr<net::Channel> channel);
    std::shared_ptr<House> house_;
};

}  // namespace baton::host
