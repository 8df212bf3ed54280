#include "host/upstream_look.h"

#include <fmt/format.h>

#include "base/text.h"
#include "host/files.h"
#include "host/own_thread.h"
#include "host/receiver.h"
#include "host/supervisor.h"
#include "host/tools.h"

namespace baton::host {
namespace {

constexpr auto believed_for = seconds(1);
constexpr auto ask_limit = seconds(2);
constexpr milliseconds wait_step{20};

/// What the standby's own files say of its upstream.
struct OwnSide {
    std::string conninfo;  ///< primary_conninfo
    std::string name;      ///< under which the upstream knows it
    std::optional<topology::Lsn> received;
};

std::string setting_in(const std::vector<std::string>& files, std::string_view name) {
    for (const auto& file : files) {
        const auto text = read_whole(file);
        const auto value = text ? read_setting(*text, name) : std::nullopt;
        if (value && !trim(*value).empty()) return *value;
    }
    return {};
}

OwnSide own_side_of(const InstanceOptions& instance) {
    const auto config = config_file_of(instance);
    const std::vector<std::string> files = {
        instance.data_directory + "/postgresql.auto.conf",
        config.empty() ? instance.data_directory + "/postgresql.conf" : config};
    OwnSide out;
    out.conninfo = setting_in(files, "primary_conninfo");
    const auto conninfo = Conninfo::parse(out.conninfo);
    if (conninfo) out.name = conninfo->get("application_name");
    if (out.name.empty()) out.name = setting_in(files, "cluster_name");
    if (out.name.empty()) out.name = "walreceiver";
    const auto receiver = find_receiver(instance.data_directory);
    if (receiver) out.received = receiver->position;
    return out;
}

std::string literal(std::string_view text) {
    std::string out = "'";
    for (const char c : text)
        out.append(c == '\'' ? 2 : 1, c);
    return out + "'";
}

std::string position_query(const std::string& name) {
    return "SELECT CASE WHEN pg_is_in_recovery() THEN GREATEST(pg_last_wal_receive_lsn(), "
           "pg_last_wal_replay_lsn()) ELSE pg_current_wal_flush_lsn() END, (SELECT max(sync_state) FROM "
           "pg_stat_replication WHERE application_name = " +
           literal(name) + ")";
}

/// One side's position; with a login for replication as IDENTIFY_SYSTEM has it.
struct Position {
    std::optional<topology::Lsn> at;
    std::string sync_state;
};

Task<Result<Position>> position_of(Tools& tools, Conninfo conninfo, topology::InstanceKey server,
                                   const std::string& name, std::string pass_file) {
    const bool replication = tools.instance().rewind_conninfo.empty();
    conninfo.lead_to(server);
    conninfo.set("application_name", "baton_health");
    if (replication)
        conninfo.set("replication", "true");
    else if (conninfo.get("dbname").empty())
        conninfo.set("dbname", "postgres");
    auto safe = SafeConninfo::make(conninfo, pass_file);
    if (!safe) co_return std::unexpected(safe.error());
    const auto row =
        co_await tools.query(safe->text(), replication ? "IDENTIFY_SYSTEM" : position_query(name));
    if (!row) co_return std::unexpected(row.error());
    const size_t column = replication ? 2 : 0;
    Position out;
    if (column < row->size()) out.at = topology::parse_lsn(trim((*row)[column]));
    if (!replication && row->size() > 1) out.sync_state = trim((*row)[1]);
    co_return out;
}

std::optional<topology::InstanceKey> upstream_in(const Conninfo& conninfo) {
    const auto host = split(conninfo.get("host"), ',').front();
    const auto port = parse_uint(split(conninfo.get("port"), ',').front()).value_or(5432);
    if (host.empty() || port == 0 || port > 65535) return std::nullopt;
    return topology::InstanceKey{host, static_cast<uint16_t>(port)};
}

}  // namespace

UpstreamLooks::UpstreamLooks(Clock& clock, const std::vector<InstanceOptions>& instances,
                             std::string pass_directory)
    : clock_(clock),
      instances_(instances),
      pass_directory_(std::move(pass_directory)),
      processes_(make_process_runner(clock)) {}

UpstreamLooks::~UpstreamLooks() = default;

Task<UpstreamLook> UpstreamLooks::look(size_t instance) {
    if (instance >= instances_.size()) co_return UpstreamLook{};
    auto& cached = cached_[instance];
    while (cached.asking)
        co_await clock_.sleep_for(wait_step);
    if (cached.known && clock_.now() - cached.at < believed_for) co_return cached.look;
    cached.asking = true;
    auto look = co_await ask(instances_[instance]);
    cached = {std::move(look), clock_.now(), true, false};
    co_return cached.look;
}

Task<UpstreamLook> UpstreamLooks::ask(const InstanceOptions& instance) {
    UpstreamLook look;
    const auto own = co_await on_own_thread<OwnSide>(clock_, [instance] { return own_side_of(instance); });
    const auto followed = Conninfo::parse(own.conninfo);
    const auto upstream = followed ? upstream_in(*followed) : std::nullopt;
    const auto login =
        instance.rewind_conninfo.empty() ? followed : Conninfo::parse(instance.rewind_conninfo);
    if (!upstream || !login) {
        look.why_not = "its primary_conninfo names no host";
        co_return look;
    }
    JobControl control(clock_.now() + ask_limit, [](const auto&) {});
    Tools tools(clock_, *processes_, instance, control);
    const auto pass_file = pass_directory_ + "/health-" + std::to_string(instance.key.port);
    const auto there = co_await position_of(tools, *login, *upstream, own.name, pass_file);
    if (!there) {
        look.why_not = upstream->text() + ": " + there.error().message;
        co_return look;
    }
    auto received = own.received;
    if (!received) {
        const auto here = co_await position_of(tools, *login, instance.key, own.name, pass_file);
        if (here) received = here->at;
    }
    if (there->at && received)
        look.lag_bytes = static_cast<int64_t>(topology::bytes_ahead(*there->at, *received));
    look.sync_state = there->sync_state;
    if (look.sync_state.empty())
        look.why_not = "the role of RewindConninfo must be set, and be a member of pg_monitor";
    if (!look.lag_bytes) look.why_not = "how far it has received cannot be told";
    co_return look;
}

}  // namespace baton::host
