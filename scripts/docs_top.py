#!/usr/bin/python3 -B
"""The screens in docs/top.md and README.md: sudo docs_top.py [--seconds N]

Runs nginx, a server that is too slow and their clients in a network namespace of its own, `tcpsaga
top` in tmux beside them, and puts what the terminal shows between the marks in the documents.
"""
import argparse
import ctypes
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time

ROOT = os.path.dirname(os.path.dirname(os.path.realpath(__file__)))
CLONE_NEWNET = 0x40000000
CLIENTS = ("10.0.0.11", "10.0.0.12", "10.0.0.13")

# Serves one client after the other, 40 ms each, with room for five more.
SLOW = """
import socket, time
s = socket.create_server(("10.0.0.1", 8080), backlog=5)
while True:
    c, _ = s.accept()
    c.recv(4096)
    time.sleep(0.04)
    c.sendall(b"HTTP/1.0 200 OK\\r\\nContent-Length: 0\\r\\n\\r\\n")
    c.close()
"""
# One request after the other from an address, with pauses.
CLIENT = """
import ctypes, random, socket, sys, time
ctypes.CDLL(None).prctl(15, b"client") # PR_SET_NAME
while True:
    with socket.create_connection(("10.0.0.1", 80), source_address=(sys.argv[1], 0)) as s:
        s.sendall(b"GET / HTTP/1.0\\r\\n\\r\\n")
        s.recv(4096)
    time.sleep(random.uniform(0, float(sys.argv[2])))
"""
NGINX = """daemon off; worker_processes 2; pid {0}/pid; error_log stderr;
user root; events {{}}
http {{ access_log off; client_body_temp_path {0}/a; proxy_temp_path {0}/b;
 fastcgi_temp_path {0}/c; uwsgi_temp_path {0}/d; scgi_temp_path {0}/e;
 server {{ listen 10.0.0.1:80; location / {{ return 200 "hello"; }} }} }}
"""


def network():
    if ctypes.CDLL(None, use_errno=True).unshare(CLONE_NEWNET) != 0:
        sys.exit("docs_top: a network namespace needs root: sudo scripts/docs_top.py")
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    for address in ("10.0.0.1",) + CLIENTS:
        subprocess.run(["ip", "addr", "add", address + "/32", "dev", "lo"], check=True)


class Processes:
    """Each in a session of its own, so that it ends with what it started."""

    def __init__(self):
        self.running = []

    def start(self, *argv):
        self.running.append(subprocess.Popen(argv, start_new_session=True, stdin=subprocess.DEVNULL,
                                             stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL))

    def end(self):
        for process in self.running:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


class Terminal:
    def __init__(self, columns, rows, command):
        self.tmux("-f", "/dev/null", "new-session", "-d", "-x", str(columns), "-y", str(rows),
                  command)

    def tmux(self, *args):
        return subprocess.run(["tmux", "-u", "-L", f"docs-top-{os.getpid()}", *args], check=True,
                              stdout=subprocess.PIPE, text=True,
                              env={**os.environ, "LC_ALL": "C.UTF-8"}).stdout

    def wait_for(self, text):
        end = time.monotonic() + 60
        while time.monotonic() < end:
            screen = self.tmux("capture-pane", "-p")
            if text in screen:
                return screen
            time.sleep(0.2)
        sys.exit(f"docs_top: the screen does not show '{text}':\n{screen}")


def serve(processes, folder):
    with open(folder + "/nginx.conf", "w", encoding="utf-8") as config:
        config.write(NGINX.format(folder))
    processes.start("nginx", "-c", folder + "/nginx.conf")
    processes.start("python3", "-c", SLOW)


def load(processes):
    for i, address in enumerate(CLIENTS):
        processes.start("python3", "-c", CLIENT, address, str(0.05 * (i + 1)))
    processes.start("bash", "-c", "sleep 4; exec wrk -t1 -c12 -d600 -H 'Connection: close' "
                    "http://10.0.0.1:8080/")


def put(document, name, screen):
    path = os.path.join(ROOT, document)
    with open(path, encoding="utf-8") as file:
        text = file.read()
    mark = re.compile(rf"(<!-- top: {name} -->\n```\n).*?(```\n)", re.S)
    text, n = mark.subn(lambda m: m[1] + re.sub(r" +\n", "\n", screen).rstrip("\n") + "\n" + m[2], text)
    if n != 1:
        sys.exit(f"docs_top: {document} has {n} marks for '{name}'")
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--seconds", type=float, default=20, help="of load before the picture")
    args = parser.parse_args()
    network()
    processes = Processes()
    folder = tempfile.mkdtemp(prefix="docs-top-")
    terminal = Terminal(80, 24, os.path.join(ROOT, "build/tcpsaga") + " top --netns self; sleep 9")
    try:
        terminal.wait_for("LISTEN 0")
        serve(processes, folder)
        terminal.wait_for("LISTEN 2")
        load(processes)
        time.sleep(args.seconds)
        screen = terminal.wait_for("10.0.0.1:8080")
        put("docs/top.md", "screen", screen)
        put("README.md", "screen", screen)
        terminal.tmux("send-keys", "s")
        terminal.wait_for("sort:depth")
        terminal.tmux("send-keys", "Enter")
        put("docs/top.md", "opened", terminal.wait_for("queued"))
    finally:
        processes.end()
        terminal.tmux("kill-server")
        shutil.rmtree(folder)


main()
