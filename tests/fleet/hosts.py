"""Four hosts as network namespaces, and a hub between them on which nats-servers run as a cluster."""
import json
import os
import pathlib
import queue
import re
import signal
import subprocess
import threading
import time

from credentials import Guard

HUB, HOSTS = "hub", ["h1", "h2", "h3", "h4"]
CLIENT_PORT, CLUSTER_PORT, GUARDED_PORT = 4222, 6222, 4333
PATIENCE = 60


def run(*command):
    subprocess.run(command, check=True, capture_output=True, text=True)


def wait_until(what, true, patience=PATIENCE, of=lambda: ""):
    """Asks again and again; what is asked takes its time, or waits a little itself."""
    end = time.monotonic() + patience
    while not true():
        if time.monotonic() > end:
            raise AssertionError(f"in vain: {what}; {of()}")
        time.sleep(0.02)


class Net:
    """Namespaces of our own, named by the process, on one bridge: 10.77.0.N."""

    def __init__(self):
        self.prefix = f"tsf{os.getpid()}-"
        self.names = []
        self.add(HUB)
        run("ip", "-n", self.ns(HUB), "link", "add", "br0", "type", "bridge")
        self.up(HUB, "br0")
        for number in (101, 102, 103):
            run("ip", "-n", self.ns(HUB), "address", "add", f"10.77.0.{number}/24", "dev", "br0")
        for number, host in enumerate(HOSTS, 1):
            self.add(host)
            run("ip", "link", "add", "eth0", "netns", self.ns(host), "type", "veth",
                "peer", "name", host, "netns", self.ns(HUB))
            run("ip", "-n", self.ns(HUB), "link", "set", host, "master", "br0", "up")
            run("ip", "-n", self.ns(host), "address", "add", f"10.77.0.{number}/24", "dev", "eth0")
            self.up(host, "eth0")

    def ns(self, name):
        return self.prefix + name

    def add(self, name):
        run("ip", "netns", "add", self.ns(name))
        self.names.append(name)
        self.up(name, "lo")

    def up(self, name, device):
        run("ip", "-n", self.ns(name), "link", "set", device, "up")

    def inside(self, name, *command):
        """The command as that host would run it: in its network, under its name."""
        return ["nsenter", f"--net=/run/netns/{self.ns(name)}", "unshare", "--uts", "sh", "-c",
                f'hostname {name}; exec "$@"', name, *map(str, command)]

    def close(self):
        for name in self.names:
            subprocess.run(["ip", "netns", "delete", self.ns(name)], check=False)


def address(host):
    return f"10.77.0.{HOSTS.index(host) + 1}"


class Process:
    """A process whose lines are read as they come, standard output and standard error apart."""

    def __init__(self, command, **how):
        self.out, self.err, self.news = [], [], queue.Queue()
        self.popen = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                      text=True, start_new_session=True, **how)
        self.readers = [threading.Thread(target=self.read, args=(stream, to), daemon=True)
                        for stream, to in ((self.popen.stdout, self.out),
                                           (self.popen.stderr, self.err))]
        for reader in self.readers:
            reader.start()

    def read(self, stream, to):
        for line in stream:
            to.append(line.rstrip("\n"))
            self.news.put(None)
        self.news.put(None)

    def wait_for(self, true, what, patience=PATIENCE):
        """Until it is true of what was printed so far; looks again as a line comes."""
        end = time.monotonic() + patience
        while not true(self):
            if self.popen.poll() is not None and not any(r.is_alive() for r in self.readers):
                assert true(self), f"ended before {what}: {self.tail()}"
                return
            try:
                self.news.get(timeout=max(end - time.monotonic(), 0))
            except queue.Empty:
                raise AssertionError(f"in vain: {what}; {self.tail()}") from None

    def wait_for_error(self, pattern, patience=PATIENCE, after=0):
        self.wait_for(lambda p: any(re.search(pattern, line) for line in p.err[after:]), pattern,
                      patience)

    def said(self, pattern):
        return [line for line in self.err if re.search(pattern, line)]

    def tail(self):
        return "\n".join(self.err[-15:])

    def stop(self, number=signal.SIGTERM):
        if self.popen.poll() is None:
            self.popen.send_signal(number)
        code = self.popen.wait(PATIENCE)
        for reader in self.readers:
            reader.join(PATIENCE)
        return code

    def events(self, **wanted):
        return [e for e in map(json.loads, list(self.out))
                if all(e.get(key) == value for key, value in wanted.items())]


class Cluster:
    """Three nats-servers with JetStream."""

    def __init__(self, net, folder):
        self.net, self.folder, self.servers = net, pathlib.Path(folder), {}
        for number in (101, 102, 103):
            self.start(number)
        for server in self.servers.values():
            server.wait_for_error("new (JetStream cluster )?metadata leader")

    def start(self, number):
        home = self.folder / str(number)
        home.mkdir(exist_ok=True)
        routes = ", ".join(f"nats-route://10.77.0.{n}:{CLUSTER_PORT}" for n in (101, 102, 103)
                           if n != number)
        (home / "conf").write_text(f"""
            server_name: n{number}
            listen: 10.77.0.{number}:{CLIENT_PORT}
            jetstream {{ store_dir: "{home}/store", max_mem: 64M, max_file: 1G }}
            cluster {{ name: test, listen: 10.77.0.{number}:{CLUSTER_PORT}, routes: [{routes}] }}
            """, encoding="utf-8")
        self.servers[number] = Process(self.net.inside(HUB, "nats-server", "-c", home / "conf"))

    def kill(self, number):
        self.servers.pop(number).stop(signal.SIGKILL)

    def close(self):
        for number in list(self.servers):
            self.kill(number)

    @staticmethod
    def place(stream, keys=""):
        servers = ",".join(f"10.77.0.{n}:{CLIENT_PORT}" for n in (101, 102, 103))
        return f"nats://{servers}/{stream}{keys}"


def guarded_server(net, folder):
    """Another server on the hub, by itself, that has TLS and wants credentials; and who gives them."""
    guard = Guard(folder / "guard", "10.77.0.101")
    (folder / "guard" / "conf").write_text(f"""
        server_name: guarded
        listen: 10.77.0.101:{GUARDED_PORT}
        jetstream {{ store_dir: "{folder}/guard/store", max_mem: 64M, max_file: 1G }}
        {guard.config()}
        """, encoding="utf-8")
    return Process(net.inside(HUB, "nats-server", "-c", folder / "guard" / "conf")), guard


SERVER = """
import socket, sys, threading
s = socket.socket()
s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
s.bind(("", int(sys.argv[1])))
s.listen(4096)
print("ready", flush=True)
while True:
    c, _ = s.accept()
    data = c.recv(1)
    c.sendall(data or b"x")
    c.close()
"""

CLIENT = """
import socket, sys
port, n = int(sys.argv[1]), int(sys.argv[2])
for i in range(n):
    for address in sys.argv[3:]:
        with socket.create_connection((address, port), 30) as c:
            c.sendall(b"a")
            while c.recv(16):
                pass
            print(c.getsockname()[0], c.getsockname()[1], address, flush=True)
"""

# Accepts fast enough, one in 2 ms, and has no room for a burst.
SHORT = """
import socket, sys, time
s = socket.socket()
s.bind(("", int(sys.argv[1])))
s.listen(3)
print("ready", flush=True)
kept = []
while True:
    kept.append(s.accept())
    time.sleep(0.002)
"""

# All at once; prints what became of each, 0 or the errno.
CONNECT = """
import select, socket, sys
all = [socket.socket() for _ in range(int(sys.argv[3]))]
left = {s.fileno(): s for s in all}
poll = select.poll()
for s in all:
    s.setblocking(False)
for s in all:
    s.connect_ex((sys.argv[1], int(sys.argv[2])))
for fd in left:
    poll.register(fd, select.POLLOUT)
kept = []
while left:
    for fd, _ in poll.poll():
        poll.unregister(fd)
        s = left.pop(fd)
        kept.append(s)
        print(s.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR), flush=True)
"""


def sysctl(net, host, *settings):
    """In that host's network; those that its kernel does not have are passed over."""
    run("nsenter", f"--net=/run/netns/{net.ns(host)}", "sysctl", "-eqw", *settings)


def python(net, host, source, *args):
    return Process(net.inside(host, "python3", "-c", source, *args))


def segments_in(path):
    """The files of a spool."""
    return sorted(p.name for p in pathlib.Path(path).glob("*.tsr"))


def leader_of(net, stream):
    """The number of the server that leads the stream, as JetStream's own API says."""
    text = ask(net, f"$JS.API.STREAM.INFO.{stream}")
    return int(text["cluster"]["leader"][1:])


def ask(net, subject, payload=""):
    """One request by hand; any NATS client would do."""
    script = f"""
import socket
s = socket.create_connection(("10.77.0.101", {CLIENT_PORT}), 5)
f = s.makefile("rwb")
f.readline()
f.write(b'CONNECT {{"verbose":false}}\\r\\nSUB answer 1\\r\\nPUB {subject} answer {len(payload)}\\r\\n{payload}\\r\\n')
f.flush()
while True:
    line = f.readline()
    if line.startswith(b"MSG"):
        print(f.read(int(line.split()[-1])).decode())
        break
    if line.startswith(b"PING"):
        f.write(b"PONG\\r\\n"); f.flush()
"""
    out = subprocess.run(net.inside(HUB, "python3", "-c", script), capture_output=True, text=True,
                         check=True, timeout=PATIENCE)
    return json.loads(out.stdout)


__all__ = ["CLIENT", "CONNECT", "Cluster", "HOSTS", "HUB", "Net", "PATIENCE", "Process",
           "SERVER", "SHORT", "GUARDED_PORT", "address", "ask", "guarded_server", "leader_of", "python", "run",
           "segments_in", "signal", "sysctl", "wait_until"]
