#pragma once

#include <string>
#include <string_view>

#include "base/error.h"
#include "cli/options.h"

namespace baton::cli {

struct Endpoint {
    std::string host;  ///< without brackets
    std::string port;
};

/// "host:port", "host", "[v6]:port", "[v6]" or a bare IPv6 address. Whether the port makes sense is for the
/// API to say.
Endpoint parse_endpoint(std::string_view text, std::string_view default_port);

/// As one segment of a path, or one value of a query.
std::string percent_encode(std::string_view text);

/// Fills a route. A token in braces stands for an option ({i} instance, {d} destination, {hint} cluster,
/// {tag}, …). A part in brackets is left out when a token in it has no value: "recover/{i}[/{d}]". Error
/// invalid_argument: "<what> must be provided", with the token's name in `who`.
Result<std::string> fill_route(std::string_view route, const Options& options);

/// Whether the route has this token anywhere.
bool uses(std::string_view route, std::string_view token);

}  // namespace baton::cli
