#pragma once

#include <string>
#include <vector>

#include "base/error.h"

/// A small certificate authority in a directory, for people who have none: ca.crt and ca.key, and a pair of
/// files for each host. ECDSA on P-256. Blocking; any thread.
namespace baton::net {

inline constexpr int certificate_days_max = 3650;

struct CertificateOrder {
    std::string directory;  ///< made if it is not there
    /// One entry a host: "db1", or with all that it is reached by, "db1,db1.example.com,10.0.0.1". The first
    /// is its common name and names its files (an IPv6 address with '-' in place of ':').
    std::vector<std::string> hosts;
    int days = 730;    ///< 1 to certificate_days_max
    std::string unit;  ///< organisational unit of the hosts' certificates; "" = none
};

struct Certificates {
    bool made_authority = false;
    std::string authority;           ///< the file to give to everybody
    std::vector<std::string> files;  ///< certificates made, each with a .key beside it
};

/// Makes the authority if the directory has none, and signs a new certificate for each host, good for both
/// ends of a connection. Either all is possible, or nothing is made. Files that exist are never touched. Keys
/// have mode 0600. Errors: invalid_argument (a name, unit or number of days that cannot be), conflict (a file
/// exists, or only half of an authority), io.
Result<Certificates> make_certificates(const CertificateOrder& order);

}  // namespace baton::net
