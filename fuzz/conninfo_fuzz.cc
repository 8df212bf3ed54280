// A primary_conninfo in either form: its canonical text reads back, a redirected one differs in host and port
// only, and no password gets out.
#include "engine/postgresql/conninfo.h"

#include "engine/postgresql/postgresql.h"
#include "fuzz.h"

namespace baton::engine::postgresql {
namespace {

constexpr std::string_view password = "Gtf5-secret";

void check_canonical(const std::string& given) {
    const auto fields = Conninfo::parse(given);
    if (!fields) {
        fuzz::require_plain(fields.error());
        fuzz::require(fields.error().text().size() < 200, "an error never quotes the string", given);
        return;
    }
    const auto text = fields->text();
    fuzz::require(!text.contains('\0'), "the text is fit for a C library", text);
    const auto again = Conninfo::parse(text);
    fuzz::require(again.has_value(), "the canonical text parses", text);
    fuzz::require(again->text() == text, "the canonical text is its own", text);
    for (const auto* key : {"host", "hostaddr", "port", "user", "password", "application_name", "dbname"})
        fuzz::require(again->get(key) == fields->get(key), "no field is lost", key);
}

void check_upstream(const topology::Upstream& upstream) {
    fuzz::require(upstream.readable == upstream.problem.empty(), "a problem is named when there is one");
    fuzz::require(upstream.readable || upstream.hosts.empty(), "no hosts of a text that does not read");
    fuzz::require_plain(upstream.problem, "a problem is one line of UTF-8");
    for (const auto& host : upstream.hosts)
        fuzz::require(host.port != 0, "every host has a port", host.host);
}

void check_redirected(const std::string& given, const topology::Upstream& before) {
    const topology::InstanceKey target{"db7.example.com", 5439};
    const auto moved = redirect_conninfo(given, target);
    fuzz::require(moved.has_value() == Conninfo::parse(given).has_value(), "what parses can be redirected",
                  given);
    if (!moved) return;
    const auto after = parse_conninfo(*moved);
    fuzz::require(after.readable && after.hosts.size() == 1 && after.hosts.front() == target,
                  "it points to its new upstream", *moved);
    fuzz::require(after.user == before.user && after.application_name == before.application_name &&
                      after.target_session_attrs == before.target_session_attrs &&
                      after.has_dbname == before.has_dbname,
                  "nothing else changes", *moved);
    fuzz::require(redirect_conninfo(*moved, target) == *moved, "to redirect twice is to do it once", *moved);
}

void check_mask(const std::string& given) {
    auto fields = Conninfo::parse(given);
    if (!fields) return;
    for (const auto* key :
         {"password", "sslpassword", "oauth_client_secret", "scram_client_key", "scram_server_key"})
        fields->set(key, std::string(password));
    const auto text = fields->text();
    fuzz::require(!mask_conninfo(text).contains(password), "a password is masked", text);
    fuzz::require(!parse_conninfo(text).problem.contains(password), "a problem holds no password", text);
}

}  // namespace
}  // namespace baton::engine::postgresql

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    using namespace baton;
    const std::string given(fuzz::text_of(data, size));
    engine::postgresql::check_canonical(given);
    const auto upstream = engine::postgresql::parse_conninfo(given);
    engine::postgresql::check_upstream(upstream);
    engine::postgresql::check_redirected(given, upstream);
    engine::postgresql::check_mask(given);
    return 0;
}
