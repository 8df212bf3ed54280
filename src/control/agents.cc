// What an operator sees of the host agents: the copy for readers, and the events.
#include <fmt/format.h>

#include "base/json_writer.h"
#include "control/manager.h"

namespace baton::control {
namespace {

/// Ages and progress move with every heartbeat; readers get them this often.
constexpr milliseconds refresh_every{1000};
constexpr milliseconds progress_every{1000};

std::string agent_message(const agent::Seen& seen) {
    std::string text = seen.connected ? "the agent is connected" : "the agent is not heard";
    if (seen.status.hold != topology::Hold::none)
        text += fmt::format(", the server is kept {}", topology::to_string(seen.status.hold));
    if (!seen.status.quarantine.empty()) text += ", it must not be started: " + seen.status.quarantine;
    return text;
}

std::string job_message(const topology::Job& job) {
    constexpr double mib = 1024.0 * 1024.0;
    const auto in_mib = [](int64_t bytes) { return static_cast<double>(bytes) / mib; };
    std::string text = fmt::format("{}: {}", job.verb, job.phase);
    if (job.total_bytes > 0)
        text += fmt::format(", {:.0f} of {:.0f} MiB", in_mib(job.done_bytes), in_mib(job.total_bytes));
    if (job.bytes_per_second > 0) text += fmt::format(", {:.1f} MiB/s", in_mib(job.bytes_per_second));
    return text;
}

std::string agent_json(const agent::Seen& seen) {
    JsonWriter json;
    const auto& status = seen.status;
    json.begin_object().field("instance", status.key.text()).field("host", seen.host);
    json.field("agent", seen.agent).field("version", seen.version).field("connected", seen.connected);
    json.field("state", topology::to_string(status.state)).field("hold", topology::to_string(status.hold));
    json.field("quarantine", status.quarantine).field("crashes", status.crashes);
    json.field("last_failure", status.last_failure).field("lease", status.lease.on);
    json.field("lease_held_by", status.lease.held_by);
    json.field("data_disk", status.data_disk ? topology::to_string(status.data_disk->health) : "");
    json.field("job", status.job ? status.job->verb : "").field("message", agent_message(seen));
    return json.end_object().take();
}

std::string end_message(const agent::EndedJob& end) {
    switch (end.outcome) {
        case agent::JobOutcome::done:
            return end.verb + " is done" + (end.detail.empty() ? "" : ": " + end.detail);
        case agent::JobOutcome::failed:
            return end.verb + " failed: " + end.error;
        case agent::JobOutcome::cancelled:
            return end.verb + " was cancelled: " + end.error;
        case agent::JobOutcome::unknown:
            break;
    }
    return end.verb + " has ended, and how is not known: its agent could not be heard then";
}

/// `end`: of one that is over.
std::string job_json(const InstanceKey& key, const topology::Job& job,
                     const std::optional<agent::EndedJob>& end) {
    JsonWriter json;
    json.begin_object().field("instance", key.text()).field("order", job.order).field("verb", job.verb);
    json.field("phase", job.phase).field("ended", end.has_value());
    json.field("outcome", end ? to_string(end->outcome) : "").field("error", end ? end->error : "");
    json.field("done_bytes", job.done_bytes).field("total_bytes", job.total_bytes);
    json.field("bytes_per_second", job.bytes_per_second).field("running_ms", to_ms(job.running));
    const bool known = job.bytes_per_second > 0 && job.total_bytes > 0 && job.total_bytes >= job.done_bytes;
    json.key("eta_seconds");
    if (known) {
        json.value((job.total_bytes - job.done_bytes) / job.bytes_per_second);
    } else {
        json.null();
    }
    json.field("message", end ? end_message(*end) : job_message(job));
    return json.end_object().take();
}

agent::EndedJob end_of(const topology::Job& job, const agent::Seen& seen) {
    const auto& last = seen.last_job;
    if (last && last->order == job.order) return *last;
    return {.order = job.order, .verb = job.verb};
}

}  // namespace

void Manager::watch_agents() {
    parts_.agents.on_change([this, alive = std::weak_ptr(alive_)](const InstanceKey& key) {
        const auto still = alive.lock();
        if (still && *still) announce_agent(key);
    });
}

void Manager::announce_agent(const InstanceKey& key) {
    const auto* seen = parts_.agents.of(key);
    if (!seen) return;
    agents_stale_ = true;
    publish_soon();
    // Who listens may do something that changes what is looked at here.
    const auto now = *seen;
    auto json = agent_json(now);
    if (auto& last = announced_agents_[key]; last != json) {
        last = json;
        emit("agent", json);
    }
    announce_job(key, now);
}

/// Its beginning, each phase and its end at once; in between once a second.
void Manager::announce_job(const InstanceKey& key, const agent::Seen& seen) {
    const auto last = announced_jobs_.find(key);
    const auto& job = seen.status.job;
    const bool same = last != announced_jobs_.end() && job && last->second.job.order == job->order;
    if (last != announced_jobs_.end() && !same) {
        const auto ended = job_json(key, last->second.job, end_of(last->second.job, seen));
        announced_jobs_.erase(last);
        emit("job", ended);
    }
    if (!job) return;
    auto& announced = announced_jobs_[key];
    if (same && announced.job.phase == job->phase && clock_.now() - announced.at < progress_every) return;
    announced = {*job, clock_.now()};
    emit("job", job_json(key, *job, {}));
}

AgentsPtr Manager::agents_now() {
    const auto now = clock_.now();
    if (!agents_stale_ && agents_ && now - agents_at_ < refresh_every) return agents_;
    agents_stale_ = false;
    agents_at_ = now;
    auto all = parts_.agents.all();
    if (all.empty() && !agents_) return nullptr;
    // Who was forgotten sends no more events.
    std::erase_if(announced_agents_,
                  [this](const auto& entry) { return parts_.agents.of(entry.first) == nullptr; });
    std::erase_if(announced_jobs_,
                  [this](const auto& entry) { return parts_.agents.of(entry.first) == nullptr; });
    agents_ = std::make_shared<const std::vector<agent::Seen>>(std::move(all));
    return agents_;
}

}  // namespace baton::control
