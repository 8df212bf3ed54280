#pragma once

#include "base/error.h"
#include "fleet/registry.h"

namespace baton::fleet {

struct Options {
    std::string listen_address = ":3001";
    bool use_tls = false;
    bool verify_clients = false;  ///< a good client certificate is needed
    std::string certificate_file, key_file, ca_file;
    std::vector<std::string> valid_ous;  ///< one of them must be in it; none = any
    std::string token;                   ///< "" = no token is asked for
    RegistryOptions registry;
    size_t connections = 4096;
    size_t newcomers = 64;  ///< connections that have not said yet who they are
};

/// Makes a number above both the present epoch and `seen` the epoch, and returns it when it is on disk.
using TakeEpoch = std::function<Task<Result<uint64_t>>(uint64_t seen)>;

/// Listens for host agents and speaks with them. Control thread only; destroying it ends every connection.
class Fleet {
  public:
    virtual ~Fleet() = default;
    /// Binds the port; agents are let in as soon as the epoch is on disk. Error io: names the address or the
    /// file.
    virtual Result<void> start() = 0;
    virtual void stop() = 0;
    /// The token, the certificate, whether one is asked for and of which units: as in `options` from now on,
    /// for those who come in. Who is in stays in. Files are read again even if their names are the same;
    /// where that fails all stays as it was. Error io: names the file.
    virtual Result<void> reload(Options options) = 0;
    virtual Registry& registry() = 0;
    /// Where it really listens.
    virtual uint16_t port() const = 0;
};

std::unique_ptr<Fleet> make_fleet(Clock& clock, Options options, TakeEpoch take_epoch);

}  // namespace baton::fleet
