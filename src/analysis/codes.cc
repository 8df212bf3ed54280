#include <algorithm>
#include <array>
#include <utility>

#include "analysis/problem.h"

namespace baton::analysis {
namespace {

using enum Action;
using enum Severity;

// In the order of Code, so that info() is an index.
constexpr std::array table{
    CodeInfo{Code::no_problem, "NoProblem", "NoProblem", "Nothing is wrong.", none, Severity::info, false},
    CodeInfo{Code::dead_primary_without_replicas, "DeadPrimaryWithoutReplicas", "DeadMasterWithoutReplicas",
             "The primary is not reachable and no standby follows it, so nobody could take over.", none,
             Severity::info, false},
    CodeInfo{Code::dead_primary, "DeadPrimary", "DeadMaster",
             "The primary is not reachable and every standby has lost it.", recover_primary, critical, false},
    CodeInfo{Code::dead_primary_and_some_standbys, "DeadPrimaryAndSomeStandbys", "DeadMasterAndSomeReplicas",
             "The primary and some standbys are not reachable; every other standby has lost the primary.",
             recover_primary, critical, false},
    CodeInfo{
        Code::dead_primary_and_standbys, "DeadPrimaryAndStandbys", "DeadMasterAndReplicas",
        "Neither the primary nor any of its standbys is reachable: the manager's own link may be at fault.",
        detection, critical, false},
    CodeInfo{Code::unreachable_primary, "UnreachablePrimary", "UnreachableMaster",
             "The manager cannot reach the primary, but its standbys do not all say that it is gone.",
             detection, critical, false},
    CodeInfo{Code::primary_crash_recovery, "PrimaryCrashRecovery", "PrimaryCrashRecovery",
             "The primary lives and is starting up or recovering from a crash.", detection, warning, false},
    CodeInfo{
        Code::primary_unresponsive, "PrimaryUnresponsive", "PrimaryUnresponsive",
        "The primary accepts connections and does not answer; its standbys do not all say that it is gone.",
        detection, critical, false},
    CodeInfo{Code::too_many_connections, "TooManyConnections", "TooManyConnections",
             "The server lives and has no connection left for the manager.", detection, warning, false},
    CodeInfo{Code::authentication_failed, "AuthenticationFailed", "AuthenticationFailed",
             "The server lives and does not let the manager in.", detection, warning, false},
    CodeInfo{Code::stale_primary, "StalePrimary", "StalePrimary",
             "A former primary is back and writable, on a timeline that was left behind.", detection,
             critical, false},
    CodeInfo{Code::split_brain, "SplitBrain", "SplitBrain",
             "Two servers of the cluster are writable and neither descends from the other.", detection,
             critical, false},
    CodeInfo{Code::all_standbys_not_replicating, "AllStandbyNotReplicating",
             "AllMasterReplicasNotReplicating", "The primary answers and no standby receives from it.",
             detection, critical, false, true},
    CodeInfo{Code::standby_not_replicating, "StandbyNotReplicating", "StandbyNotReplicating",
             "The server answers and some of its standbys do not receive from it.", detection, warning, false,
             true},
    CodeInfo{Code::dead_standby, "DeadStandby", "DeadStandby", "The standby is not reachable.", none, warning,
             false},
    CodeInfo{Code::dead_intermediate_primary, "DeadIntermediatePrimary", "DeadIntermediateMaster",
             "A standby that feeds others is not reachable and all of them have lost it.",
             recover_intermediate, critical, false},
    CodeInfo{Code::dead_intermediate_primary_with_single_standby, "DeadIntermediatePrimaryWithSingleStandby",
             "DeadIntermediateMasterWithSingleReplicaFailingToConnect",
             "A standby that feeds one other is not reachable and the other has lost it.",
             recover_intermediate, critical, false, true},
    CodeInfo{Code::dead_intermediate_primary_and_some_standbys, "DeadIntermediatePrimaryAndSomeStandbys",
             "DeadIntermediateMasterAndSomeReplicas",
             "A standby that feeds others is not reachable, nor are some of them; the rest have lost it.",
             recover_intermediate, critical, false, true},
    CodeInfo{Code::dead_intermediate_primary_and_standbys, "DeadIntermediatePrimaryAndStandbys",
             "DeadIntermediateMasterAndReplicas",
             "A standby and all standbys that it feeds are not reachable.", detection, critical, false, true},
    CodeInfo{Code::unreachable_intermediate_primary, "UnreachableIntermediatePrimary",
             "UnreachableIntermediateMaster",
             "The manager cannot reach a standby that feeds others, but they do not all say that it is gone.",
             none, warning, false},
    CodeInfo{Code::all_intermediate_standbys_not_replicating, "AllIntermediateStandbyNotReplicating",
             "AllIntermediateMasterReplicasNotReplicating",
             "A standby answers and nobody below receives from it.", none, warning, false, true},
    CodeInfo{
        Code::replica_diverged, "ReplicaDiverged", "ReplicaDiverged",
        "The standby has WAL that the primary's history does not have; it must be rewound or cloned again.",
        none, critical, true},
    CodeInfo{Code::slot_wal_lost, "SlotWalLost", "SlotWalLost",
             "A replication slot has lost WAL that its consumer still needs, or is about to.", none, critical,
             true},
    CodeInfo{Code::slot_holds_back_wal, "SlotHoldsBackWal", "SlotHoldsBackWal",
             "A replication slot that nobody uses keeps WAL on the disk.", none, warning, true},
    CodeInfo{Code::replay_paused, "ReplayPaused", "ReplayPaused",
             "The standby receives and does not replay: somebody paused it.", none, warning, true},
    CodeInfo{Code::unsatisfiable_synchronous_standbys, "UnsatisfiableSynchronousStandbys",
             "UnsatisfiableSynchronousStandbys",
             "The streaming standbys cannot satisfy synchronous_standby_names: commits wait.", none, critical,
             true},
    CodeInfo{Code::slow_promotion_setting, "SlowPromotionSetting", "SlowPromotionSetting",
             "wal_retrieve_retry_interval is long: a promotion or the standbys below may wait for it.", none,
             Severity::info, true},
    CodeInfo{Code::no_primary, "NoPrimary", "NoPrimary", "Standbys answer, and no primary was ever seen.",
             none, critical, false},
    CodeInfo{Code::read_only_primary, "ReadOnlyPrimary", "NoWriteableMasterStructureWarning",
             "The primary starts every transaction read-only.", none, warning, true},
    CodeInfo{Code::missing_privilege, "MissingPrivilege", "MissingPrivilege",
             "The manager's role lacks pg_monitor: it cannot see who receives from whom.", none, warning,
             true},
    CodeInfo{Code::stranded_standby, "StrandedStandby", "StrandedStandby",
             "The standby still points at a former primary that was replaced.", none, warning, true},
    CodeInfo{Code::hung_primary, "HungPrimary", "HungPrimary",
             "The primary is stopped or answers nobody anew, and its agent can end it.", recover_primary,
             critical, false, false, true},
    CodeInfo{Code::primary_crash_loop, "PrimaryCrashLoop", "PrimaryCrashLoop",
             "The primary is started again and again and does not stay up.", recover_primary, critical, false,
             false, true},
    CodeInfo{Code::primary_disk_hung, "PrimaryDiskHung", "PrimaryDiskHung",
             "Writes to a disk of the primary do not end.", recover_primary, critical, false, false, true},
    CodeInfo{Code::primary_disk_read_only, "PrimaryDiskReadOnly", "PrimaryDiskReadOnly",
             "A file system of the primary lets nobody write.", recover_primary, critical, false, false,
             true},
    CodeInfo{Code::primary_disk_failing, "PrimaryDiskFailing", "PrimaryDiskFailing",
             "Writes to a disk of the primary fail.", recover_primary, critical, false, false, true},
    CodeInfo{Code::primary_disk_full, "PrimaryDiskFull", "PrimaryDiskFull",
             "A disk of the primary has no space left.", recover_primary, critical, false, false, true},
    CodeInfo{Code::blind_primary, "BlindPrimary", "BlindPrimary",
             "The agent beside the primary is not heard any more: nobody there can fence or restart it.",
             none, warning, true},
    CodeInfo{Code::blind_standby, "BlindStandby", "BlindStandby",
             "The agent beside the standby is not heard any more.", none, warning, true},
    CodeInfo{Code::standby_disk_hung, "StandbyDiskHung", "StandbyDiskHung",
             "Writes to a disk of the standby do not end: it is not promoted.", none, critical, true},
    CodeInfo{Code::standby_disk_read_only, "StandbyDiskReadOnly", "StandbyDiskReadOnly",
             "A file system of the standby lets nobody write: it is not promoted.", none, critical, true},
    CodeInfo{Code::standby_disk_failing, "StandbyDiskFailing", "StandbyDiskFailing",
             "Writes to a disk of the standby fail: it is not promoted.", none, critical, true},
    CodeInfo{Code::standby_disk_full, "StandbyDiskFull", "StandbyDiskFull",
             "A disk of the standby has no space left: it is not promoted.", none, critical, true},
    CodeInfo{Code::quarantined, "Quarantined", "Quarantined",
             "The data directory must not be started as it is: its agent refuses to.", none, critical, true},
    CodeInfo{Code::disk_space_notice, "DiskSpaceNotice", "DiskSpaceNotice",
             "A disk of the server is filled beyond the first limit.", none, Severity::info, true},
    CodeInfo{Code::disk_space_low, "DiskSpaceLow", "DiskSpaceLow",
             "A disk of the server is filled beyond the second limit.", none, warning, true},
    CodeInfo{Code::disk_space_critical, "DiskSpaceCritical", "DiskSpaceCritical",
             "A disk of the server is nearly full.", none, critical, true},
    CodeInfo{Code::primary_lost_to_clients, "PrimaryLostToClients", "PrimaryLostToClients",
             "The primary answers the manager, and hosts of clients do not reach it.", recover_primary,
             critical, false, false, true},
    CodeInfo{Code::certificate_expires, "CertificateExpires", "CertificateExpires",
             "The certificate of the server's agent is good for a few more days only, or no more.", none,
             warning, true},
};

consteval bool in_order() {
    for (size_t i = 0; i < table.size(); ++i) {
        if (std::to_underlying(table[i].code) != i) return false;
    }
    return std::to_underlying(Code::certificate_expires) + 1 == table.size();
}
static_assert(in_order(), "the table must have one row for each Code, in the order of the enumeration");

}  // namespace

const CodeInfo& info(Code code) {
    return table[std::to_underlying(code)];
}

bool fence_first(std::string_view name) {
    const auto at = std::ranges::find(table, name, &CodeInfo::name);
    return at != table.end() && at->fence_first;
}

std::span<const CodeInfo> all_codes() {
    return table;
}

}  // namespace baton::analysis
