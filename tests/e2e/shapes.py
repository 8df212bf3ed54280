"""Field names of orchestrator's answers, in order, as a running orchestrator 3.2.6 gives them."""

INSTANCE = """
Key InstanceAlias Uptime ServerID ServerUUID Version VersionComment FlavorName ReadOnly Binlog_format BinlogRowImage
LogBinEnabled LogSlaveUpdatesEnabled LogReplicationUpdatesEnabled SelfBinlogCoordinates MasterKey MasterUUID AncestryUUID
IsDetachedMaster Slave_SQL_Running ReplicationSQLThreadRuning Slave_IO_Running ReplicationIOThreadRuning
ReplicationSQLThreadState ReplicationIOThreadState HasReplicationFilters GTIDMode SupportsOracleGTID UsingOracleGTID
UsingMariaDBGTID UsingPseudoGTID ReadBinlogCoordinates ExecBinlogCoordinates IsDetached RelaylogCoordinates LastSQLError
LastIOError SecondsBehindMaster SQLDelay ExecutedGtidSet GtidPurged GtidErrant SlaveLagSeconds ReplicationLagSeconds
SlaveHosts Replicas ClusterName SuggestedClusterAlias DataCenter Region PhysicalEnvironment ReplicationDepth IsCoMaster
HasReplicationCredentials ReplicationCredentialsAvailable SemiSyncAvailable SemiSyncPriority SemiSyncMasterEnabled
SemiSyncReplicaEnabled SemiSyncMasterTimeout SemiSyncMasterWaitForReplicaCount SemiSyncMasterStatus SemiSyncMasterClients
SemiSyncReplicaStatus LastSeenTimestamp IsLastCheckValid IsUpToDate IsRecentlyChecked SecondsSinceLastSeen
CountMySQLSnapshots IsCandidate PromotionRule IsDowntimed DowntimeReason DowntimeOwner DowntimeEndTimestamp ElapsedDowntime
UnresolvedHostname AllowTLS Problems LastDiscoveryLatency ReplicationGroupName ReplicationGroupIsSinglePrimary
ReplicationGroupMemberState ReplicationGroupMemberRole ReplicationGroupMembers ReplicationGroupPrimaryInstanceKey
""".split()

ANALYSIS = """
AnalyzedInstanceKey AnalyzedInstanceMasterKey ClusterDetails AnalyzedInstanceDataCenter AnalyzedInstanceRegion
AnalyzedInstancePhysicalEnvironment AnalyzedInstanceBinlogCoordinates IsMaster IsReplicationGroupMember IsCoMaster
LastCheckValid LastCheckPartialSuccess CountReplicas CountValidReplicas CountValidReplicatingReplicas
CountReplicasFailingToConnectToMaster CountDowntimedReplicas ReplicationDepth Replicas SlaveHosts IsFailingToConnectToMaster
Analysis Description StructureAnalysis IsDowntimed IsReplicasDowntimed DowntimeEndTimestamp DowntimeRemainingSeconds
IsBinlogServer PseudoGTIDImmediateTopology OracleGTIDImmediateTopology MariaDBGTIDImmediateTopology
BinlogServerImmediateTopology SemiSyncMasterEnabled SemiSyncMasterStatus SemiSyncMasterWaitForReplicaCount
SemiSyncMasterClients CountSemiSyncReplicasEnabled CountLoggingReplicas CountStatementBasedLoggingReplicas
CountMixedBasedLoggingReplicas CountRowBasedLoggingReplicas CountDistinctMajorVersionsLoggingReplicas CountDelayedReplicas
CountLaggingReplicas IsActionableRecovery ProcessingNodeHostname ProcessingNodeToken CountAdditionalAgreeingNodes
StartActivePeriod SkippableDueToDowntime GTIDMode MinReplicaGTIDMode MaxReplicaGTIDMode MaxReplicaGTIDErrant CommandHint
IsReadOnly
""".split()

RECOVERY = """
Id UID AnalysisEntry SuccessorKey SuccessorAlias SuccessorBinlogCoordinates IsActive IsSuccessful LostReplicas
ParticipatingInstanceKeys AllErrors RecoveryStartTimestamp RecoveryEndTimestamp ProcessingNodeHostname ProcessingNodeToken
Acknowledged AcknowledgedAt AcknowledgedBy AcknowledgedComment LastDetectionId RelatedRecoveryId Type RecoveryType
""".split()

CLUSTER = """
ClusterName ClusterAlias ClusterDomain CountInstances HeuristicLag HasAutomatedMasterRecovery
HasAutomatedIntermediateMasterRecovery
""".split()

STEP = "Id RecoveryUID AuditAt Message".split()
MAINTENANCE = "MaintenanceId Key BeginTimestamp SecondsElapsed IsActive Owner Reason".split()
HEALTH = """
Healthy Hostname Token IsActiveNode ActiveNode Error AvailableNodes RaftLeader IsRaftLeader RaftLeaderURI RaftAdvertise
RaftHealthyMembers
""".split()


def missing(names, answer):
    """The first name that is absent from the answer or out of order there; '' when there is none. More fields may stand
    between them."""
    keys = iter(answer)
    for name in names:
        if name not in keys:
            return name
    return ""
