#include "fleet_sim/answers.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <iterator>

#include "engine/postgresql/dialect.h"

namespace baton::bench {
namespace {

using engine::postgresql::Identity;
using engine::postgresql::Look;

struct Form {
    std::string_view beginning;
    Statement statement;
    size_t columns;
};

constexpr std::array forms{
    Form{"SELECT pg_is_in_recovery(), pg_has_role(", Statement::standby_facts, 7},
    Form{"SELECT pg_is_in_recovery()", Statement::is_in_recovery, 1},
    Form{"SELECT pg_promote(", Statement::promote, 1},
    Form{"SELECT pg_reload_conf()", Statement::reload, 1},
    Form{"ALTER SYSTEM SET primary_conninfo", Statement::set_conninfo, 0},
    Form{"ALTER SYSTEM SET primary_slot_name", Statement::set_slot, 0},
    Form{"ALTER SYSTEM SET ", Statement::set_other, 0},
    Form{"SELECT pg_create_physical_replication_slot(", Statement::create_slot, 2},
    Form{"SELECT pg_drop_replication_slot(", Statement::drop_slot, 1},
    Form{"SELECT slot_type FROM pg_replication_slots", Statement::slot_type, 1},
    Form{"TIMELINE_HISTORY ", Statement::timeline_history, 2},
};

constexpr std::string_view dynamic_settings_after_slot =
    "\037\037on\037off\037off\037on\0375s\0371min\0371min\0370\037-1";
constexpr int first_backend_pid = 1000;
constexpr int first_sender_pid = 40000;

/// What stands between the first pair of apostrophes; doubled ones inside are undone.
std::string literal_in(std::string_view sql) {
    const auto first = sql.find('\''), last = sql.rfind('\'');
    std::string text;
    for (size_t at = first + 1; at < last && last != std::string_view::npos; ++at) {
        text.push_back(sql[at]);
        if (sql[at] == '\'') ++at;
    }
    return text;
}

std::string senders_json(const World& world, const Server& s) {
    std::string json;
    for (const auto* f : world.followers(s)) {
        const auto lsn = world.position(*f).text();
        fmt::format_to(
            std::back_inserter(json),
            R"({}[{}, "replicator", "node{}", "{}", null, "streaming", "{}", "{}", "{}", "{}", null, "async", 0])",
            json.empty() ? '[' : ',', first_sender_pid + f->id, f->id, f->host, lsn, lsn, lsn, lsn);
    }
    if (!json.empty()) json.push_back(']');
    return json;
}

std::string slots_json(const World& world, const Server& s) {
    const auto followers = world.followers(s);
    std::string json;
    for (const auto& slot : s.slots) {
        const auto user = std::ranges::find(followers, slot, &Server::slot);
        const bool active = user != followers.end();
        fmt::format_to(std::back_inserter(json), R"({}["{}", true, {}, false, "{}", "reserved", null, {}])",
                       json.empty() ? '[' : ',', slot, active,
                       active ? world.position(**user).text() : topology::Lsn{s.position}.text(),
                       active ? std::to_string(first_sender_pid + (*user)->id) : "null");
    }
    if (!json.empty()) json.push_back(']');
    return json;
}

using Row = std::array<std::optional<std::string>, static_cast<size_t>(Look::count)>;

void fill_receiver(const World& world, const Server& s, Row& row) {
    const auto at = [&row](Look c) -> auto& { return row[static_cast<size_t>(c)]; };
    const auto& above = world.servers()[*s.upstream];
    const auto lsn = world.position(s).text();
    at(Look::receiver_pid) = std::to_string(first_backend_pid + s.id);
    at(Look::receiver_status) = "streaming";
    at(Look::receiver_host) = above.host;
    at(Look::receiver_port) = std::to_string(world.options().port);
    at(Look::receiver_slot) = s.slot;
    at(Look::receiver_timeline) = std::to_string(world.timeline(s));
    at(Look::receiver_written) = at(Look::receiver_flushed) = at(Look::receiver_latest_end) = lsn;
    at(Look::receiver_message_age_ms) = "12";
}

void fill_standby(const World& world, const Server& s, Row& row) {
    const auto at = [&row](Look c) -> auto& { return row[static_cast<size_t>(c)]; };
    at(Look::received) = at(Look::replayed) = at(Look::streamed) = world.position(s).text();
    at(Look::replayed_age_ms) = "20";
    at(Look::primary_conninfo) = s.conninfo;
    if (s.streaming) {
        fill_receiver(world, s, row);
    } else {
        at(Look::timeline) = std::to_string(s.timeline);
    }
}

Row look(const World& world, const Server& s) {
    Row row;
    const auto at = [&row](Look c) -> auto& { return row[static_cast<size_t>(c)]; };
    at(Look::in_recovery) = s.primary ? "f" : "t";
    at(Look::replay_paused) = "f";
    at(Look::can_see_all) = "t";
    at(Look::settings) = s.slot + std::string(dynamic_settings_after_slot);
    if (s.primary) {
        at(Look::timeline) = fmt::format("{:08X}", s.timeline);
        at(Look::written) = world.position(s).text();
    } else {
        fill_standby(world, s, row);
    }
    if (auto json = senders_json(world, s); !json.empty()) at(Look::senders) = std::move(json);
    if (auto json = slots_json(world, s); !json.empty()) at(Look::slots) = std::move(json);
    return row;
}

auto identity(const World& world, const Server& s) {
    std::array<std::string, static_cast<size_t>(Identity::count)> row;
    const auto at = [&row](Identity c) -> auto& { return row[static_cast<size_t>(c)]; };
    constexpr int64_t started_at_us = 1'790'000'000'000'000;
    at(Identity::system_identifier) = std::to_string(world.cluster_of(s).system_identifier);
    at(Identity::version_num) = "150018";
    at(Identity::version) = "15.18 (Debian 15.18-0+deb12u1)";
    at(Identity::data_directory) = "/var/lib/postgresql/15/main";
    at(Identity::port) = std::to_string(world.options().port);
    at(Identity::started_at_us) = std::to_string(started_at_us + world.options().first + s.id);
    at(Identity::cluster_name) = fmt::format("node{}", s.id);
    at(Identity::recovery_target_timeline) = "latest";
    at(Identity::wal_log_hints) = "on";
    at(Identity::data_checksums) = "on";
    at(Identity::max_connections) = at(Identity::max_wal_senders) = "100";
    at(Identity::max_worker_processes) = "8";
    at(Identity::max_prepared_transactions) = "0";
    at(Identity::max_locks_per_transaction) = "64";
    at(Identity::max_replication_slots) = "100";
    return row;
}

void send_row(Reply& reply, const auto& cells) {
    reply.begin_row(cells.size());
    for (const auto& c : cells) {
        if constexpr (requires { c.has_value(); }) {
            c ? reply.cell(*c) : reply.null();
        } else {
            reply.cell(c);
        }
    }
    reply.end();
    reply.complete("SELECT 1");
}

void send_history(const Server& s, Reply& reply) {
    std::string text;
    for (const auto& h : s.history)
        text += fmt::format("{}\t{}\tno recovery target specified\n\n", h.timeline, h.at.text());
    send_row(reply, std::array{fmt::format("{:08X}.history", s.timeline), text});
}

void create_slot(Server& s, const std::string& name, Reply& reply) {
    if (std::ranges::find(s.slots, name) != s.slots.end()) {
        return reply.error("42710", fmt::format("replication slot \"{}\" already exists", name));
    }
    s.slots.push_back(name);
    send_row(reply, std::array{name, topology::Lsn{s.position}.text()});
}

}  // namespace

Statement recognise(std::string_view sql) {
    if (sql.empty()) return Statement::empty;
    if (sql == engine::postgresql::look_sql()) return Statement::look;
    if (sql == engine::postgresql::identity_sql()) return Statement::identity;
    for (const auto& form : forms) {
        if (sql.starts_with(form.beginning)) return form.statement;
    }
    return Statement::unknown;
}

size_t columns_of(Statement statement) {
    if (statement == Statement::look) return static_cast<size_t>(Look::count);
    if (statement == Statement::identity) return static_cast<size_t>(Identity::count);
    const auto form = std::ranges::find(forms, statement, &Form::statement);
    return form == forms.end() ? 0 : form->columns;
}

void Reply::begin(char type) {
    out_.push_back(type);
    length_at_ = out_.size();
    out_.append(4, '\0');
}

void Reply::int16(size_t value) {
    out_.push_back(static_cast<char>(value >> 8));
    out_.push_back(static_cast<char>(value));
}

void Reply::int32(size_t value) {
    int16(value >> 16 & 0xffff);
    int16(value & 0xffff);
}

void Reply::end() {
    const auto length = out_.size() - length_at_;
    for (size_t i = 0; i < 4; ++i)
        out_[length_at_ + i] = static_cast<char>(length >> (24 - 8 * i));
}

void Reply::simple(char type) {
    begin(type);
    end();
}

void Reply::columns(size_t count) {
    constexpr size_t text_type = 25, any_length = 0xffff;
    begin('T');
    int16(count);
    for (size_t i = 0; i < count; ++i) {
        text("column");
        int32(0);
        int16(0);
        int32(text_type);
        int16(any_length);
        int32(0xffffffff);
        int16(0);
    }
    end();
}

void Reply::begin_row(size_t count) {
    begin('D');
    int16(count);
}

void Reply::cell(std::string_view value) {
    int32(value.size());
    raw(value);
}

void Reply::null() {
    int32(0xffffffff);
}

void Reply::complete(std::string_view tag) {
    begin('C');
    text(tag);
    end();
}

void Reply::error(std::string_view sqlstate, std::string_view message) {
    begin('E');
    for (const auto& [field, value] :
         {std::pair{'S', std::string_view("ERROR")}, {'V', "ERROR"}, {'C', sqlstate}, {'M', message}}) {
        out_.push_back(field);
        text(value);
    }
    out_.push_back('\0');
    end();
}

void execute(World& world, Server& s, Statement statement, std::string_view sql, Reply& reply) {
    using enum Statement;
    switch (statement) {
        case empty:
            return reply.simple('I');
        case look:
            return send_row(reply, bench::look(world, s));
        case identity:
            return send_row(reply, bench::identity(world, s));
        case standby_facts:
            return send_row(reply, std::array<std::string, 7>{s.primary ? "f" : "t", "t", s.conninfo, s.slot,
                                                              "t", "t", "on"});
        case is_in_recovery:
            return send_row(reply, std::array<std::string, 1>{s.primary ? "f" : "t"});
        case promote:
            if (s.primary) return reply.error("55000", "recovery is not in progress");
            world.promote(s);
            return send_row(reply, std::array<std::string, 1>{"t"});
        case reload:
            world.reload(s);
            return send_row(reply, std::array<std::string, 1>{"t"});
        case set_conninfo:
            s.next_conninfo = literal_in(sql);
            return reply.complete("ALTER SYSTEM");
        case set_slot:
            s.next_slot = literal_in(sql);
            return reply.complete("ALTER SYSTEM");
        case set_other:
            return reply.complete("ALTER SYSTEM");
        case create_slot:
            return bench::create_slot(s, literal_in(sql), reply);
        case drop_slot:
            std::erase(s.slots, std::string(literal_in(sql.substr(sql.rfind("slot_name")))));
            return reply.complete("SELECT 0");
        case slot_type:
            return send_row(reply, std::array<std::string, 1>{"physical"});
        case timeline_history:
            return send_history(s, reply);
        case unknown:
            break;
    }
    reply.error("0A000",
                fmt::format("the simulated server does not know this statement: {}", sql.substr(0, 200)));
}

}  // namespace baton::bench
