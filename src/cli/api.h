#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "cli/client.h"
#include "cli/json_text.h"
#include "cli/options.h"

namespace baton::cli {

/// What a request does: reading may be repeated at will; acting only when it certainly was not carried out;
/// recovering likewise, and is given more time.
enum class Deed : uint8_t { read, act, recover };

/// What the API said. v1 wraps some answers in {Code, Message, Details} and v2 in {status, data, error}; bare
/// ones have neither.
struct Answer {
    int status = 0;
    json::value body;

    bool failed() const;
    std::string message() const;
    /// The content without its wrapping.
    const json::value& content() const;
};

/// The API behind one or several addresses. Used by one thread, for one command.
class Api {
  public:
    Api(Io& io, const Options& options);

    /// The address to use, ending in /api: the only one, or the one whose node leads. Errors: unreachable.
    Result<std::string> base();
    /// Asks for `path` (below /api), trying again as the deed allows. An answer that says no is an Answer; an
    /// Error is: unreachable (nobody there), timeout or broken (no answer to something that may have been
    /// done), authentication, not_found (no such route).
    Result<Answer> get(std::string_view path, Deed deed);
    /// Follows an endless answer, after the event of that id when it is not empty; see Http::stream.
    Result<void> stream(std::string_view path, milliseconds quiet, const std::string& last_event_id,
                        std::function<bool(std::string_view)> on_data);

  private:
    Result<std::string> find_leader();
    bool answers_ok(const std::string& base, std::string_view path);
    Result<Answer> try_once(const std::string& path, Deed deed);
    HttpRequest request(std::string url, milliseconds total) const;
    Error no_access(const Error& last) const;
    std::string shown_addresses() const;

    Io& io_;
    Options options_;
    std::vector<std::string> addresses_;
    std::string base_;
};

/// "localhost:3000" -> "http://localhost:3000/api"; a trailing slash goes, /api comes when it is not there.
std::string normal_address(std::string_view address);
/// The address without a password that may be in it.
std::string shown_address(std::string_view address);

}  // namespace baton::cli
