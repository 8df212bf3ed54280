// The way to the manager: plain GETs with short deadlines.
#include <curl/curl.h>

#include <array>
#include <memory>

#include "doctor/manager_api.h"

namespace baton::doctor {
namespace {

constexpr size_t body_bytes_max = 64UL << 20;
constexpr long connect_timeout_ms = 1000, total_timeout_ms = 3000;

struct Body {
    std::string text;
    bool too_large = false;
};

size_t take_body(char* data, size_t, size_t bytes, void* context) {
    auto& body = *static_cast<Body*>(context);
    body.too_large = body.text.size() + bytes > body_bytes_max;
    if (body.too_large) return 0;
    body.text.append(data, bytes);
    return bytes;
}

struct Close {
    void operator()(CURL* handle) const { curl_easy_cleanup(handle); }
};

void set_up(CURL* handle, const config::Config& c, const std::string& url) {
    curl_easy_reset(handle);
    curl_easy_setopt(handle, CURLOPT_URL, url.c_str());
    curl_easy_setopt(handle, CURLOPT_PROTOCOLS_STR, "http");
    curl_easy_setopt(handle, CURLOPT_PROXY, "");
    curl_easy_setopt(handle, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(handle, CURLOPT_CONNECTTIMEOUT_MS, connect_timeout_ms);
    curl_easy_setopt(handle, CURLOPT_TIMEOUT_MS, total_timeout_ms);
    if (!c.ListenSocket.empty()) curl_easy_setopt(handle, CURLOPT_UNIX_SOCKET_PATH, c.ListenSocket.c_str());
    if (c.HTTPAuthUser.empty() || (c.AuthenticationMethod != "basic" && c.AuthenticationMethod != "multi"))
        return;
    curl_easy_setopt(handle, CURLOPT_HTTPAUTH, CURLAUTH_BASIC);
    curl_easy_setopt(handle, CURLOPT_USERNAME, c.HTTPAuthUser.c_str());
    curl_easy_setopt(handle, CURLOPT_PASSWORD, c.HTTPAuthPassword.c_str());
}

Result<std::string> get_once(CURL* handle, const config::Config& config, const std::string& path) {
    Body body;
    std::array<char, CURL_ERROR_SIZE> why{};
    set_up(handle, config, manager_url(config) + config.URLPrefix + path);
    curl_easy_setopt(handle, CURLOPT_ERRORBUFFER, why.data());
    curl_easy_setopt(handle, CURLOPT_WRITEFUNCTION, take_body);
    curl_easy_setopt(handle, CURLOPT_WRITEDATA, &body);
    const auto code = curl_easy_perform(handle);
    curl_easy_setopt(handle, CURLOPT_ERRORBUFFER, nullptr);
    if (body.too_large) return fail(ErrorKind::broken, "the answer is larger than 64 MiB");
    if (code != CURLE_OK)
        return fail(ErrorKind::unreachable, why[0] != '\0' ? why.data() : curl_easy_strerror(code));
    long status = 0;
    curl_easy_getinfo(handle, CURLINFO_RESPONSE_CODE, &status);
    if (status == 401)
        return fail(ErrorKind::authentication, "it does not let us in (HTTP 401): see HTTPAuthUser");
    if (status != 200 && status != 500) return fail(ErrorKind::broken, "HTTP " + std::to_string(status));
    return std::move(body.text);
}

}  // namespace

std::string manager_url(const config::Config& config) {
    if (!config.ListenSocket.empty()) return "http://localhost";
    const auto colon = config.ListenAddress.rfind(':');
    auto host = config.ListenAddress.substr(0, colon);
    // An address that means all of this machine's is reached at its own.
    if (host.empty() || host == "0.0.0.0" || host == "*") host = "127.0.0.1";
    if (host == "[::]") host = "[::1]";
    return "http://" + host + config.ListenAddress.substr(colon);
}

Get make_get(const config::Config& config) {
    static const bool started = curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK;
    (void)started;
    const auto handle = std::shared_ptr<CURL>(curl_easy_init(), Close{});
    return [handle, config](const std::string& path) -> Result<std::string> {
        if (!handle) return fail(ErrorKind::internal, "libcurl does not start");
        return get_once(handle.get(), config, path);
    };
}

}  // namespace baton::doctor
