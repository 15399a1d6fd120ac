#!/usr/bin/python3 -B
"""A minute of a shop in trouble, recorded: docs_load.py TCPSAGA FILE, as root.

`shop` has a short accept queue and stops for two seconds now and then; `billing` is down
for a while; `crawler` hangs up without reading what it asked for. `api` is well.
"""
import math
import os
import signal
import socket
import struct
import subprocess
import sys
import threading
import time

SECONDS = 60
SHOP, API, BILLING = 8080, 9000, 8443


def process(name, body):
    """A child with that name, which ends with us."""
    pid = os.fork()
    if pid == 0:
        with open("/proc/self/comm", "w") as file:
            file.write(name)
        try:
            body()
        finally:
            os._exit(0)
    return pid


def listen(port, backlog):
    server = socket.socket()
    server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    server.bind(("127.0.0.1", port))
    server.listen(backlog)
    return server


def answer(connection, size):
    try:
        with connection:
            connection.recv(4096)
            connection.sendall(b"x" * size)
    except OSError:
        pass  # it hung up


def shop(server):
    stalls = time.monotonic() + 9
    while True:
        connection, _ = server.accept()
        answer(connection, 900)
        if time.monotonic() > stalls:
            time.sleep(2.2)
            stalls = time.monotonic() + 11


def api(server):
    while True:
        connection, _ = server.accept()
        threading.Thread(target=answer, args=(connection, 20000)).start()


def billing():
    time.sleep(38)
    server = listen(BILLING, 64)
    while True:
        answer(server.accept()[0], 300)


def ask(port, hang_up=False):
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
            connection.sendall(b"GET / HTTP/1.0\r\n\r\n")
            if hang_up:
                time.sleep(0.02)
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                return
            while connection.recv(65536):
                pass
    except OSError:
        pass  # refused, or too late: that is what is recorded


def at_rate(per_second, body):
    """Calls of body, each in a thread of its own; per_second(t) of them at t."""
    begin = time.monotonic()
    while (t := time.monotonic() - begin) < SECONDS:
        threading.Thread(target=body).start()
        time.sleep(1 / per_second(t))


def main():
    tcpsaga, recording = sys.argv[1:]
    shop_socket, api_socket = listen(SHOP, 16), listen(API, 128)
    children = [process("shop", lambda: shop(shop_socket)), process("api", lambda: api(api_socket)),
                process("billing", billing)]
    shop_socket.close()
    api_socket.close()
    with subprocess.Popen([tcpsaga, "record", recording, "--force"], stderr=subprocess.PIPE, text=True) as tracer:
        for line in tracer.stderr:
            if line.startswith("tcpsaga: ready"):
                break
        clients = [
            process("browser", lambda: at_rate(lambda t: 26 + 12 * math.sin(t / 5), lambda: ask(SHOP))),
            process("worker", lambda: at_rate(lambda t: 10, lambda: ask(API))),
            process("checkout", lambda: at_rate(lambda t: 3, lambda: ask(BILLING))),
            process("crawler", lambda: at_rate(lambda t: 2, lambda: ask(API, True))),
        ]
        for pid in clients:
            os.waitpid(pid, 0)
        tracer.send_signal(signal.SIGINT)
        print(tracer.stderr.read(), end="")
    for pid in children:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
    sys.exit(tracer.returncode)


if __name__ == "__main__":
    main()
