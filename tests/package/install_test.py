#!/usr/bin/python3 -B
"""`cmake --install` and the Debian package: install_test.py BUILD."""
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import unittest

BUILD = sys.argv[1]
EXPECTED = {
    "sbin/tcpsaga", "share/man/man8/tcpsaga.8.gz", "share/bash-completion/completions/tcpsaga",
    "share/zsh/vendor-completions/_tcpsaga", "share/doc/tcpsaga/copyright",
    "share/doc/tcpsaga/changelog.gz", "share/doc/tcpsaga/README.md",
    "lib/systemd/system/tcpsaga.service"}


def run(*command, cwd=None):
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd=cwd)


class Install(unittest.TestCase):
    def test_prefix(self):
        with tempfile.TemporaryDirectory() as folder:
            out = run("cmake", "--install", BUILD, "--prefix", folder)
            self.assertEqual(out.returncode, 0, out.stderr)
            found = {str(p.relative_to(folder)) for p in pathlib.Path(folder).rglob("*")}
            self.assertLessEqual(EXPECTED, found)
            version = run(folder + "/sbin/tcpsaga", "--version")
            self.assertRegex(version.stdout, r"^tcpsaga \d+\.\d+\.\d+$")


class Package(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory()
        out = run("cpack", "-G", "DEB", "--config", BUILD + "/CPackConfig.cmake", "-B", cls.folder.name)
        found = list(pathlib.Path(cls.folder.name).glob("*.deb"))
        assert len(found) == 1, out.stdout + out.stderr
        cls.deb = str(found[0])

    @classmethod
    def tearDownClass(cls):
        cls.folder.cleanup()

    def test_holds_what_is_installed(self):
        listed = set(re.findall(r" \./usr/(\S+)$", run("dpkg", "-c", self.deb).stdout, re.M))
        self.assertLessEqual(EXPECTED, listed)

    def test_depends_on_what_it_links(self):
        depends = run("dpkg-deb", "-f", self.deb, "Depends").stdout
        for library in ("libc6", "libbpf1", "libfmt9", "libssl3", "libcap2", "libsystemd0"):
            self.assertRegex(depends, rf"\b{library}\b")

    def test_no_maintainer_scripts(self):
        control = run("dpkg-deb", "--ctrl-tarfile", self.deb)
        self.assertEqual(control.returncode, 0)
        self.assertNotIn("postinst", run("dpkg-deb", "-I", self.deb).stdout)

    def test_in_a_plain_debian_12(self):
        script = pathlib.Path(__file__).parents[2] / "scripts/package/chroot.sh"
        out = run(str(script), self.deb)
        if out.returncode == 77:
            self.skipTest(out.stderr)
        self.assertEqual(out.returncode, 0, out.stdout + out.stderr)

    def test_lintian_finds_no_error(self):
        if not shutil.which("lintian"):
            self.skipTest("SKIPPED: no lintian")
        out = run("lintian", "--allow-root", "--fail-on", "error", self.deb)
        self.assertEqual(out.returncode, 0, out.stdout + out.stderr)


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
