#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "fleet_sim/world.h"

/// The statements that a manager sends, and what a PostgreSQL 15 server says to them.
namespace baton::bench {

enum class Statement : uint8_t {
    unknown,
    empty,
    look,
    identity,
    standby_facts,
    is_in_recovery,
    promote,
    reload,
    set_conninfo,
    set_slot,
    set_other,
    create_slot,
    drop_slot,
    slot_type,
    timeline_history
};

/// By its text; `unknown` when a manager is not known to send this.
Statement recognise(std::string_view sql);

/// Messages of the PostgreSQL protocol (manual, 55.7) appended to a buffer.
class Reply {
  public:
    explicit Reply(std::string& out) : out_(out) {}

    void begin(char type);
    void int16(size_t value);
    void int32(size_t value);
    void text(std::string_view value) { out_.append(value).push_back('\0'); }
    void raw(std::string_view value) { out_.append(value); }
    void end();

    void simple(char type);  ///< a message without a body
    void columns(size_t count);
    void begin_row(size_t count);
    void cell(std::string_view value);
    void null();
    void complete(std::string_view tag);
    void error(std::string_view sqlstate, std::string_view message);
    void ready() { begin('Z'), out_.push_back('I'), end(); }

  private:
    std::string& out_;
    size_t length_at_ = 0;
};

/// Columns of the answer, 0 for a statement that returns no rows.
size_t columns_of(Statement statement);

/// Does what the statement says and appends rows and completion (or an error), without row description.
void execute(World& world, Server& server, Statement statement, std::string_view sql, Reply& reply);

}  // namespace baton::bench
