#include "cli/modern_view.h"

#include <fmt/format.h>

#include "base/text.h"

namespace baton::cli::view {
namespace {

std::string or_dash(std::string text) {
    return text.empty() ? "-" : text;
}

std::string lag_text(const json::value& instance) {
    const auto& lag = member(instance, "ReplicationLagSeconds");
    return is_true(lag, "Valid") ? text_of(lag, "Int64") + "s" : "-";
}

bool is_primary(const json::value& v) {
    return key_text(member(v, "MasterKey")).empty();
}

Cell role_cell(const json::value& v) {
    if (is_primary(v))
        return is_true(v, "ReadOnly") ? Cell("primary ro", Tone::warn) : Cell("primary", Tone::strong);
    return {"standby"};
}

Cell state_cell(const json::value& v) {
    if (!is_true(v, "IsLastCheckValid")) return {"unreachable", Tone::bad};
    std::vector<std::string> problems;
    for (const auto& problem : elements(member(v, "Problems")))
        problems.push_back(text_of(problem));
    if (!problems.empty()) return {join(problems, ","), Tone::bad};
    return {"ok", Tone::good};
}

std::string downtime_text(const json::value& v) {
    if (!is_true(v, "IsDowntimed")) return {};
    return fmt::format("until {}, by {}: {}", text_of(v, "DowntimeEndTimestamp"), text_of(v, "DowntimeOwner"),
                       text_of(v, "DowntimeReason"));
}

std::string note(const json::value& v) {
    std::vector<std::string> notes;
    if (is_true(v, "IsDowntimed")) notes.push_back("downtimed: " + text_of(v, "DowntimeReason"));
    if (const auto rule = text_of(v, "PromotionRule"); !rule.empty() && rule != "neutral")
        notes.push_back(rule);
    return join(notes, "; ");
}

std::vector<std::string> codes_of(const json::value& entry) {
    std::vector<std::string> codes;
    if (const auto code = text_of(entry, "Code"); !code.empty()) codes.push_back(code);
    if (const auto code = text_of(entry, "Analysis"); !code.empty() && code != "NoProblem")
        codes.push_back(code);
    for (const auto& structure : elements(member(entry, "StructureAnalysis")))
        codes.push_back(text_of(structure));
    return codes;
}

Cell result_cell(const json::value& recovery) {
    if (text_of(recovery, "RecoveryEndTimestamp").empty()) return {"running", Tone::warn};
    return is_true(recovery, "IsSuccessful") ? Cell("successful", Tone::good) : Cell("failed", Tone::bad);
}

/// Milliseconds since midnight of "…T10:33:53.120Z" or "… 10:33:53"; nothing when it is no time.
std::optional<int64_t> day_ms(std::string_view time) {
    const auto at = time.find_first_of("T ");
    if (at == std::string_view::npos || time.size() < at + 9) return std::nullopt;
    const auto hours = parse_int(time.substr(at + 1, 2));
    const auto minutes = parse_int(time.substr(at + 4, 2));
    const auto whole = parse_int(time.substr(at + 7, 2));
    if (!hours || !minutes || !whole) return std::nullopt;
    int64_t ms = ((*hours * 60 + *minutes) * 60 + *whole) * 1000;
    int64_t unit = 100;
    for (size_t i = at + 10; time.size() > at + 9 && time[at + 9] == '.' && i < time.size() && unit > 0;
         ++i) {
        if (time[i] < '0' || time[i] > '9') break;
        ms += (time[i] - '0') * unit;
        unit /= 10;
    }
    return ms;
}

/// Since the suspicion that led to the recovery, when the API says so; else since the first step, from the
/// wall clock.
std::optional<double> step_ms(const json::value& step, std::optional<int64_t> first) {
    const auto& ms = member(step, "ElapsedMilliseconds");
    if (const auto* real = ms.if_double()) return *real;
    if (!ms.is_null()) return static_cast<double>(number_of(ms));
    const std::string time = text_of(step, "AuditAt");
    if (time.find('.') == std::string::npos) return std::nullopt;
    const auto at = day_ms(time);
    if (!at || !first) return std::nullopt;
    const int64_t since = *at - *first;
    return static_cast<double>(since < 0 ? since + 24L * 3600 * 1000 : since);
}

std::string plan_step_line(const json::value& step) {
    std::string text = text_of(member_of(step, {"what", "What", "message", "Message"}));
    if (text.empty())
        text = text_of(member_of(step, {"kind", "Kind"})) + " " +
               key_text(member_of(step, {"target", "Target"}));
    const auto& irreversible = member_of(step, {"irreversible", "Irreversible"});
    return "  " + text + (irreversible.is_bool() && irreversible.as_bool() ? "  (point of no return)" : "") +
           "\n";
}

Tone severity_tone(std::string_view severity) {
    if (severity == "info") return Tone::plain;
    return severity == "warning" ? Tone::warn : Tone::bad;
}

Tone event_tone(std::string_view type) {
    if (type == "problem") return Tone::bad;
    if (type == "problem-cleared") return Tone::good;
    return type.starts_with("recovery") ? Tone::warn : Tone::plain;
}

}  // namespace

std::string clusters(const Answer& answer, const ModernCall& call) {
    Table table({"CLUSTER", "ALIAS", "INSTANCES", "LAG", "AUTOMATIC RECOVERY"});
    for (const auto& c : elements(answer.content())) {
        const bool automatic = is_true(c, "HasAutomatedMasterRecovery");
        table.add({{text_of(c, "ClusterName"), Tone::strong},
                   or_dash(text_of(c, "ClusterAlias")),
                   text_of(c, "CountInstances"),
                   text_of(c, "HeuristicLag") + "s",
                   {automatic ? "on" : "off", automatic ? Tone::good : Tone::warn}});
    }
    return table.empty() ? "no clusters yet: baton discover HOST:PORT\n" : table.text(call.paint);
}

std::string tree(const Answer& answer, const ModernCall& call) {
    const auto& content = answer.content();
    const std::string ascii = text_of(content.is_object() ? member(content, "topology") : content);
    return paint_tree(ascii, call.paint) + (ascii.ends_with('\n') ? "" : "\n");
}

std::string instances(const Answer& answer, const ModernCall& call) {
    Table table({"INSTANCE", "ROLE", "STATE", "LAG", "FOLLOWS", "VERSION", "CLUSTER", "NOTES"});
    for (const auto& v : elements(answer.content()))
        table.add({{key_text(v), Tone::strong},
                   role_cell(v),
                   state_cell(v),
                   lag_text(v),
                   or_dash(key_text(member(v, "MasterKey"))),
                   text_of(v, "Version"),
                   or_dash(text_of(v, "SuggestedClusterAlias").empty() ? text_of(v, "ClusterName")
                                                                       : text_of(v, "SuggestedClusterAlias")),
                   note(v)});
    return table.empty() ? "no instances\n" : table.text(call.paint);
}

std::string instance(const Answer& answer, const ModernCall& call) {
    const auto& v = answer.content();
    std::vector<std::string> replicas;
    for (const auto& replica : elements(member(v, "Replicas")))
        replicas.push_back(key_text(replica));
    const auto& position = member(v, "SelfBinlogCoordinates");
    const std::pair<std::string_view, Cell> fields[] = {
        {"instance", {key_text(v), Tone::strong}},
        {"cluster", text_of(v, "ClusterName")},
        {"alias", text_of(v, "SuggestedClusterAlias")},
        {"role", role_cell(v)},
        {"state", state_cell(v)},
        {"version", text_of(v, "FlavorName") + " " + text_of(v, "Version")},
        {"follows", key_text(member(v, "MasterKey"))},
        {"lag", lag_text(v)},
        {"position", text_of(position, "LogFile") + ":" + text_of(position, "LogPos")},
        {"replicas", join(replicas, ", ")},
        {"promotion rule", text_of(v, "PromotionRule")},
        {"downtime", {downtime_text(v), Tone::warn}},
        {"receiver error", {text_of(v, "LastIOError"), Tone::bad}},
        {"replay error", {text_of(v, "LastSQLError"), Tone::bad}},
        {"data centre", text_of(v, "DataCenter")},
        {"last seen", text_of(v, "LastSeenTimestamp")},
    };
    std::string out;
    for (const auto& [name, cell] : fields)
        if (!cell.text.empty()) out += fmt::format("{:<16}{}\n", name, call.paint(cell.tone, cell.text));
    return out;
}

std::string moved(const Answer& answer, const ModernCall&) {
    const auto& v = answer.content();
    const std::string upstream = key_text(member(v, "MasterKey"));
    if (upstream.empty()) return answer.message() + "\n";
    return key_text(v) + " follows " + upstream + "\n";
}

std::string moved_many(const Answer& answer, const ModernCall& call) {
    std::string out;
    if (!answer.message().empty()) out = answer.message() + "\n";
    for (const auto& v : elements(answer.content())) {
        const std::string upstream = key_text(member(v, "MasterKey"));
        if (!upstream.empty()) out += key_text(v) + " follows " + upstream + "\n";
    }
    return out.empty() ? keys(answer, call) : out;
}

std::string message(const Answer& answer, const ModernCall&) {
    const std::string text = answer.message();
    return (text.empty() ? text_of(answer.content()) : text) + "\n";
}

std::string promoted(const Answer& answer, const ModernCall& call) {
    const auto& content = answer.content();
    const auto& successor = member(content, "SuccessorKey");
    const std::string key = successor.is_null() ? key_text(content) : key_text(successor);
    if (key.empty()) return message(answer, call);
    std::string out = "promoted " + call.paint(Tone::strong, key) + "\n";
    if (const auto uid = text_of(content, "UID"); !uid.empty()) out += "baton timeline " + uid + "\n";
    return out;
}

std::string recoveries(const Answer& answer, const ModernCall& call) {
    Table table({"STARTED", "CLUSTER", "PROBLEM", "FAILED", "SUCCESSOR", "RESULT", "ACKNOWLEDGED", "UID"});
    for (const auto& r : elements(answer.content())) {
        const auto& entry = member(r, "AnalysisEntry");
        const auto& cluster = member(entry, "ClusterDetails");
        const auto alias = text_of(cluster, "ClusterAlias");
        table.add({text_of(r, "RecoveryStartTimestamp"),
                   alias.empty() ? text_of(cluster, "ClusterName") : alias, text_of(entry, "Analysis"),
                   key_text(member(entry, "AnalyzedInstanceKey")),
                   Cell(or_dash(key_text(member(r, "SuccessorKey"))), Tone::strong), result_cell(r),
                   is_true(r, "Acknowledged") ? Cell(or_dash(text_of(r, "AcknowledgedBy")))
                                              : Cell("no", Tone::warn),
                   Cell(text_of(r, "UID"), Tone::faint)});
    }
    return table.empty() ? "no recoveries\n" : table.text(call.paint);
}

std::string blocked(const Answer& answer, const ModernCall& call) {
    Table table({"LAST BLOCKED", "CLUSTER", "PROBLEM", "FAILED", "BY RECOVERY"});
    for (const auto& b : elements(answer.content()))
        table.add({text_of(b, "LastBlockedTimestamp"), text_of(b, "ClusterName"),
                   Cell(text_of(b, "Analysis"), Tone::bad), key_text(member(b, "FailedInstanceKey")),
                   text_of(b, "BlockingRecoveryId")});
    return table.empty() ? "nothing is blocked\n" : table.text(call.paint);
}

std::string maintenance(const Answer& answer, const ModernCall& call) {
    Table table({"INSTANCE", "SINCE", "OWNER", "REASON"});
    for (const auto& m : elements(answer.content()))
        table.add({key_text(m), text_of(m, "BeginTimestamp"), text_of(m, "Owner"), text_of(m, "Reason")});
    return table.empty() ? "nothing is in maintenance\n" : table.text(call.paint);
}

std::string downtimed(const Answer& answer, const ModernCall& call) {
    Table table({"INSTANCE", "UNTIL", "OWNER", "REASON"});
    for (const auto& v : elements(answer.content()))
        table.add({key_text(v), text_of(v, "DowntimeEndTimestamp"), text_of(v, "DowntimeOwner"),
                   text_of(v, "DowntimeReason")});
    return table.empty() ? "nothing is in downtime\n" : table.text(call.paint);
}

std::string lines(const Answer& answer, const ModernCall&) {
    std::string out;
    for (const auto& v : elements(answer.content()))
        out += text_of(v) + "\n";
    return out;
}

std::string keys(const Answer& answer, const ModernCall&) {
    std::string out;
    for (const auto& v : elements(answer.content()))
        if (const auto key = key_text(v); !key.empty()) out += key + "\n";
    return out;
}

std::string audit(const Answer& answer, const ModernCall& call) {
    Table table({"AT", "WHAT", "INSTANCE", "MESSAGE"});
    for (const auto& a : elements(answer.content()))
        table.add({text_of(a, "AuditTimestamp"), text_of(a, "AuditType"),
                   or_dash(key_text(member(a, "AuditInstanceKey"))), text_of(a, "Message")});
    return table.empty() ? "nothing recorded\n" : table.text(call.paint);
}

std::string plan(const Answer& answer, const ModernCall& call) {
    const auto& content = answer.content();
    const auto& nested = member_of(content, {"choice", "Choice"});
    const auto& choice = nested.is_object() ? nested : content;
    const std::string chosen = key_text(member_of(choice, {"chosen", "Chosen"}));
    std::string out = chosen.empty() ? call.paint(Tone::bad, "nobody can be promoted") + "\n"
                                     : "would promote " + call.paint(Tone::strong, chosen) + "\n";
    if (const auto why = text_of(member_of(choice, {"why", "Why"})); !why.empty()) out += "  " + why + "\n";
    Table table({"NOT PROMOTED", "REASON", "DETAIL"});
    for (const auto& r : elements(member_of(choice, {"rejected", "Rejected"})))
        table.add({key_text(member_of(r, {"instance", "Instance", "key", "Key"})),
                   Cell(text_of(member_of(r, {"reason", "Reason"})), Tone::warn),
                   text_of(member_of(r, {"detail", "Detail"}))});
    if (!table.empty()) out += "\n" + table.text(call.paint);
    const auto steps = elements(member_of(content, {"steps", "Steps"}));
    if (!steps.empty()) out += "\n" + call.paint(Tone::faint, "STEPS") + "\n";
    for (const auto& step : steps)
        out += plan_step_line(step);
    for (const auto& lost : elements(member_of(content, {"lost", "Lost"})))
        out += call.paint(Tone::warn, "cannot follow: " + key_text(lost)) + "\n";
    for (const auto& remark : elements(member_of(content, {"remarks", "Remarks"})))
        out += text_of(remark) + "\n";
    return out;
}

std::string raw(const Answer& answer, const ModernCall&) {
    return json::serialize(answer.body) + "\n";
}

std::string problems(const json::value& analysis, const json::value& instances, const Paint& paint) {
    Table table({"PROBLEM", "INSTANCE", "CLUSTER", "WHAT"});
    std::set<std::string> told;
    for (const auto& entry : elements(analysis)) {
        const auto codes = codes_of(entry);
        if (codes.empty()) continue;
        const bool quiet = is_true(entry, "IsDowntimed");
        const std::string key = key_text(member_of(entry, {"Instance", "AnalyzedInstanceKey"}));
        const auto& v1_cluster = member(entry, "ClusterDetails");
        const auto& cluster = v1_cluster.is_object() ? v1_cluster : entry;
        const std::string alias = text_of(cluster, "ClusterAlias");
        table.add({{join(codes, ", "), quiet ? Tone::faint : severity_tone(text_of(entry, "Severity"))},
                   key,
                   alias.empty() ? text_of(cluster, "ClusterName") : alias,
                   (quiet ? "(downtimed) " : "") + text_of(entry, "Description")});
        told.insert(key);
    }
    for (const auto& v : elements(instances))
        if (!told.contains(key_text(v)))
            table.add({{state_cell(v).text, Tone::warn}, key_text(v), text_of(v, "ClusterName"), note(v)});
    return table.empty() ? paint(Tone::good, "no problems") + "\n" : table.text(paint);
}

std::string timeline(const json::value& recovery, const json::value& steps, const Paint& paint) {
    std::string out;
    if (recovery.is_object()) {
        const auto& entry = member(recovery, "AnalysisEntry");
        const auto result = result_cell(recovery);
        out =
            fmt::format("{} on {}, cluster {}: {}, successor {}\n", text_of(entry, "Analysis"),
                        key_text(member(entry, "AnalyzedInstanceKey")),
                        text_of(member(entry, "ClusterDetails"), "ClusterName"),
                        paint(result.tone, result.text), or_dash(key_text(member(recovery, "SuccessorKey"))));
    }
    std::optional<int64_t> first;
    for (const auto& step : elements(steps)) {
        if (!first) first = day_ms(text_of(step, "AuditAt"));
        const auto ms = step_ms(step, first);
        out += paint(Tone::faint, ms ? fmt::format("{:>9.1f} ms  ", *ms) : text_of(step, "AuditAt") + "  ");
        out += text_of(step, "Message") + "\n";
    }
    return out;
}

std::string event(std::string_view type, const json::value& data, const Paint& paint) {
    std::string text = text_of(member_of(data, {"message", "Message", "description", "Description"}));
    const auto& entry = member(data, "AnalysisEntry");
    const std::string code = text_of(member_of(data.is_object() && entry.is_object() ? entry : data,
                                               {"code", "Code", "Analysis", "analysis"}));
    const std::string where = key_text(member_of(
        data, {"instance", "Instance", "AnalyzedInstanceKey", "failed", "FailedInstanceKey", "Key"}));
    const std::string cluster = text_of(member_of(data, {"cluster", "ClusterName", "cluster_name"}));
    const std::string successor = key_text(member(data, "successor"));
    const std::string state = text_of(data, "state") + (successor.empty() ? "" : ", successor " + successor);
    std::vector<std::string> parts;
    for (const auto& part : {code, where, cluster.empty() ? cluster : "(" + cluster + ")", state, text})
        if (!part.empty()) parts.push_back(part);
    if (parts.empty()) parts.push_back(json::serialize(data));
    return paint(event_tone(type), fmt::format("{:<16}", printable(type))) + join(parts, " ") + "\n";
}

std::string status(const json::value& health, const json::value& recoveries, const json::value& clusters,
                   const Paint& paint) {
    const bool healthy = is_true(health, "Healthy");
    const bool on = text_of(recoveries) == "enabled";
    uint64_t instances = 0;
    for (const auto& cluster : elements(clusters))
        instances +=
            static_cast<uint64_t>(std::max<int64_t>(0, number_of(member(cluster, "CountInstances"))));
    const auto& active = member(health, "ActiveNode");
    std::string out = fmt::format("manager    {} on {}",
                                  paint(healthy ? Tone::good : Tone::bad, healthy ? "healthy" : "unhealthy"),
                                  or_dash(text_of(health, "Hostname")));
    if (const auto version = text_of(active, "AppVersion"); !version.empty()) out += ", version " + version;
    out += is_true(health, "IsActiveNode") ? ", leads\n"
                                           : ", leader is " + or_dash(text_of(active, "Hostname")) + "\n";
    out += "recovery   " +
           paint(on ? Tone::good : Tone::warn, on ? "automatic" : "switched off: baton enable-recoveries") +
           "\n";
    out += fmt::format("watching   {} instances in {} clusters\n", instances, elements(clusters).size());
    return out;
}

}  // namespace baton::cli::view
