"""Debian's archive: which cloud kernel is a suite's newest, and its packages unpacked.

apt works on throw-away state that knows the asked suites only: the machine's own lists, cache and
status are neither read nor changed. The machine's mirror, proxy and options do apply; no host is
named here. apt checks every signature against debian-archive-keyring, whose keys sign sid and
experimental as well as the releases.
"""
import functools
import re
import subprocess

KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"


class Failure(Exception):
    """One line that names what failed."""


def run(*args, **kwargs):
    try:
        return subprocess.run(args, check=True, text=True, capture_output=True, **kwargs).stdout
    except FileNotFoundError as error:
        raise Failure(f"{args[0]} is not installed") from error
    except subprocess.CalledProcessError as error:
        lines = error.stderr.strip().splitlines() or ["failed"]
        raise Failure(f"{args[0]}: {next((x for x in lines if x.startswith('E:')), lines[0])}") from error


def mirror(security):
    label = "Debian Debian-Security" if security else "Debian Debian"
    for line in run("apt-get", "indextargets", "--format", "$(REPO_URI) $(ORIGIN) $(LABEL)").splitlines():
        uri, _, found = line.partition(" ")
        if found == label:
            return uri
    raise Failure(f"apt knows no {label.split()[1]} archive (has `apt-get update` been run?)")


def newer(a, b):
    """dpkg's order of two package records, as cmp() would give it."""
    later = subprocess.run(["dpkg", "--compare-versions", a["Version"], "gt", b["Version"]], check=False)
    return 1 if later.returncode == 0 else -1


class Archive:
    def __init__(self, folder, suites, arch="amd64"):
        self.folder = folder
        self.arch = arch
        for name in ("lists/partial", "cache/archives/partial", "debs"):
            (folder / name).mkdir(parents=True)
        (folder / "sources.list").write_text("".join(
            f"deb [arch={arch} signed-by={KEYRING}] {mirror(suite.endswith('-security'))} {suite} main\n"
            for suite in suites))
        self.options = [f"-o{key}={value}" for key, value in {
            "Dir::Etc::SourceList": folder / "sources.list", "Dir::Etc::SourceParts": "/dev/null",
            "Dir::Etc::Preferences": "/dev/null", "Dir::Etc::PreferencesParts": "/dev/null",
            "Dir::State": folder, "Dir::State::Lists": folder / "lists",
            "Dir::State::status": "/dev/null", "Dir::Cache": folder / "cache",
            "APT::Architecture": arch, "APT::Sandbox::User": "root",
            "Acquire::AllowInsecureRepositories": "false", "APT::Get::AllowUnauthenticated": "false",
            "Acquire::Languages": "none", "Acquire::Retries": "2"}.items()]
        # One suite of several may be gone or unreachable; what the others have still counts.
        self.trouble = None
        try:
            run("apt-get", *self.options, "-qq", "--error-on=any", "update")
        except Failure as failure:
            self.trouble = failure

    def newest(self, prefix):
        """The newest kernel whose version starts so: release (uname -r), version, packages.

        Up to 6.18 linux-image holds everything. Later linux-binary holds the kernel, linux-modules
        the modules and linux-base the configuration, and linux-image is an empty umbrella, as the
        meta-package of a series always was: the size tells them apart.
        """
        pattern = rf"^linux-(image|binary)-{re.escape(prefix)}[.-].*cloud-{self.arch}$"
        names = [x.split()[0] for x in
                 run("apt-cache", *self.options, "search", "--names-only", pattern).splitlines()]
        records = run("apt-cache", *self.options, "show", *names).split("\n\n") if names else []
        records = [dict(re.findall(r"^(\w+): (.*)$", x, re.M)) for x in records]
        records = [x for x in records if int(x.get("Size", 0)) > 1 << 20]
        if not records:
            raise self.trouble or Failure(f"no {prefix} cloud kernel in the archive")
        best = max(records, key=functools.cmp_to_key(newer))
        release = best["Package"].split("-", 2)[2]
        extras = [f"linux-modules-{release}", f"linux-base-{release}"]
        known = set(run("apt-cache", *self.options, "pkgnames", "linux-").split())
        return {"release": release, "version": best["Version"],
                "packages": [best["Package"]] + [x for x in extras if x in known]}

    def unpack(self, packages, target):
        run("apt-get", *self.options, "-qq", "download", *packages, cwd=self.folder / "debs")
        for deb in sorted((self.folder / "debs").glob("*.deb")):
            run("dpkg-deb", "-x", str(deb), str(target))
