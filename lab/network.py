"""Hosts of their own for servers: network namespaces on one switch, whose cables can be cut without a trace (needs root).

The manager stays in this namespace and reaches the servers over one interface. A cut drops packets on the server's side
in both directions, so nobody gets a reset: what a lost host looks like.
"""

import os
import socket
import subprocess


def available():
    """An empty text when namespaces can be made here, else the reason why not."""
    if os.geteuid() != 0:
        return "network namespaces need root"
    for program in ("ip", "iptables"):
        if subprocess.run(["sh", "-c", f"command -v {program}"], capture_output=True).returncode != 0:
            return f"the program {program} is missing"
    probe = f"bt{os.getpid()}p"
    done = subprocess.run(["ip", "netns", "add", probe], capture_output=True, text=True)
    subprocess.run(["ip", "netns", "del", probe], capture_output=True)
    return "" if done.returncode == 0 else f"`ip netns add` fails: {done.stderr.strip()}"


def _claim_subnet():
    """A socket that nobody else can bind while it is open, and the third part of the addresses that it stands for."""
    for octet in range(77, 97):
        claim = socket.socket(socket.AF_UNIX)
        try:
            claim.bind(f"\0baton-lab-10.213.{octet}")
            return claim, octet
        except OSError:
            claim.close()
    raise OSError("no subnet is free: 10.213.77.0/24 to 10.213.96.0/24 are all in use by this lab")


class Network:
    """One switch, one address here, one namespace for each host name. Several may be up at once, each in its own subnet."""

    def __init__(self, names):
        self._claim, octet = _claim_subnet()
        self.prefix = f"bt{octet}"
        self.subnet = f"10.213.{octet}"
        self.manager_address = f"{self.subnet}.1"
        self.addresses = {name: f"{self.subnet}.{10 + i}" for i, name in enumerate(names)}

    def namespace(self, name):
        return f"{self.prefix}{name}"

    def up(self):
        self._clear()
        switch = self.namespace("sw")
        self._ip("netns", "add", switch)
        self._inside(switch, "ip", "link", "add", "switch", "type", "bridge")
        self._inside(switch, "ip", "link", "set", "switch", "up")
        outer = f"{self.prefix}m"
        self._ip("link", "add", outer, "type", "veth", "peer", "name", "manager", "netns", switch)
        self._plug("manager")
        self._ip("addr", "add", f"{self.manager_address}/24", "dev", outer)
        self._ip("link", "set", outer, "up")
        for name, address in self.addresses.items():
            space = self.namespace(name)
            self._ip("netns", "add", space)
            self._ip("link", "add", f"p{name}", "netns", switch, "type", "veth", "peer", "name", "eth0", "netns", space)
            self._plug(f"p{name}")
            self._inside(space, "ip", "link", "set", "lo", "up")
            self._inside(space, "ip", "addr", "add", f"{address}/24", "dev", "eth0")
            self._inside(space, "ip", "link", "set", "eth0", "up")
        return self

    def down(self):
        self._clear()
        self._claim.close()

    def _clear(self):
        """What is up of it, and what one that was killed left in the same subnet."""
        subprocess.run(["ip", "link", "del", f"{self.prefix}m"], capture_output=True)
        for name in [*self.addresses, "sw"]:
            subprocess.run(["ip", "netns", "del", self.namespace(name)], capture_output=True)

    def cut(self, name, peers=None):
        """Drops all packets between a host and the peers (host names, or "manager"); all of them by default."""
        for chain, flag in (("INPUT", "-s"), ("OUTPUT", "-d")):
            if peers is None:
                interface = "-i" if chain == "INPUT" else "-o"
                self._inside(self.namespace(name), "iptables", "-A", chain, interface, "eth0", "-j", "DROP")
                continue
            for peer in peers:
                self._inside(self.namespace(name), "iptables", "-A", chain, flag, self.address(peer), "-j", "DROP")

    def cut_one_way(self, name, direction):
        """Drops what goes "in" to a host, or "out" of it."""
        chain, flag = {"in": ("INPUT", "-i"), "out": ("OUTPUT", "-o")}[direction]
        self._inside(self.namespace(name), "iptables", "-A", chain, flag, "eth0", "-j", "DROP")

    def lose(self, name, share):
        """Drops this share (0 to 1) of a host's packets, each way, at random."""
        for chain, flag in (("INPUT", "-i"), ("OUTPUT", "-o")):
            self._inside(self.namespace(name), "iptables", "-A", chain, flag, "eth0", "-m", "statistic", "--mode", "random",
                         "--probability", str(share), "-j", "DROP")

    def mend(self, name):
        self._inside(self.namespace(name), "iptables", "-F")

    def address(self, name):
        return self.manager_address if name == "manager" else self.addresses[name]

    def _plug(self, port):
        switch = self.namespace("sw")
        self._inside(switch, "ip", "link", "set", port, "master", "switch")
        self._inside(switch, "ip", "link", "set", port, "up")

    def _inside(self, space, *command):
        self._ip("netns", "exec", space, *command)

    @staticmethod
    def _ip(*words):
        done = subprocess.run(["ip", *words], capture_output=True, text=True)
        if done.returncode != 0:
            raise RuntimeError(f"ip {' '.join(words)}: {done.stderr.strip() or done.stdout.strip()}")
