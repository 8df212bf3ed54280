#include "recovery/journal.h"

#include <spdlog/spdlog.h>

#include "base/defect.h"
#include "base/json_writer.h"

namespace baton::recovery {

store::RecoveryStep Journal::make(std::string message, std::string deed) {
    return {.id = store_.new_id(),
            .uid = uid_,
            .at = clock_.wall(),
            .elapsed_us = to_us(elapsed()),
            .message = std::move(message),
            .deed = std::move(deed)};
}

void Journal::announce(const store::RecoveryStep& step) {
    spdlog::info("recovery {} +{:.1f} ms: {}", uid_.substr(0, 19),
                 static_cast<double>(step.elapsed_us) / 1000.0, step.message);
    JsonWriter json;
    json.begin_object().field("uid", uid_).field("elapsed_ms", static_cast<double>(step.elapsed_us) / 1000.0);
    json.field("at", iso_time(step.at)).field("message", step.message).end_object();
    announce_("recovery-step", json.text());
}

void Journal::write(std::string message, std::string deed) {
    auto step = make(std::move(message), std::move(deed));
    announce(step);
    store_.apply(store::AddRecoveryStep{std::move(step)});
}

Task<Result<void>> Journal::before_deed(std::string message, std::string deed) {
    auto step = make(std::move(message), std::move(deed));
    announce(step);
    if (defect("journal-not-durable")) {
        store_.apply(store::AddRecoveryStep{std::move(step)});
        co_return Result<void>{};
    }
    co_return co_await store_.apply_durably(store::AddRecoveryStep{std::move(step)});
}

}  // namespace baton::recovery
