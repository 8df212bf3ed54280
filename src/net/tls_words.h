#pragma once

#include <openssl/x509.h>

#include <boost/system/error_code.hpp>
#include <string>

#include "base/time.h"

/// What is wrong between two sides of TLS, in words that say whose it is and what to do. Internal to this
/// room.
namespace baton::net {

/// How our own side is set up, for messages: "CertFile /etc/baton/db1.crt".
struct TlsSide {
    std::string certificate;  ///< "" = we show none
    std::string ca;
};

/// "CN=db1, signed by CN=Baton authority, good until 2026-11-20T10:38:28Z"
std::string certificate_text(const X509* certificate);
WallTime certificate_end(const X509* certificate);

/// Why `certificate` (may be null) is not accepted by us.
std::string not_accepted(int verdict, X509* certificate, const TlsSide& ours);

/// What the other side's last word, an alert, means; "" where it is none about trust.
std::string told_by_other(const boost::system::error_code& code, const TlsSide& ours);

}  // namespace baton::net
