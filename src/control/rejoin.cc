// Bringing servers back, by command.
#include "control/manager.h"

namespace baton::control {

/// A server that was never seen belongs where it is to be copied from.
Result<recovery::RejoinRequest> Manager::rejoin_request(const RejoinCommand& command) const {
    recovery::RejoinRequest request{.instance = command.key, .force = command.force, .anew = command.anew};
    const auto instance = known(command.key);
    if (instance) {
        request.instance = (*instance)->key;
        request.cluster_id = (*instance)->cluster_id;
    } else if (const auto* seen = parts_.agents.of(command.key)) {
        request.instance = seen->status.key;
        request.cluster_id = seen->status.system_identifier;
    }
    if (command.from) {
        const auto from = known(*command.from);
        if (!from) return std::unexpected(from.error());
        request.from = (*from)->key;
        if (!instance) request.cluster_id = (*from)->cluster_id;
        if ((*from)->cluster_id != request.cluster_id) {
            return fail(ErrorKind::conflict,
                        "belongs to another cluster than " + (*from)->key.text() +
                            "; forget it first if it is to become a member of that one",
                        request.instance.text());
        }
    }
    if (!request.cluster_id.empty() && discovery_->cluster(request.cluster_id)) return request;
    return fail(ErrorKind::not_found,
                "its cluster is not known; name one of its servers to copy from (`baton clone … --from`)",
                command.key.text());
}

Task<Result<recovery::RejoinState>> Manager::rejoin(RejoinCommand command, Caller caller) {
    auto request = rejoin_request(command);
    if (!request) co_return std::unexpected(request.error());
    request->by = caller.name;
    const auto key = request->instance;
    auto begun = co_await recovery_->rejoin(std::move(*request));
    if (begun)
        note(command.anew ? "reinit" : "rejoin", key, caller,
             std::string("asked for") + (command.force ? ", with leave to drop what is past the fork" : ""));
    publish();
    co_return begun;
}

Result<plan::Rejoin> Manager::preview_rejoin(const RejoinCommand& command) const {
    const auto request = rejoin_request(command);
    if (!request) return std::unexpected(request.error());
    return recovery_->preview_rejoin(*request);
}

Result<void> Manager::cancel_rejoin(const InstanceKey& key, const Caller& caller) {
    const auto instance = known(key);
    return recovery_->cancel_rejoin(instance ? (*instance)->key : key, caller.name);
}

std::vector<recovery::RejoinState> Manager::rejoins() const {
    return recovery_->rejoins();
}

}  // namespace baton::control
