#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "base/time.h"

namespace baton::cli {

struct Tls {
    std::string ca_file;
    std::string certificate_file;
    std::string key_file;
    bool verify = true;
};

struct HttpRequest {
    std::string url;
    std::vector<std::string> headers;  ///< "Name: value"
    std::string user;                  ///< basic authentication when not empty
    std::string password;
    Tls tls;
    milliseconds connect_timeout{5000};
    milliseconds total_timeout{30000};
};

struct HttpReply {
    int status = 0;
    std::string body;
};

/// The way to the manager. Errors: refused and unreachable mean that the request was certainly not carried
/// out; timeout and broken leave that open. Used by one thread.
class Http {
  public:
    virtual ~Http() = default;
    virtual Result<HttpReply> get(const HttpRequest& request) = 0;
    /// Hands on the body of an endless answer as it comes, until `on_data` says false or the other side ends
    /// it (both are success). Silence for longer than the request's total_timeout is a timeout. A status
    /// other than 200 is an error that holds the body.
    virtual Result<void> stream(const HttpRequest& request,
                                std::function<bool(std::string_view)> on_data) = 0;
};

/// Through libcurl. Credentials and redirects never leave the address that was asked.
std::unique_ptr<Http> make_curl_http();

}  // namespace baton::cli
