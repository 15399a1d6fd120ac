#!/usr/bin/python3 -B
"""Many hosts on NATS JetStream: fleet_test.py TCPSAGA. As root; in network namespaces of its own."""
import collections
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import threading
import unittest

from hosts import (CLIENT, CONNECT, GUARDED_PORT, HOSTS, SERVER, SHORT, Cluster, Net, Process, address, ask,
                   guarded_server, leader_of, python, run, segments_in, signal, sysctl, wait_until)

PROGRAM = sys.argv.pop(1)
PORT, SHORT_PORT = 9000, 9001
ROUNDS = 20  # connections of each host to each other one, in one storm


class Fleet(unittest.TestCase):
    """One cluster, and an agent on each host, for all of them; each has a stream of its own."""

    @classmethod
    def setUpClass(cls):
        cls.folder = pathlib.Path(tempfile.mkdtemp(prefix="tcpsaga-fleet-"))
        cls.addClassCleanup(shutil.rmtree, cls.folder, ignore_errors=True)
        cls.net = Net()
        cls.addClassCleanup(cls.net.close)
        cls.cluster = Cluster(cls.net, cls.folder)
        cls.addClassCleanup(cls.cluster.close)
        for host in HOSTS:
            server = python(cls.net, host, SERVER, PORT)
            cls.addClassCleanup(server.stop, signal.SIGKILL)
            server.wait_for(lambda p: p.out, "a server")

    def setUp(self):
        self.stream = "T" + str(abs(hash(self.id())) % 10**6)
        wait_until("the cluster's JetStream", lambda: self.fleet("init", "--replicas", "3") == 0,
                   of=lambda: self.ran.stderr)
        self.addCleanup(ask, self.net, f"$JS.API.STREAM.DELETE.{self.stream}")  # of its subjects
        self.agents = {}
        self.addCleanup(self.stop_agents)

    def place(self, keys=""):
        return self.cluster.place(self.stream, keys)

    def fleet(self, *args):
        """Runs to its end; the exit code."""
        self.ran = subprocess.run(self.net.inside("hub", PROGRAM, "fleet", self.place(), *args),
                                  capture_output=True, text=True, check=False)
        return self.ran.returncode

    def start_agents(self):
        for host in HOSTS:
            keys = f"?spool={self.folder}/spool-{self.stream}-{host}"
            self.agents[host] = Process(self.net.inside(
                host, PROGRAM, "trace", "--netns", "self", "--attach", "tracepoint", "--audit",
                "strict", "-o", self.place(keys)))
        for agent in self.agents.values():
            agent.wait_for_error("tcpsaga: ready")

    def stop_agents(self):
        codes = {host: agent.stop() for host, agent in self.agents.items()}
        self.agents = {}
        return codes

    def read(self, *args, **how):
        reader = Process(self.net.inside("hub", PROGRAM, "fleet", self.place(), *args), **how)
        self.addCleanup(reader.stop, signal.SIGKILL)
        reader.wait_for_error("tcpsaga: ready")
        return reader

    def storm(self, rounds=ROUNDS, middle=lambda: None):
        """Every host connects to every other one: (client, port, server), once each."""
        clients = [python(self.net, host, CLIENT, PORT, rounds,
                          *[address(h) for h in HOSTS if h != host]) for host in HOSTS]
        clients[0].wait_for(lambda p: len(p.out) >= rounds, "half a storm")
        middle()
        lines = []
        for client in clients:
            self.assertEqual(client.popen.wait(120), 0, client.tail())
            client.stop()
            lines += client.out
        made = [tuple(line.split()) for line in lines]
        self.assertEqual(len(set(made)), rounds * len(HOSTS) * (len(HOSTS) - 1))
        return set(made)

    @staticmethod
    def ends(reader):
        """How often each end of the storm's connections was told as closed."""
        seen = collections.Counter()
        for e in reader.events(event="close"):
            if e["role"] == "client" and e["rport"] == PORT:
                seen["client", e["laddr"], str(e["lport"]), e["raddr"]] += 1
            elif e["role"] == "server" and e["lport"] == PORT:
                seen["server", e["raddr"], str(e["rport"]), e["laddr"]] += 1
        return seen

    def wait_for_ends(self, readers, made, patience=60):
        """Until both ends of all are told by one of the readers or another."""
        wanted = {(role, *m) for m in made for role in ("client", "server")}

        def all_there():
            seen = set()
            for reader in readers:
                seen |= set(self.ends(reader))
            return wanted <= seen
        count = lambda: sum(len(r.out) for r in readers)
        last = [-1]

        def more_and_all_there():
            now = count()
            if now == last[0]:
                return False
            last[0] = now
            return all_there()
        wait_until("both ends of every connection", more_and_all_there, patience)
        return wanted

    def check_books(self, reader):
        self.assertEqual(reader.stop(), 0)
        self.assertTrue(reader.said(r"messages of 4 hosts, \d+ came again, 0 missing"),
                        reader.tail())
        self.assertFalse(reader.said("not ours"), reader.tail())

    def test_1_every_close_comes_once_and_paired(self):
        self.start_agents()
        reader = self.read("life", "--json", "--wait", "20")
        made = self.storm()
        wanted = self.wait_for_ends([reader], made)
        for host, code in self.stop_agents().items():
            self.assertEqual(code, 0, f"the audit of {host} is not exact")
        reader.wait_for(lambda p: len(p.events(event="summary", final=True)) == len(HOSTS),
                        "each host's summary")
        self.check_books(reader)
        self.assertTrue(reader.said("messages of 4 hosts, 0 came again, 0 missing"), reader.tail())
        seen = self.ends(reader)
        self.assertEqual(set(seen.values()), {1})
        self.assertEqual(set(seen), wanted)
        for e in reader.events(event="close"):
            if PORT in (e["lport"], e["rport"]):
                self.assertIn("peer", e)
                self.assertEqual(address(e["peer"]["host"]), e["raddr"])
                self.assertEqual((e["comm"], e["peer"]["comm"]), ("python3", "python3"))
                self.assertNotEqual(e["pid"], e["peer"]["pid"])
        for s in reader.events(event="summary", final=True):
            for row in s["audit"]:
                self.assertTrue(row["kernel"] == row["seen"] or row.get("why"), row)
            self.assertEqual(s["lost"], 0)
        self.assertEqual(self.fleet("life", "--pairs", "--group", "again", "--once"), 0)
        pairs = [line for line in self.ran.stdout.splitlines() if " pair " in line]
        self.assertEqual(len(pairs), len(made), self.ran.stderr)

    def test_2_a_server_dies_and_a_network_is_cut(self):
        self.start_agents()
        reader = self.read("life", "--json")
        lead = leader_of(self.net, self.stream)
        made = self.storm(middle=lambda: self.cluster.kill(lead))
        self.cluster.start(lead)
        cut = HOSTS[1]
        inside = ["nsenter", f"--net=/run/netns/{self.net.ns(cut)}"]
        run(*inside, "nft", "add table ip cut; add chain ip cut out { type filter hook output "
            "priority 0; }; add rule ip cut out ip daddr 10.77.0.101-10.77.0.103 drop")
        mended = threading.Timer(20, run, [*inside, "nft", "delete table ip cut"])
        mended.start()
        made |= self.storm()
        self.agents[cut].wait_for_error("events go to the spool")
        mended.join()
        self.wait_for_ends([reader], made)
        self.agents[cut].wait_for_error("all that was spooled is sent")
        for host, code in self.stop_agents().items():
            self.assertEqual(code, 0, host)
            self.assertEqual(segments_in(f"{self.folder}/spool-{self.stream}-{host}"), [])
        reader.wait_for(lambda p: len(p.events(event="summary", final=True)) == len(HOSTS),
                        "each host's summary")
        self.check_books(reader)
        self.assertEqual(set(self.ends(reader).values()), {1}, "nothing twice")
        for s in reader.events(event="summary", final=True):
            self.assertEqual(s["lost"], 0)

    def test_3_one_of_two_readers_is_killed(self):
        self.start_agents()
        first = self.read("life", "--json", "--wait", "1")
        first.wait_for_error("reading 8 of 8 partitions")
        second = self.read("life", "--json", "--wait", "1")
        second.wait_for_error("reading 4 of 8 partitions")
        first.wait_for_error("reading 4 of 8 partitions")
        made = self.storm(middle=lambda: first.stop(signal.SIGKILL))
        second.wait_for_error("reading 8 of 8 partitions")
        self.wait_for_ends([first, second], made)
        self.assertGreater(len(self.ends(first)) + len(self.ends(second)), 0)
        self.assertGreater(len(self.ends(second)), len(made))
        self.stop_agents()
        second.wait_for(lambda p: len(p.events(event="summary", final=True)) == len(HOSTS),
                        "each host's summary")
        self.assertEqual(second.stop(), 0)
        self.assertTrue(second.said(", 0 missing"), second.tail())

    def test_4_the_doctor_names_the_other_host(self):
        server, client = HOSTS[0], HOSTS[2]
        self.start_agents()
        short = python(self.net, server, SHORT, SHORT_PORT)
        self.addCleanup(short.stop, signal.SIGKILL)
        short.wait_for(lambda p: p.out, "a listener")
        # Two SYNs each, at the same moments, and a full queue is a full queue.
        sysctl(self.net, client, "net.ipv4.tcp_syn_retries=1", "net.ipv4.tcp_syn_linear_timeouts=0")
        sysctl(self.net, server, "net.ipv4.tcp_syncookies=0")
        connect = python(self.net, client, CONNECT, address(server), SHORT_PORT, 60)
        self.addCleanup(connect.stop, signal.SIGKILL)
        connect.wait_for(lambda p: len(p.out) == 60, "the outcome of each connect")
        self.assertGreaterEqual(connect.out.count("110"), 10, connect.out)
        self.stop_agents()
        self.assertEqual(self.fleet("doctor", "--json"), 5, self.ran.stderr)
        findings = [json.loads(line) for line in self.ran.stdout.splitlines()]
        of_client = [f for f in findings if f["host"] == client and f["finding"] == "syn_unanswered"]
        self.assertEqual(len(of_client), 1, self.ran.stdout)
        self.assertEqual(of_client[0]["because"], "accept_queue_backlog", of_client[0])
        self.assertIn(f"on {server}: ", of_client[0]["cause"])
        self.assertIn("python3", of_client[0]["cause"])
        self.assertIn("its backlog of 3 is too small", of_client[0]["cause"])
        of_server = [f for f in findings if f["host"] == server]
        self.assertEqual(of_server[0]["finding"], "accept_queue_backlog", of_server)
        self.assertEqual(self.fleet("doctor"), 5)
        self.assertRegex(self.ran.stdout, rf"(?m)^{client}: \d findings? in ")
        page = self.folder / "fleet.html"
        self.assertEqual(self.fleet("report", "-o", page), 0, self.ran.stderr)
        text = page.read_text(encoding="utf-8")
        for host in HOSTS:
            self.assertIn(f'"host":"{host}"', text)

    def test_5_what_is_wrong_is_said_in_one_line(self):
        def agent(place, *more):
            spool = tempfile.mkdtemp(dir=self.folder)
            p = Process(self.net.inside(HOSTS[3], PROGRAM, "trace", "--netns", "self", "--attach",
                                        "tracepoint", "-o", place + f"?spool={spool}", *more))
            self.addCleanup(p.stop, signal.SIGKILL)
            p.wait_for_error("tcpsaga: ready")
            return p, spool
        for place, why in ((self.cluster.place("NOSUCH"), "no stream at .*make it"),
                           ("nats://10.77.0.250:4222/S", "cannot connect to .*")):
            p, spool = agent(place)
            p.wait_for_error(why + ".*events go to the spool")
            client = python(self.net, HOSTS[3], CLIENT, PORT, 1, address(HOSTS[0]))
            self.assertEqual(client.popen.wait(30), 0)
            self.assertEqual(p.stop(), 0)
            self.assertEqual(len(p.said("go to the spool")), 1, p.tail())
            self.assertTrue(p.said("stay in the spool"), p.tail())
            self.assertTrue(segments_in(spool))
        p, spool = agent(self.place(), "--no-snapshot")
        reader = self.read("trace", "--json")
        send = Process(self.net.inside("hub", "python3", "-c", """
import socket
s = socket.create_connection(("10.77.0.101", 4222), 5)
f = s.makefile("rwb")
f.readline()
f.write(b'CONNECT {"verbose":false}\\r\\nPUB tcpsaga.v1.3 5\\r\\nhello\\r\\nPING\\r\\n')
f.flush()
while not f.readline().startswith(b"PONG"):
    pass
"""))
        self.assertEqual(send.stop(0), 0, send.tail())
        reader.wait_for_error("a foreign message on tcpsaga.v1.3 is passed over")
        self.assertEqual(p.stop(), 0)
        reader.wait_for(lambda r: r.events(event="summary", final=True), "and goes on")
        self.assertEqual(reader.stop(), 0)
        self.assertEqual(self.fleet("init", "--replicas", "3"), 0)
        self.assertIn("is as wanted", self.ran.stderr)
        ran = subprocess.run(self.net.inside("hub", PROGRAM, "fleet",
                                             self.place("?partitions=4"), "init"),
                             capture_output=True, text=True, check=False)
        self.assertEqual((ran.returncode, ran.stderr.count("\n")), (1, 1))
        self.assertIn("it has 8 partitions", ran.stderr)

    def test_6_credentials_expire_and_are_renewed(self):
        host = HOSTS[3]
        server, guard = guarded_server(self.net, self.folder)
        self.addCleanup(server.stop, signal.SIGKILL)
        server.wait_for_error("Server is ready")
        at = f"tls://10.77.0.101:{GUARDED_PORT}/SAFE"
        ours = self.folder / "ours.creds"
        guard.write_credentials(ours)
        known = f"ca={guard.certificate}"
        place = f"{at}?{known}&creds={ours}"

        def fleet(where, *args):
            return subprocess.run(self.net.inside("hub", PROGRAM, "fleet", where, *args),
                                  capture_output=True, text=True, check=False)
        self.assertEqual(fleet(place, "init").returncode, 0)
        theirs, old = self.folder / "theirs.creds", self.folder / "old.creds"
        guard.write_credentials(old, -60)
        for keys, why in (("", "SSL Error .*want tls:// and perhaps .ca=FILE"),
                          (f"?{known}", "Violation.*want .creds=FILE"),
                          (f"?{known}&creds={old}", "Violation.*renew the credentials")):
            ran = fleet(at + keys, "life", "--once")
            self.assertEqual((ran.returncode, ran.stderr.count("\n")), (1, 1), ran.stderr)
            self.assertRegex(ran.stderr, why)
        spool = self.folder / "spool-guarded"
        guard.write_credentials(theirs, 4)
        agent = Process(self.net.inside(host, PROGRAM, "trace", "--netns", "self", "--attach", "tracepoint",
                                        "-o", f"{at}?{known}&creds={theirs}&spool={spool}"))
        self.addCleanup(agent.stop, signal.SIGKILL)
        agent.wait_for_error("tcpsaga: ready")

        def connect():
            client = python(self.net, host, CLIENT, PORT, 1, address(HOSTS[0]))
            self.assertEqual(client.popen.wait(30), 0)
            client.stop()
            return int(client.out[0].split()[1])
        ports = [connect()]
        agent.wait_for_error("events go to the spool")
        ports.append(connect())
        wait_until("something in the spool", lambda: segments_in(spool))
        agent.wait_for_error("renew the credentials")
        guard.write_credentials(theirs)
        agent.wait_for_error("all that was spooled is sent")
        ports.append(connect())
        self.assertEqual(agent.stop(), 0)
        self.assertEqual(len(agent.said("renew the credentials")), 1, agent.tail())
        self.assertEqual(segments_in(spool), [])
        ran = fleet(place, "life", "--once", "--json", "--wait", "0")
        self.assertIn(" 0 came again, 0 missing", ran.stderr)
        closes = [e for e in map(json.loads, ran.stdout.splitlines()) if e["event"] == "close"]
        self.assertEqual(sorted(e["lport"] for e in closes if e["rport"] == PORT), sorted(ports))


if __name__ == "__main__":
    unittest.main(verbosity=2, failfast=bool(os.environ.get("TCPSAGA_FAILFAST")))
