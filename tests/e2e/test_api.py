"""orchestrator's HTTP interface: routes, envelopes, field names and their order, errors."""

import base64
import contextlib
import json
import socket
import urllib.parse

import pytest

import shapes
from lab.manager import ApiError
from lab.wait import wait_until
from world import settle, successor_of, wait_recovered


@pytest.fixture(scope="module")
def pair(shared_world):
    return shared_world.watched(3, config={"AuditToBackendDB": True})


def hp(node):
    return f"{node.host}/{node.port}"


class TestShapes:
    def test_instance(self, pair):
        cluster, manager = pair
        standby, primary = (manager.get(f"instance/{hp(cluster[n])}") for n in ("n2", "n1"))
        for instance in (standby, primary):
            assert shapes.missing(shapes.INSTANCE, instance) == ""
        assert standby["Key"] == {"Hostname": "127.0.0.1", "Port": cluster["n2"].port}
        assert standby["MasterKey"] == {"Hostname": "127.0.0.1", "Port": cluster["n1"].port}
        assert primary["MasterKey"] == {"Hostname": "", "Port": 0}
        assert standby["ReadOnly"] is True and primary["ReadOnly"] is False
        assert standby["SlaveHosts"] == standby["Replicas"] == []
        assert [k["Port"] for k in primary["Replicas"]] == [cluster["n2"].port, cluster["n3"].port]
        assert standby["FlavorName"] == "PostgreSQL" and standby["Version"].startswith("15.")
        assert standby["ReplicationIOThreadState"] == 1 and primary["ReplicationIOThreadState"] == -1
        assert standby["ReplicationLagSeconds"] == {"Int64": 0, "Valid": True}
        assert primary["SecondsBehindMaster"]["Valid"] is False
        assert primary["SelfBinlogCoordinates"]["LogPos"] > 0x1000000

    def test_json_is_compact(self, pair):
        cluster, manager = pair
        status, body, headers = manager.raw(f"/api/instance/{hp(cluster['n2'])}")
        assert status == 200
        assert body.startswith('{"Key":{"Hostname":"127.0.0.1","Port":')
        assert headers["Content-Type"].replace(" ", "").lower() == "application/json;charset=utf-8"
        assert int(headers["Content-Length"]) == len(body.encode())

    def test_clusters(self, pair):
        cluster, manager = pair
        name = cluster["n1"].key
        assert manager.get("clusters") == [name]
        (info,) = manager.get("clusters-info")
        assert list(info)[:len(shapes.CLUSTER)] == shapes.CLUSTER
        assert info["ClusterName"] == name and info["CountInstances"] == 3
        assert info["HasAutomatedMasterRecovery"] is True
        assert manager.get(f"cluster-info/{name}") == info

    def test_replication_analysis(self, pair):
        _, manager = pair
        answer = manager.get("replication-analysis")
        assert answer["Code"] == "OK" and answer["Message"] == "Analysis"
        for entry in answer["Details"]:
            assert shapes.missing(shapes.ANALYSIS, entry) == ""

    def test_lists(self, pair):
        cluster, manager = pair
        name = cluster["n1"].key
        everybody = [n.port for n in cluster]
        for route in ("all-instances", f"cluster/{name}", f"cluster/instance/{hp(cluster['n3'])}", "search/127.0.0.1"):
            assert [i["Key"]["Port"] for i in manager.get(route)] == everybody, route
        assert [i["Key"]["Port"] for i in manager.get(f"instance-replicas/{hp(cluster['n1'])}")] == everybody[1:]
        assert [i["Key"]["Port"] for i in manager.get("masters")] == everybody[:1]
        assert manager.get("problems") in (None, [])
        assert manager.get("downtimed") == [] and manager.get("maintenance") == []

    def test_topology(self, pair):
        cluster, manager = pair
        n1, n2, n3 = cluster
        answer = manager.get(f"topology/{n1.key}")
        assert answer["Message"] == f"Topology for cluster {n1.key}"
        lines = answer["Details"].splitlines()
        assert lines[0].startswith(f"{n1.key}   [0s,ok,15.") and ",rw," in lines[0]
        assert lines[1].startswith(f"+ {n2.key} [0s,ok,15.") and ",ro," in lines[1]
        assert lines[2].startswith(f"+ {n3.key} [0s,ok,15.")
        assert manager.details(f"topology/{hp(n3)}") == answer["Details"]
        assert manager.details(f"topology-tabulated/{n1.key}").splitlines()[1].startswith(f"+ {n2.key}|0s|ok|15.")

    def test_health(self, pair):
        _, manager = pair
        for route in ("health", "status"):
            answer = manager.get(route)
            assert answer["Message"] == "Application node is healthy"
            assert list(answer["Details"])[:len(shapes.HEALTH)] == shapes.HEALTH
        assert [manager.get(r) for r in ("lb-check", "_ping", "leader-check")] == ["OK", "OK", "OK"]


class TestChanges:
    def test_downtime(self, pair):
        cluster, manager = pair
        node = cluster["n3"]
        answer = manager.get(f"begin-downtime/{hp(node)}/ops/test/10m")
        assert answer["Message"] == f"Downtime begun: {node.key}"
        assert answer["Details"] == {"Hostname": node.host, "Port": node.port}
        (listed,) = manager.get("downtimed")
        assert listed["DowntimeOwner"] == "ops" and listed["DowntimeReason"] == "test"
        manager.get(f"end-downtime/{hp(node)}")
        assert manager.get("downtimed") == []

    def test_maintenance(self, pair):
        cluster, manager = pair
        node = cluster["n3"]
        manager.get(f"begin-maintenance/{hp(node)}/ops/test")
        (entry,) = manager.get("maintenance")
        assert list(entry) == shapes.MAINTENANCE
        assert manager.get(f"in-maintenance/{hp(node)}")["Message"] == "true"
        manager.get(f"end-maintenance/{hp(node)}")
        assert manager.get("maintenance") == []

    def test_tags(self, pair):
        cluster, manager = pair
        n2, n3 = cluster["n2"], cluster["n3"]
        manager.get(f"tag/{hp(n2)}?tag=role=backup")
        manager.get(f"tag/{hp(n3)}/role/reports")
        manager.get(f"tag/{hp(n3)}?tag=old")
        assert manager.get(f"tags/{hp(n3)}") == ["old=", "role=reports"]
        assert manager.get(f"tag-value/{hp(n2)}?tag=role") == "backup"
        assert [k["Port"] for k in manager.get("tagged?tag=role")] == [n2.port, n3.port]
        assert [k["Port"] for k in manager.get("tagged?tag=role=backup")] == [n2.port]
        assert [k["Port"] for k in manager.get("tagged?tag=role,~old")] == [n2.port]
        manager.get(f"untag/{hp(n3)}/old")
        manager.get("untag-all/role/backup")
        assert manager.get(f"tags/{hp(n2)}") == [] and manager.get(f"tags/{hp(n3)}") == ["role=reports"]
        manager.get(f"untag/{hp(n3)}?tag=role")

    def test_promotion_rules(self, pair):
        cluster, manager = pair
        manager.get(f"register-candidate/{hp(cluster['n2'])}/prefer")
        assert manager.get(f"instance/{hp(cluster['n2'])}")["PromotionRule"] == "prefer"
        (rule,) = manager.get("bulk-promotion-rules")
        assert rule["PromotionRule"] == "prefer" and rule["Port"] == cluster["n2"].port
        with pytest.raises(ApiError):
            manager.get(f"register-candidate/{hp(cluster['n2'])}/king")
        manager.get(f"register-candidate/{hp(cluster['n2'])}/neutral")

    def test_alias(self, pair):
        cluster, manager = pair
        manager.get(f"set-cluster-alias/{cluster['n1'].key}?alias=shop")
        assert len(manager.get("cluster/alias/shop")) == 3
        assert manager.get("cluster/shop") and manager.get("cluster-info/alias/shop")["ClusterAlias"] == "shop"

    def test_audit(self, pair):
        cluster, manager = pair
        manager.get(f"begin-downtime/{hp(cluster['n2'])}/ops/audited/1m")
        manager.get(f"end-downtime/{hp(cluster['n2'])}")
        entries = manager.get(f"audit/instance/{hp(cluster['n2'])}")
        assert {"begin-downtime", "end-downtime"} <= {e["AuditType"] for e in entries}
        assert list(entries[0]) == ["AuditId", "AuditTimestamp", "AuditType", "AuditInstanceKey", "Message"]

    def test_forget_and_discover(self, pair):
        cluster, manager = pair
        node = cluster["n3"]
        assert manager.get(f"forget/{hp(node)}")["Code"] == "OK"
        answer = manager.get(f"discover/{hp(node)}")
        assert answer["Message"] == f"Instance discovered: {node.key}"
        assert shapes.missing(shapes.INSTANCE, answer["Details"]) == ""
        settle(manager, cluster)


class TestErrors:
    @pytest.mark.parametrize("route, words", [
        ("instance/127.0.0.1/9", "Cannot read instance: 127.0.0.1:9"),
        ("discover/127.0.0.1/9", "refused"),
        ("discover/no-such-host.invalid/5432", "no-such-host.invalid"),
        ("discover/127.0.0.1/notaport", "notaport"),
        ("discover/127.0.0.1/70000", "70000"),
        ("cluster/nocluster", "nocluster"),
        ("topology/nocluster", "nocluster"),
        ("ack-all-recoveries", "No acknowledge comment given"),
        ("raft-state", "not running with raft"),
        ("begin-downtime/127.0.0.1/9/ops/test/forever", "forever"),
        ("force-master-failover/nocluster", "nocluster"),
    ])
    def test_errors_are_clear(self, pair, route, words):
        status, body, _ = pair[1].raw(f"/api/{route}")
        assert status == 500
        answer = json.loads(body)
        assert answer["Code"] == "ERROR" and words in answer["Message"], answer

    def test_a_bad_pattern_is_an_error(self, pair):
        cluster, manager = pair
        status, body, _ = manager.raw(f"/api/relocate-replicas/{hp(cluster['n1'])}/{hp(cluster['n2'])}?pattern=" +
                                      urllib.parse.quote("(["))
        assert status == 500 and json.loads(body)["Code"] == "ERROR"
        assert cluster["n3"].streams_from_node(cluster["n1"])

    def test_unknown_route(self, pair):
        assert pair[1].raw("/api/nosuchroute")[:2] == (404, "404 page not found\n")
        assert pair[1].raw("/api/clusters", method="POST")[0] == 404

    def test_v2(self, pair):
        cluster, manager = pair
        answer = manager.get("v2/clusters")
        assert answer["status"] == "ok" and answer["data"][0]["ClusterName"] == cluster["n1"].key
        status, body, _ = manager.raw("/api/v2/instances/127.0.0.1/9")
        assert status == 404 and json.loads(body)["error"]["code"] == "NOT_FOUND"
        status, body, _ = manager.raw("/api/v2/instances/127.0.0.1/x")
        assert status == 400 and json.loads(body)["error"]["code"] == "INVALID_INSTANCE"

    @pytest.mark.parametrize("request_bytes", [
        b"\x00\x01\x02\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n", b"GET /" + b"a" * 100_000 + b" HTTP/1.1\r\n\r\n",
        b"GET /api/%zz/%00 HTTP/1.1\r\nHost: x\r\n\r\n", b"GET /api/clusters HTTP/1.1\r\nContent-Length: 99999999999\r\n\r\n",
        b"GET /api/instance/" + b"%2e%2e%2f" * 20 + b"/1 HTTP/1.1\r\nHost: x\r\n\r\n"],
        ids=["binary", "version", "long", "escapes", "length", "dots"])
    def test_rubbish_does_no_harm(self, pair, request_bytes):
        _, manager = pair
        with socket.create_connection((manager.address, manager.port), 5) as wire:
            wire.settimeout(10)
            with contextlib.suppress(ConnectionError, OSError):
                wire.sendall(request_bytes)
                wire.shutdown(socket.SHUT_WR)
                while wire.recv(65536):
                    pass
        assert manager.get("lb-check") == "OK"


class TestMetricsAndEvents:
    def test_metrics(self, pair):
        _, manager = pair
        status, body, _ = manager.raw("/metrics")
        assert status == 200
        values = {line.split()[0]: float(line.split()[1]) for line in body.splitlines() if line and line[0] != "#"}
        assert any(name.endswith("instances_total") and value == 3 for name, value in values.items())

    def test_events_tell_of_a_failure_and_its_recovery(self, world):
        cluster, manager = world.watched(2)
        with socket.create_connection((manager.address, manager.port), 5) as wire:
            wire.settimeout(30)
            wire.sendall(b"GET /api/v2/events HTTP/1.1\r\nHost: lab\r\nAccept: text/event-stream\r\n\r\n")
            text = wire.recv(65536).decode()
            assert "200" in text.split("\r\n")[0] and "text/event-stream" in text
            cluster["n1"].kill9()
            while "event: recovery-step" not in text or "DeadPrimary" not in text:
                piece = wire.recv(65536).decode()
                assert piece, text
                text += piece
        wait_recovered(manager)


class TestAfterARecovery:
    def test_shapes_and_acknowledgement(self, world):
        cluster, manager = world.watched(2)
        cluster["n1"].kill9()
        recovery = wait_recovered(manager)
        new = successor_of(recovery, cluster)
        assert shapes.missing(shapes.RECOVERY, recovery) == ""
        assert shapes.missing(shapes.ANALYSIS, recovery["AnalysisEntry"]) == ""
        steps = manager.get(f"audit-recovery-steps/{recovery['UID']}")
        assert list(steps[0])[:4] == shapes.STEP
        timed = manager.get(f"v2/recoveries/{recovery['UID']}")["data"]["Steps"]
        assert [s["Message"] for s in timed] == [s["Message"] for s in steps]
        assert 0 <= timed[0]["ElapsedMilliseconds"] <= timed[-1]["ElapsedMilliseconds"]
        assert manager.get(f"audit-recovery/uid/{recovery['UID']}")[0]["Id"] == recovery["Id"]
        assert manager.get(f"audit-recovery/id/{recovery['Id']}")[0]["UID"] == recovery["UID"]
        (detection,) = [d for d in manager.get("audit-failure-detection") if d["RelatedRecoveryId"] == recovery["Id"]]
        assert shapes.missing(shapes.RECOVERY, detection) == "" and detection["UID"] == ""
        assert manager.get("replication-analysis-changelog")
        assert manager.get(f"audit-recovery/cluster/{new.key}")
        assert manager.get("audit-recovery?unacknowledged=true")
        answer = manager.get(f"ack-recovery/cluster/{new.key}?comment=seen+it")
        assert answer["Code"] == "OK"
        (acknowledged,) = manager.get("audit-recovery")
        assert acknowledged["Acknowledged"] and acknowledged["AcknowledgedComment"] == "seen it"
        assert manager.get("audit-recovery?unacknowledged=true") == []


class TestAccess:
    def test_read_only(self, world):
        manager = world.manager(config={"ReadOnly": True})
        status, body, _ = manager.raw("/api/disable-global-recoveries")
        assert status == 500 and json.loads(body)["Message"] == "Unauthorized"
        assert manager.get("clusters") == []

    def test_basic(self, world):
        manager = world.manager(config={"AuthenticationMethod": "basic", "HTTPAuthUser": "dba", "HTTPAuthPassword": "s3cret"},
                                start=False).spawn()
        token = base64.b64encode(b"dba:s3cret").decode()
        wait_until(lambda: manager.raw("/api/clusters", headers={"Authorization": f"Basic {token}"})[0] == 200, 10)
        assert manager.raw("/api/clusters")[0] == 401
        wrong = base64.b64encode(b"dba:other").decode()
        assert manager.raw("/api/clusters", headers={"Authorization": f"Basic {wrong}"})[0] == 401

    def test_proxy_users(self, world):
        manager = world.manager(config={"AuthenticationMethod": "proxy", "PowerAuthUsers": ["root"]})
        assert manager.raw("/api/disable-global-recoveries", headers={"X-Forwarded-User": "guest"})[0] == 500
        assert manager.raw("/api/disable-global-recoveries", headers={"X-Forwarded-User": "root"})[0] == 200
        assert manager.raw("/api/clusters", headers={"X-Forwarded-User": "guest"})[0] == 200

    def test_prefix(self, world):
        manager = world.manager(config={"URLPrefix": "/baton"}, start=False).spawn()
        wait_until(lambda: manager.raw("/baton/api/lb-check")[0] == 200, 10)
        assert manager.raw("/api/clusters")[0] == 404
