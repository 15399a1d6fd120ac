"""One QEMU guest: its initramfs, its processes and the scratch folder it shares with us."""
import hashlib
import os
import pathlib
import shlex
import shutil
import subprocess
import tempfile
import time
from typing import NamedTuple

from kernel_archive import Failure

HERE = pathlib.Path(__file__).resolve().parent
VIRTIOFSD = "/usr/lib/qemu/virtiofsd"  # in bookworm's qemu-system-common; later ones take other options
BUSYBOX = "/bin/busybox"  # busybox-static
DAY = 86400
# Without what emulation is slow at: a byte at a time for rep movsb, five levels of page tables, checks
# at each copy from a user. A fifth less time in all.
CPU = "max," + ",".join(f"{x}=off" for x in ("erms", "fsrm", "la57", "smap", "smep", "pku", "umip"))


class Settings(NamedTuple):
    command: list
    cpus: int
    memory: str
    timeout: float  # seconds, boot included
    folders: list   # to write to, besides the checkout
    append: str = ""  # to the kernel's command line


def newc(entries):
    """A cpio archive: the kernel's Documentation/driver-api/early-userspace/buffer-format.rst."""
    out = bytearray()
    for number, (name, mode, data) in enumerate([*entries, ("TRAILER!!!", 0, b"")], 1):
        fields = (number, mode, 0, 0, 1, 0, len(data), 0, 0, 0, 0, len(name) + 1, 0)
        out += b"070701" + b"".join(b"%08X" % x for x in fields) + name.encode() + b"\0"
        out += b"\0" * (-len(out) % 4) + data
        out += b"\0" * (-len(out) % 4)
    return out


def initramfs(kernel):
    """Kept beside the kernel, named by what goes into it."""
    init, busybox = (HERE / "vm-init.sh").read_bytes(), pathlib.Path(BUSYBOX).read_bytes()
    digest = hashlib.sha256(init + busybox).hexdigest()[:16]
    path = kernel["folder"] / f"initramfs-{digest}"
    if not path.exists():
        modules = kernel["modules"]
        entries = [(x, 0o40755, b"") for x in "bin dev proc sys host root layer modules".split()]
        entries += [("init", 0o100755, init), ("bin/busybox", 0o100755, busybox),
                    ("modules/order", 0o100644, "".join(f"{x}\n" for x in modules).encode())]
        entries += [(f"modules/{x}.ko", 0o100644, (kernel["folder"] / "modules" / f"{x}.ko").read_bytes())
                    for x in modules]
        with tempfile.NamedTemporaryFile(dir=kernel["folder"], prefix=".", delete=False) as file:
            file.write(newc(entries))
        os.rename(file.name, path)
        for old in kernel["folder"].glob("initramfs-*"):
            if time.time() - old.stat().st_mtime > DAY:
                old.unlink(missing_ok=True)
    return path


def environment(kernel):
    names = os.environ.get("TCPSAGA_VM_ENV", "").replace(",", " ").split()
    return {"HOME": "/root", "LANG": "C.UTF-8", "PATH": os.environ.get("PATH", os.defpath),
            **{x: os.environ[x] for x in names if x in os.environ}, "TCPSAGA_VM": kernel["release"]}


class Guest:
    """A context: leaving it ends the guest's processes and removes the scratch folder."""

    def __init__(self, kernel, settings):
        for program in (VIRTIOFSD, BUSYBOX, "qemu-system-x86_64"):
            if not shutil.which(program):
                raise Failure(f"{program} is not installed")
        if os.geteuid() != 0:
            raise Failure("not root, which virtiofsd needs to serve /")
        self.kernel, self.settings = kernel, settings
        self.scratch = pathlib.Path(tempfile.mkdtemp(prefix="tcpsaga-vm-"))
        self.processes = []

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for process in reversed(self.processes):
            process.kill()
            process.wait()
        shutil.rmtree(self.scratch, ignore_errors=True)

    def start(self, *args):
        # setpriv: it dies with us, even by SIGKILL. Off our process group: Ctrl-C is ours to handle.
        with open(self.scratch / "log", "ab") as log:
            self.processes.append(subprocess.Popen(
                ["setpriv", "--pdeathsig", "KILL", *map(str, args)], stdin=subprocess.DEVNULL,
                stdout=log, stderr=log, start_new_session=True))
        return self.processes[-1]

    def prepare(self):
        """What vm-init.sh reads."""
        command = "".join(f"export {k}={shlex.quote(v)}\n" for k, v in environment(self.kernel).items())
        command += f"cd {shlex.quote(os.getcwd())} || exit 126\nexec {shlex.join(self.settings.command)}\n"
        (self.scratch / "command").write_bytes(os.fsencode(command))
        folders = []
        for folder in sorted({str(HERE.parent), *self.settings.folders} - {"/"}):
            if not any(folder.startswith(x + "/") for x in folders):
                folders.append(folder)
        (self.scratch / "folders").write_bytes(os.fsencode("".join(f"{x}\n" for x in folders)))
        if (self.kernel["folder"] / "config").exists():
            shutil.copyfile(self.kernel["folder"] / "config", self.scratch / "config")
        for name in ("console", "stdout", "stderr"):
            (self.scratch / name).touch()

    def boot(self):
        size, socket = self.settings.memory, self.scratch / "socket"
        server = self.start(VIRTIOFSD, f"--socket-path={socket}", "-o", "source=/", "-o", "cache=always",
                            "-o", "sandbox=chroot", "-o", "xattr", "--thread-pool-size=0")
        while not socket.exists():
            if server.poll() is not None:
                raise Failure(f"virtiofsd: {(self.scratch / 'log').read_text().strip()}")
            time.sleep(0.01)
        # thread=multi panics now and then while the kernel patches its own text (2 of 100 boots).
        self.start(
            "qemu-system-x86_64", "-machine", "q35,memory-backend=mem", "-cpu", CPU,
            "-accel", "tcg,thread=single,tb-size=256", "-smp", self.settings.cpus, "-m", size,
            "-object", f"memory-backend-memfd,id=mem,size={size},share=on", "-nodefaults",
            "-no-user-config", "-display", "none", "-no-reboot", "-rtc", "base=utc",
            "-serial", f"file:{self.scratch / 'console'}", "-chardev", f"socket,id=c0,path={socket}",
            "-device", "vhost-user-fs-pci,chardev=c0,tag=hostroot,queue-size=1024",
            "-kernel", self.kernel["folder"] / "vmlinux", "-initrd", initramfs(self.kernel),
            "-append", "console=ttyS0 quiet loglevel=4 panic=-1 oops=panic nokaslr mitigations=off "
            f"random.trust_cpu=on no_timer_check tsc=reliable rdinit=/init scratch={self.scratch} "
            f"{self.settings.append}")

    def run(self, out, err, stop):
        """Copies the command's streams as they come. Returns its exit status, or one of vm.py's."""
        deadline = time.monotonic() + self.settings.timeout
        self.prepare()
        self.boot()
        status = self.scratch / "status"
        with open(self.scratch / "stdout", "rb") as stdout, open(self.scratch / "stderr", "rb") as stderr:
            while True:
                # Asked before copying: once there is a status the streams are complete.
                ended = status.exists() or any(x.poll() is not None for x in self.processes)
                late = stop.is_set() or time.monotonic() > deadline
                for source, target in ((stdout, out), (stderr, err)):
                    shutil.copyfileobj(source, target)
                    target.flush()
                if ended or late:
                    break
                time.sleep(0.02)
        if status.exists():
            return int(status.read_text())
        if stop.is_set():
            err.write(b"vm: stopped\n")
            return 130
        if not ended:
            err.write(f"vm: timed out after {self.settings.timeout:g} s\n".encode())
            return 124
        tail = (self.scratch / "console").read_bytes().splitlines()[-40:]
        if not tail:
            raise Failure(f"no guest came up: {(self.scratch / 'log').read_text(errors='replace').strip()}")
        err.write(b"vm: the guest died before the command ended; the end of its console:\n")
        err.write(b"\n".join(tail) + b"\n")
        return 125
