#include <curl/curl.h>

#include "base/text.h"
#include "cli/http.h"

namespace baton::cli {
namespace {

constexpr std::string_view certificate_hint =
    "; name the authority with --cacert or BATON_TLS_CA, an own certificate with --cert and --key";
constexpr size_t body_bytes_max = 256UL << 20;

struct Transfer {
    std::string body;
    std::function<bool(std::string_view)> on_data;
    CURL* handle = nullptr;
    bool stopped = false;
    bool too_large = false;
};

size_t take_body(char* data, size_t, size_t bytes, void* context) {
    auto& transfer = *static_cast<Transfer*>(context);
    long status = 0;
    curl_easy_getinfo(transfer.handle, CURLINFO_RESPONSE_CODE, &status);
    if (transfer.on_data && status == 200) {
        transfer.stopped = !transfer.on_data({data, bytes});
        return transfer.stopped ? 0 : bytes;
    }
    transfer.too_large = transfer.body.size() + bytes > body_bytes_max;
    if (transfer.too_large) return 0;
    transfer.body.append(data, bytes);
    return bytes;
}

struct HeaderList {
    curl_slist* list = nullptr;
    explicit HeaderList(const std::vector<std::string>& headers) {
        for (const auto& header : headers)
            list = curl_slist_append(list, header.c_str());
    }
    HeaderList(const HeaderList&) = delete;
    HeaderList& operator=(const HeaderList&) = delete;
    ~HeaderList() { curl_slist_free_all(list); }
};

void set_tls(CURL* handle, const Tls& tls) {
    curl_easy_setopt(handle, CURLOPT_SSL_VERIFYPEER, tls.verify ? 1L : 0L);
    curl_easy_setopt(handle, CURLOPT_SSL_VERIFYHOST, tls.verify ? 2L : 0L);
    if (!tls.ca_file.empty()) curl_easy_setopt(handle, CURLOPT_CAINFO, tls.ca_file.c_str());
    if (!tls.certificate_file.empty())
        curl_easy_setopt(handle, CURLOPT_SSLCERT, tls.certificate_file.c_str());
    if (!tls.key_file.empty()) curl_easy_setopt(handle, CURLOPT_SSLKEY, tls.key_file.c_str());
}

void set_common(CURL* handle, const HttpRequest& request, const HeaderList& headers, Transfer& transfer,
                char* why) {
    transfer.handle = handle;
    curl_easy_reset(handle);
    curl_easy_setopt(handle, CURLOPT_URL, request.url.c_str());
    curl_easy_setopt(handle, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(handle, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(handle, CURLOPT_ERRORBUFFER, why);
    curl_easy_setopt(handle, CURLOPT_HTTPHEADER, headers.list);
    curl_easy_setopt(handle, CURLOPT_CONNECTTIMEOUT_MS, static_cast<long>(request.connect_timeout.count()));
    curl_easy_setopt(handle, CURLOPT_WRITEFUNCTION, take_body);
    curl_easy_setopt(handle, CURLOPT_WRITEDATA, &transfer);
    set_tls(handle, request.tls);
    if (request.user.empty()) return;
    curl_easy_setopt(handle, CURLOPT_HTTPAUTH, CURLAUTH_BASIC);
    curl_easy_setopt(handle, CURLOPT_USERNAME, request.user.c_str());
    curl_easy_setopt(handle, CURLOPT_PASSWORD, request.password.c_str());
}

/// Whether the request may have reached the other side decides if an acting command may be tried again.
ErrorKind kind_of(CURL* handle, CURLcode code) {
    switch (code) {
        case CURLE_COULDNT_RESOLVE_HOST:
        case CURLE_COULDNT_RESOLVE_PROXY:
            return ErrorKind::unreachable;
        case CURLE_COULDNT_CONNECT:
            return ErrorKind::refused;
        case CURLE_OPERATION_TIMEDOUT: {
            curl_off_t before_request_us = 0;
            curl_easy_getinfo(handle, CURLINFO_PRETRANSFER_TIME_T, &before_request_us);
            return before_request_us == 0 ? ErrorKind::unreachable : ErrorKind::timeout;
        }
        case CURLE_URL_MALFORMAT:
        case CURLE_UNSUPPORTED_PROTOCOL:
            return ErrorKind::invalid_argument;
        case CURLE_PEER_FAILED_VERIFICATION:
        case CURLE_SSL_CACERT_BADFILE:
        case CURLE_SSL_CERTPROBLEM:
            return ErrorKind::authentication;
        default:
            return ErrorKind::broken;
    }
}

class CurlHttp : public Http {
  public:
    CurlHttp() : handle_(curl_easy_init()) {}
    CurlHttp(const CurlHttp&) = delete;
    CurlHttp& operator=(const CurlHttp&) = delete;
    ~CurlHttp() override { curl_easy_cleanup(handle_); }

    Result<HttpReply> get(const HttpRequest& request) override {
        Transfer transfer;
        auto status = run(request, transfer, [&](CURL* handle) {
            curl_easy_setopt(handle, CURLOPT_ACCEPT_ENCODING, "");
            curl_easy_setopt(handle, CURLOPT_TIMEOUT_MS, static_cast<long>(request.total_timeout.count()));
        });
        if (!status) return std::unexpected(status.error());
        return HttpReply{*status, std::move(transfer.body)};
    }

    Result<void> stream(const HttpRequest& request, std::function<bool(std::string_view)> on_data) override {
        Transfer transfer;
        transfer.on_data = std::move(on_data);
        const auto status = run(request, transfer, [&](CURL* handle) {
            curl_easy_setopt(handle, CURLOPT_LOW_SPEED_LIMIT, 1L);
            const auto quiet = std::chrono::duration_cast<seconds>(request.total_timeout).count();
            curl_easy_setopt(handle, CURLOPT_LOW_SPEED_TIME, static_cast<long>(quiet));
        });
        if (!status) return std::unexpected(status.error());
        if (*status != 200)
            return fail(ErrorKind::refused_by_policy,
                        "HTTP " + std::to_string(*status) + ": " + printable(trim(transfer.body)));
        return {};
    }

  private:
    Result<int> run(const HttpRequest& request, Transfer& transfer, const std::function<void(CURL*)>& more) {
        if (handle_ == nullptr) return fail(ErrorKind::internal, "libcurl does not start");
        const HeaderList headers(request.headers);
        std::array<char, CURL_ERROR_SIZE> why{};
        set_common(handle_, request, headers, transfer, why.data());
        more(handle_);
        const CURLcode code = curl_easy_perform(handle_);
        curl_easy_setopt(handle_, CURLOPT_ERRORBUFFER, nullptr);
        if (transfer.too_large) return fail(ErrorKind::broken, "the answer is larger than 256 MiB");
        if (code != CURLE_OK && !transfer.stopped) {
            const std::string reason = why[0] != '\0' ? why.data() : curl_easy_strerror(code);
            const auto kind = kind_of(handle_, code);
            const bool distrust = kind == ErrorKind::authentication;
            return fail(kind, distrust ? "no trust between this client and the API: " + reason +
                                             std::string(certificate_hint)
                                       : reason);
        }
        long status = 0;
        curl_easy_getinfo(handle_, CURLINFO_RESPONSE_CODE, &status);
        return static_cast<int>(status);
    }

    CURL* handle_;
};

}  // namespace

std::unique_ptr<Http> make_curl_http() {
    static const bool started = curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK;
    (void)started;
    return std::make_unique<CurlHttp>();
}

}  // namespace baton::cli
