#include "app/agents.h"

#include <fmt/format.h>
#include <spdlog/spdlog.h>

namespace baton::app {
namespace {

/// An agent that has seen more than the record knows has obeyed another manager, or the record is an old
/// copy: people should know.
void audit(store::Store& store, Clock& clock, uint64_t known, uint64_t seen, uint64_t epoch) {
    store.apply(
        store::AddAudit{{.at = clock.wall(),
                         .type = "agent-epoch",
                         .instance = {},
                         .cluster_name = "",
                         .message = fmt::format("a host agent has seen epoch {}, this manager's was {}: it "
                                                "takes {}. Is another manager running?",
                                                seen, known, epoch)}});
}

Task<Result<uint64_t>> take_epoch(store::Store& store, Clock& clock, uint64_t seen) {
    const auto known = store.state().epoch;
    const auto epoch = std::max(known, seen) + 1;
    if (seen > 0) audit(store, clock, known, seen, epoch);
    const auto written = co_await store.apply_durably(store::PutEpoch{epoch});
    if (!written) co_return std::unexpected(written.error());
    co_return epoch;
}

}  // namespace

fleet::Options fleet_options(const config::Config& config, const std::string& hostname) {
    return {.listen_address = config.AgentsServerPort,
            .use_tls = config.AgentsUseSSL,
            .verify_clients = config.AgentsUseMutualTLS,
            .certificate_file = config.AgentSSLCertFile,
            .key_file = config.AgentSSLPrivateKeyFile,
            .ca_file = config.AgentSSLCAFile,
            .valid_ous = config.AgentSSLValidOUs,
            .token = config.AgentToken,
            .registry = {.manager = hostname,
                         .heartbeat = milliseconds(config.AgentHeartbeatMilliseconds),
                         .forget_unseen = std::chrono::hours(config.UnseenAgentForgetHours)}};
}

std::unique_ptr<fleet::Fleet> make_fleet(const config::Config& config, Clock& clock, store::Store& store,
                                         const std::string& hostname) {
    const bool anybody = config.AgentToken.empty() && !config.AgentsUseMutualTLS;
    if (config.ServeAgentsHttp && anybody) {
        spdlog::warn(
            "no host agent is served (ServeAgentsHttp): set AgentToken, or AgentsUseSSL and "
            "AgentsUseMutualTLS, so that not anybody can come in");
    }
    if (!config.ServeAgentsHttp || anybody) return nullptr;
    return fleet::make_fleet(clock, fleet_options(config, hostname),
                             [&store, &clock](uint64_t seen) { return take_epoch(store, clock, seen); });
}

}  // namespace baton::app
