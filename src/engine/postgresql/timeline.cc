// The history of a timeline is served by the replication protocol only, so this needs a connection of its
// own.
#include <fmt/format.h>

#include "engine/postgresql/actor.h"

namespace baton::engine::postgresql {

Task<Result<topology::TimelineHistory>> read_timeline_history(HandPtr hand, Timeline timeline,
                                                              MonoTime deadline) {
    if (timeline <= 1)
        co_return topology::TimelineHistory{timeline, {}};  // the first has no ancestors, and no file
    const auto session = std::make_shared<Session>(hand->wiring, hand->key, Purpose::replication);
    if (auto opened = co_await session->open(deadline); !opened) {
        auto error = std::move(opened.error().error);
        if (error.kind == ErrorKind::authentication || error.kind == ErrorKind::privilege) {
            error.message +=
                "; the manager's role needs the attribute REPLICATION and a line \"host replication\" in "
                "pg_hba.conf";
        }
        co_return std::unexpected(std::move(error));
    }
    const auto answer = co_await session->query(fmt::format("TIMELINE_HISTORY {}", timeline), deadline);
    session->close();
    if (!answer) co_return std::unexpected(answer.error().error);
    auto history = topology::parse_timeline_history(timeline, value_of(*answer, 1));
    if (!history) {
        co_return fail(ErrorKind::internal,
                       fmt::format("the history file of timeline {} makes no sense", timeline),
                       hand->key.text());
    }
    co_return std::move(*history);
}

}  // namespace baton::engine::postgresql
