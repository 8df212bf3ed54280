// The small texts, each through every reader of such: names of servers, positions, histories,
// synchronous_standby_names, rules, durations, numbers, and the JSON and URLs that are made of them. What
// reads, prints, and reads the same again.
#include "analysis/synchronous.h"
#include "base/json_writer.h"
#include "cli/profile.h"
#include "cli/route.h"
#include "fuzz.h"
#include "http/target.h"
#include "http/v1/answer.h"
#include "topology/instance.h"
#include "topology/wal.h"

namespace baton {
namespace {

void check_instance_key(std::string_view text) {
    const auto key = topology::parse_instance_key(text, 5432);
    if (!key) return fuzz::require_plain(key.error());
    fuzz::require(key->valid(), "a key that reads is valid", text);
    fuzz::require(printable(key->host, key->host.size()) == key->host, "a host's name can be printed",
                  key->host);
    const auto again = topology::parse_instance_key(key->text(), 0);
    fuzz::require(again && *again == *key, "a key's own text reads back", key->text());
    fuzz::require(
        topology::is_address(key->host) || !topology::is_loopback(key->host) || key->host == "localhost",
        "only addresses and localhost are loopback", key->host);
    const auto endpoint = cli::parse_endpoint(key->text(), "1");
    fuzz::require(endpoint.host == key->host && endpoint.port == std::to_string(key->port),
                  "the client understands it as the manager does", key->text());
}

void check_positions(std::string_view text) {
    if (const auto lsn = topology::parse_lsn(text))
        fuzz::require(topology::parse_lsn(lsn->text()) == lsn, "a position reads back", text);
    const auto history = topology::parse_timeline_history(1000, text);
    if (!history) return;
    std::string written;
    topology::Timeline last = 0;
    for (const auto& ancestor : history->ancestors) {
        fuzz::require(ancestor.timeline > last && ancestor.timeline < 1000, "ancestors rise", text);
        fuzz::require(history->left_at(ancestor.timeline) == ancestor.at, "an ancestor is found", text);
        last = ancestor.timeline;
        written += std::to_string(ancestor.timeline) + "\t" + ancestor.at.text() +
                   "\tno recovery target specified\n";
    }
    fuzz::require(topology::parse_timeline_history(1000, written) == history, "a history reads back",
                  written);
}

void check_synchronous(std::string_view text) {
    const auto rule = analysis::parse_synchronous_standby_names(text);
    if (!rule)
        return fuzz::require(analysis::synchronous_satisfiable(text, {}),
                             "nobody waits for an unreadable rule");
    fuzz::require(rule->needed >= 1 && !rule->names.empty(), "a rule needs somebody", text);
    std::string written = (rule->any ? "ANY " : "FIRST ") + std::to_string(rule->needed) + " (";
    for (const auto& name : rule->names) {
        written += written.ends_with('(') ? "\"" : ", \"";
        for (const char c : name)
            written += c == '"' ? std::string("\"\"") : std::string(1, c);
        written += '"';
    }
    const auto again = analysis::parse_synchronous_standby_names(written + ")");
    fuzz::require(
        again && again->any == rule->any && again->needed == rule->needed && again->names == rule->names,
        "a rule reads back", written);
    fuzz::require(!analysis::synchronous_satisfiable(text, {}), "nobody satisfies no rule", text);
}

void check_values(std::string_view text) {
    if (const auto number = parse_int(text))
        fuzz::require(parse_int(std::to_string(*number)) == number, "a number", text);
    if (const auto number = parse_uint(text))
        fuzz::require(parse_uint(std::to_string(*number)) == number, "a number", text);
    if (const auto rule = topology::parse_promotion_rule(text))
        fuzz::require(topology::parse_promotion_rule(topology::to_string(*rule)) == rule,
                      "a rule's name reads back", text);
    const auto duration = http::v1::parse_duration(text);
    if (!duration)
        return fuzz::require(duration.error().message.size() < text.size() + 300, "an error has a limit");
    fuzz::require(duration->count() >= 0 && *duration <= std::chrono::hours(24 * 365 * 100),
                  "a duration has a limit", text);
    fuzz::require(http::v1::parse_duration(std::to_string(duration->count()) + "s") == *duration,
                  "a duration reads back", text);
}

void check_texts(std::string_view text) {
    fuzz::require(join(split(text, ','), ",") == text, "what is split can be joined", text);
    fuzz::require(trim(trim(text)) == trim(text) && iequals(lower(text), text), "trim and lower", text);
    const auto shown = printable(text, 100);
    fuzz::require(is_utf8(shown) && shown.size() <= 100 + 4, "what is shown is short UTF-8", shown);
    for (const auto& [name, value] : cli::read_profile(text))
        fuzz::require(!value.contains('\n'), "a variable of a profile is one line", name);

    JsonWriter out;
    out.value(text);
    boost::system::error_code code;
    const auto parsed = boost::json::parse(out.text(), code);
    fuzz::require(!code && parsed.is_string(), "a JSON text is one", out.text());
    if (!is_utf8(text)) return;
    fuzz::require(std::string_view(parsed.get_string().data(), parsed.get_string().size()) == text,
                  "a JSON text reads back", out.text());
    if (text.contains('\0')) return;
    for (const bool query : {false, true})
        fuzz::require(http::percent_decode(cli::percent_encode(text), query) == text,
                      "a URL's part reads back", text);
}

}  // namespace
}  // namespace baton

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    const auto text = baton::fuzz::text_of(data, size);
    baton::check_instance_key(text);
    baton::check_positions(text);
    baton::check_synchronous(text);
    baton::check_values(text);
    baton::check_texts(text);
    return 0;
}
