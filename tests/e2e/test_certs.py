"""`baton certs`: a small authority, and certificates that other programs take for good."""

import os
import stat
import subprocess

import pytest

from lab import manager as managers


def certs(*words):
    done = subprocess.run([str(managers.binary()), "certs", *map(str, words)], capture_output=True, text=True, timeout=60)
    return done.returncode, done.stdout, done.stderr


def openssl(*words):
    done = subprocess.run(["openssl", *map(str, words)], capture_output=True, text=True, timeout=60)
    return done.returncode, done.stdout + done.stderr


def test_openssl_takes_them_for_good(tmp_path):
    code, out, err = certs(tmp_path / "ca", "--host", "db1,10.0.0.1", "--host=db2", "--days", "30", "--unit", "agents")
    assert (code, err) == (0, "")
    assert out.splitlines() == [f"{tmp_path}/ca/ca.crt: a new authority; every host needs this file, none needs its key",
                                f"{tmp_path}/ca/db1.crt: with its key in {tmp_path}/ca/db1.key",
                                f"{tmp_path}/ca/db2.crt: with its key in {tmp_path}/ca/db2.key"]
    for purpose in ("sslserver", "sslclient"):
        for name in ("-verify_hostname", "db1"), ("-verify_ip", "10.0.0.1"):
            assert openssl("verify", "-x509_strict", "-purpose", purpose, "-CAfile", tmp_path / "ca/ca.crt", *name,
                           tmp_path / "ca/db1.crt")[0] == 0
    assert openssl("verify", "-CAfile", tmp_path / "ca/ca.crt", "-verify_hostname", "db1", tmp_path / "ca/db2.crt")[0] != 0
    assert openssl("x509", "-checkend", 29 * 86400, "-noout", "-in", tmp_path / "ca/db1.crt")[0] == 0
    assert openssl("x509", "-checkend", 31 * 86400, "-noout", "-in", tmp_path / "ca/db1.crt")[0] == 1
    for key in "ca.key", "db1.key", "db2.key":
        assert stat.S_IMODE(os.stat(tmp_path / "ca" / key).st_mode) == 0o600


def test_nothing_is_overwritten(tmp_path):
    assert certs(tmp_path, "--host", "db1")[0] == 0
    before = (tmp_path / "db1.key").read_bytes()
    code, out, err = certs(tmp_path, "--host", "db1")
    assert (code, out) == (1, "")
    assert err.startswith(f"{tmp_path}/db1.key: it exists, and is not overwritten")
    assert (tmp_path / "db1.key").read_bytes() == before
    assert certs(tmp_path)[1] == f"{tmp_path}/ca.crt: the authority is there; --host NAME makes a host's certificate\n"


@pytest.mark.parametrize("words, complaint", [
    ((), "needs a directory"),
    (("a", "b"), "one directory"),
    (("a", "--days", "x"), "--days is a number"),
    (("a", "--days", "3651"), "--days is a number"),
    (("a", "--host"), "--host needs a value"),
    (("a", "--hosts", "db1"), "does not know '--hosts'"),
    (("a", "--host", "../db1"), "is no host name or address"),
])
def test_bad_usage(tmp_path, monkeypatch, words, complaint):
    monkeypatch.chdir(tmp_path)
    code, out, err = certs(*words)
    assert (code, out) == (2, "")
    assert complaint in err
    assert list(tmp_path.iterdir()) == []


def test_help():
    assert certs("--help")[1].startswith("usage: baton certs DIR")
