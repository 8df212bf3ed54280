#include "cli/classic_print.h"

#include <fmt/format.h>

#include <regex>

#include "base/text.h"
#include "cli/route.h"

namespace baton::cli::print {
namespace {

template <class Take>
std::string each(const Answer& answer, Take take) {
    std::string out;
    for (const auto& element : elements(answer.content()))
        out += take(element);
    return out;
}

std::string line(std::string text) {
    return text.empty() ? text : text + "\n";
}

template <class Keep>
std::string keys_where(const Answer& answer, Keep keep) {
    return each(answer, [&](const json::value& v) { return keep(v) ? line(key_text(v)) : std::string(); });
}

bool runs(const json::value& v) {
    return is_true(v, "ReplicationSQLThreadRuning") && is_true(v, "ReplicationIOThreadRuning");
}

bool both_states(const json::value& v, int64_t state) {
    const auto& sql = member(v, "ReplicationSQLThreadState");
    const auto& io = member(v, "ReplicationIOThreadState");
    return !sql.is_null() && !io.is_null() && number_of(sql) == state && number_of(io) == state;
}

std::string move_text(const json::value& v, const Call& call) {
    const std::string replica = key_text(v);
    if (replica.empty()) return {};
    if (const auto& master = member(v, "MasterKey"); master.is_object())
        return replica + "<" + raw_key_text(master);
    return replica + "<" + call.options.destination;
}

std::vector<std::string> analysis_codes(const json::value& entry) {
    std::vector<std::string> codes;
    const std::string code = text_of(entry, "Analysis");
    if (!code.empty() && code != "NoProblem") codes.push_back(code);
    for (const auto& structure : elements(member(entry, "StructureAnalysis")))
        codes.push_back(text_of(structure));
    return codes;
}

std::string analysis_line(const json::value& entry, const std::string& codes) {
    return fmt::format("{} (cluster {}): {}\n", key_text(member(entry, "AnalyzedInstanceKey")),
                       text_of(member(entry, "ClusterDetails"), "ClusterName"), codes);
}

std::string recovery_line(const json::value& recovery) {
    const auto& entry = member(recovery, "AnalysisEntry");
    const std::string successor = key_text(member(recovery, "SuccessorKey"));
    return fmt::format("{} {} {} {} -> {} {}{}\n", text_of(recovery, "UID"),
                       text_of(recovery, "RecoveryStartTimestamp"), text_of(entry, "Analysis"),
                       key_text(member(entry, "AnalyzedInstanceKey")), successor.empty() ? "none" : successor,
                       is_true(recovery, "IsSuccessful") ? "successful" : "failed",
                       is_true(recovery, "Acknowledged") ? " acknowledged" : "");
}

}  // namespace

std::string nothing(const Answer&, const Call&) {
    return {};
}

std::string key(const Answer& answer, const Call&) {
    return line(key_text(answer.content()));
}

std::string keys(const Answer& answer, const Call&) {
    return keys_where(answer, [](const json::value&) { return true; });
}

std::string sorted_keys(const Answer& answer, const Call&) {
    std::set<std::string> sorted;
    for (const auto& element : elements(answer.content()))
        sorted.insert(line(key_text(element)));
    return join(std::vector<std::string>(sorted.begin(), sorted.end()), "");
}

std::string text(const Answer& answer, const Call&) {
    const std::string content = text_of(answer.content());
    return content.ends_with('\n') ? content : content + "\n";
}

std::string lines(const Answer& answer, const Call&) {
    return each(answer, [](const json::value& v) { return text_of(v) + "\n"; });
}

std::string raw_json(const Answer& answer, const Call&) {
    return jq_line(answer.body) + "\n";
}

std::string content_json(const Answer& answer, const Call&) {
    return jq_line(answer.content()) + "\n";
}

std::string moved(const Answer& answer, const Call& call) {
    return line(move_text(answer.content(), call));
}

std::string moved_each(const Answer& answer, const Call& call) {
    return each(answer, [&](const json::value& v) { return line(move_text(v, call)); });
}

std::string asked_instance(const Answer&, const Call& call) {
    const auto [host, port] = parse_endpoint(call.options.instance, call.options.default_port);
    return (host.find(':') == std::string::npos ? host : "[" + host + "]") + ":" + port + "\n";
}

/// The API's message carries the counts: "promoted replica: host:port, lost: 0, trivial: 1, pseudo-gtid: 0".
std::string regrouped(const Answer& answer, const Call&) {
    const std::string promoted = key_text(answer.content());
    const std::string message = answer.message();
    const auto counts = message.find(", lost");
    std::string out = line(promoted);
    if (counts != std::string::npos) out += promoted + message.substr(counts + 1) + "\n";
    return out;
}

std::string cluster_names(const Answer& answer, const Call&) {
    return each(answer, [](const json::value& v) { return text_of(v, "ClusterName") + "\n"; });
}

std::string cluster_alias_comma(const Answer& answer, const Call&) {
    return each(answer, [](const json::value& v) {
        return text_of(v, "ClusterName") + "," + text_of(v, "ClusterAlias") + "\n";
    });
}

std::string cluster_alias_tab(const Answer& answer, const Call&) {
    return each(answer, [](const json::value& v) {
        return text_of(v, "ClusterName") + "\t" + text_of(v, "ClusterAlias") + "\n";
    });
}

std::string cluster_name(const Answer& answer, const Call&) {
    return text_of(answer.content(), "ClusterName") + "\n";
}
std::string cluster_alias(const Answer& answer, const Call&) {
    return text_of(answer.content(), "ClusterAlias") + "\n";
}
std::string cluster_domain(const Answer& answer, const Call&) {
    return text_of(answer.content(), "ClusterDomain") + "\n";
}
std::string cluster_lag(const Answer& answer, const Call&) {
    return text_of(answer.content(), "HeuristicLag") + "\n";
}

std::string master_key(const Answer& answer, const Call&) {
    return raw_key_text(member(answer.content(), "MasterKey")) + "\n";
}

std::string master_key_or_nothing(const Answer& answer, const Call&) {
    return line(key_text(member(answer.content(), "MasterKey")));
}

std::string broken_replicas(const Answer& answer, const Call&) {
    return keys_where(answer, [](const json::value& v) {
        return !runs(v) && !(text_of(v, "LastSQLError").empty() && text_of(v, "LastIOError").empty());
    });
}

std::string running_replicas(const Answer& answer, const Call&) {
    return keys_where(answer, runs);
}

std::string lost_in_recovery(const Answer& answer, const Call&) {
    return keys_where(answer, [](const json::value& v) {
        return is_true(v, "IsDowntimed") && text_of(v, "DowntimeReason") == "lost-in-recovery";
    });
}

/// run_classic() has checked the expression.
std::string matching(const Answer& answer, const Call& call) {
    const std::regex expression(call.options.pattern);
    return keys_where(answer,
                      [&](const json::value& v) { return std::regex_search(key_text(v), expression); });
}

std::string is_replicating(const Answer& answer, const Call&) {
    return keys_where(answer, [](const json::value& v) { return both_states(v, 1); });
}

std::string is_stopped(const Answer& answer, const Call&) {
    return keys_where(answer, [](const json::value& v) { return both_states(v, 0); });
}

std::string errant(const Answer& answer, const Call&) {
    return text_of(answer.content(), "GtidErrant") + "\n";
}

std::string can_replicate(const Answer& answer, const Call&) {
    return answer.message() == "true" ? line(key_text(answer.content())) : std::string();
}

std::string in_maintenance(const Answer& answer, const Call&) {
    return answer.message() == "true" ? line(key_text(answer.content())) : std::string();
}

/// The description in brackets stands in the tree of the instance's cluster, and nowhere else.
std::string instance_status(const Answer& answer, const Call& call) {
    const std::string wanted(trim(asked_instance(answer, call)));
    for (const auto& row : split(text_of(answer.content()), '\n')) {
        const auto words = split(row, ' ');
        if (std::ranges::find(words, wanted) == words.end()) continue;
        const auto open = row.find('[', row.find(wanted) + wanted.size());
        if (open != std::string::npos) return row.substr(open) + "\n";
    }
    return {};
}

std::string dominant_data_center(const Answer& answer, const Call&) {
    std::map<std::string, int> primaries;
    for (const auto& master : elements(answer.content()))
        ++primaries[text_of(master, "DataCenter")];
    const auto most = std::ranges::max_element(primaries, {}, [](const auto& entry) {
        return std::pair(entry.second, std::string_view(entry.first));
    });
    return most == primaries.end() ? std::string() : most->first + "\n";
}

std::string key_values(const Answer& answer, const Call&) {
    return each(answer,
                [](const json::value& v) { return text_of(v, "Key") + ":" + text_of(v, "Value") + "\n"; });
}

std::string promotion_rules(const Answer& answer, const Call&) {
    std::set<std::string> sorted;
    for (const auto& v : elements(answer.content()))
        sorted.insert(key_text(v) + " " + text_of(v, "PromotionRule") + "\n");
    return join(std::vector<std::string>(sorted.begin(), sorted.end()), "");
}

std::string nodes(const Answer& answer, const Call&) {
    std::string out;
    for (const auto& node : elements(member(answer.content(), "AvailableNodes"))) {
        std::vector<std::string> fields;
        if (const auto* object = node.if_object())
            for (const auto& field : *object)
                fields.push_back(text_of(field.value()));
        out += "{" + join(fields, " ") + "}\n";
    }
    return out;
}

std::string pseudo_gtid(const Answer& answer, const Call&) {
    return answer.message() + ":" + text_of(answer.content()) + "\n";
}

std::string resolve_cache(const Answer& answer, const Call&) {
    std::string out;
    if (const auto* object = answer.content().if_object())
        for (const auto& entry : *object)
            out += std::string(entry.key()) + " " + text_of(entry.value()) + "\n";
    return out;
}

std::string resolve_cache_cleared(const Answer&, const Call&) {
    return "hostname resolve cache cleared\n";
}

std::string proxysql_servers(const Answer& answer, const Call&) {
    static constexpr auto row = "{:<12}{:<30}{:<6}{:<15}{:<6}";
    const auto text_line = [](std::string out) {
        out.erase(out.find_last_not_of(' ') + 1);
        return out + "\n";
    };
    std::string out = text_line(fmt::format(row, "HOSTGROUP", "HOSTNAME", "PORT", "STATUS", "WEIGHT"));
    for (const auto& v : elements(answer.content()))
        out += text_line(fmt::format(row, text_of(v, "hostgroup_id"), text_of(v, "hostname"),
                                     text_of(v, "port"), text_of(v, "status"), text_of(v, "weight")));
    return out;
}

std::string successor(const Answer& answer, const Call&) {
    return line(key_text(member(answer.content(), "SuccessorKey")));
}

std::string successor_and_coordinates(const Answer& answer, const Call& call) {
    std::string out = successor(answer, call);
    const auto& at = member(answer.content(), "SuccessorBinlogCoordinates");
    if (at.is_object())
        out +=
            fmt::format("{{{} {} {}}}\n", text_of(at, "LogFile"), text_of(at, "LogPos"), text_of(at, "Type"));
    return out;
}

std::string analysis_script(const Answer& answer, const Call&) {
    return each(answer, [](const json::value& entry) {
        const auto codes = analysis_codes(entry);
        return analysis_line(entry, codes.empty() ? text_of(entry, "Analysis") : codes.front());
    });
}

std::string analysis_binary(const Answer& answer, const Call&) {
    return each(answer, [](const json::value& entry) {
        const auto codes = analysis_codes(entry);
        if (codes.empty() || is_true(entry, "IsDowntimed")) return std::string();
        return analysis_line(entry, join(codes, ", "));
    });
}

std::string recoveries_disabled(const Answer&, const Call&) {
    return "OK: Orchestrator recoveries DISABLED globally\n";
}
std::string recoveries_enabled(const Answer&, const Call&) {
    return "OK: Orchestrator recoveries ENABLED globally\n";
}

std::string recoveries_state(const Answer& answer, const Call&) {
    const bool disabled = text_of(answer.content()) == "disabled";
    return fmt::format("OK: Global recoveries disabled: {}\n", disabled);
}

std::string recoveries(const Answer& answer, const Call&) {
    return each(answer, recovery_line);
}

}  // namespace baton::cli::print
