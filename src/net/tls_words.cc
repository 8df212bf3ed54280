#include "net/tls_words.h"

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include <array>
#include <boost/asio/ssl/error.hpp>
#include <string_view>

#include "base/text.h"

namespace baton::net {

namespace {

constexpr size_t longest_name = 200;

std::string name_text(const X509_NAME* name) {
    std::string text = "nobody";
    BIO* out = BIO_new(BIO_s_mem());
    if (out == nullptr) return text;
    if (X509_NAME_print_ex(out, name, 0, XN_FLAG_ONELINE & ~XN_FLAG_SPC_EQ) > 0) {
        char* bytes = nullptr;
        const auto length = BIO_get_mem_data(out, &bytes);
        text = printable(std::string_view(bytes, static_cast<size_t>(length)), longest_name);
    }
    BIO_free(out);
    return text;
}

std::string advice(int verdict, const TlsSide& ours) {
    switch (verdict) {
        case X509_V_ERR_CERT_HAS_EXPIRED:
            return "; a new one must be made there";
        case X509_V_ERR_CERT_NOT_YET_VALID:
            return "; look at the clocks of both hosts";
        case X509_V_ERR_HOSTNAME_MISMATCH:
        case X509_V_ERR_IP_ADDRESS_MISMATCH:
            return "; it must be made out to the name or address that is connected to";
        case X509_V_ERR_INVALID_PURPOSE:
            return "; it must be good for serverAuth and clientAuth";
        default:
            return ours.ca.empty() ? "" : "; it must be signed by an authority in " + ours.ca;
    }
}

struct Alert {
    int reason;
    std::string_view text;
};

/// Alerts about the certificate that we showed, or did not show.
constexpr std::array alerts{
    Alert{SSL_R_SSLV3_ALERT_CERTIFICATE_EXPIRED, "it has expired: make a new one"},
    Alert{SSL_R_TLSV1_ALERT_UNKNOWN_CA, "the other side does not know the authority that signed it"},
    Alert{SSL_R_SSLV3_ALERT_CERTIFICATE_REVOKED, "it was revoked"},
    Alert{SSL_R_SSLV3_ALERT_BAD_CERTIFICATE, "it is not made out to this host, or damaged"},
    Alert{SSL_R_SSLV3_ALERT_CERTIFICATE_UNKNOWN, "the other side's log says why"},
    Alert{SSL_R_SSLV3_ALERT_UNSUPPORTED_CERTIFICATE, "it is not good for serverAuth and clientAuth"},
    Alert{SSL_R_TLSV13_ALERT_CERTIFICATE_REQUIRED, "the other side asks for one"},
    Alert{SSL_R_TLSV1_ALERT_ACCESS_DENIED, "the other side's log says why"},
};

constexpr std::array no_tls{SSL_R_WRONG_VERSION_NUMBER, SSL_R_HTTP_REQUEST, SSL_R_PACKET_LENGTH_TOO_LONG};

}  // namespace

WallTime certificate_end(const X509* certificate) {
    std::tm parts{};
    if (ASN1_TIME_to_tm(X509_get0_notAfter(certificate), &parts) != 1) return {};
    return WallTime(seconds(::timegm(&parts)));
}

std::string certificate_text(const X509* certificate) {
    return name_text(X509_get_subject_name(certificate)) + ", signed by " +
           name_text(X509_get_issuer_name(certificate)) + ", good until " +
           iso_time(certificate_end(certificate));
}

std::string not_accepted(int verdict, X509* certificate, const TlsSide& ours) {
    std::string text = "its certificate is not accepted: ";
    text += X509_verify_cert_error_string(verdict);
    if (certificate != nullptr) text += " (" + certificate_text(certificate) + ")";
    return text + advice(verdict, ours);
}

std::string told_by_other(const boost::system::error_code& code, const TlsSide& ours) {
    if (code.category() != boost::asio::error::get_ssl_category()) return {};
    const int reason = ERR_GET_REASON(static_cast<unsigned long>(code.value()));
    for (const auto& alert : alerts) {
        if (alert.reason != reason) continue;
        const auto which = ours.certificate.empty() ? "no certificate is shown to it" : ours.certificate;
        return "it does not accept our certificate (" + which + "): " + std::string(alert.text);
    }
    for (const int other : no_tls) {
        if (other == reason) return "what comes from there is no TLS: it must be on at both sides or at none";
    }
    return {};
}

}  // namespace baton::net
