#!/usr/bin/python3 -B
"""The unit file as systemd reads it: service_test.py UNIT."""
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import unittest

UNIT = pathlib.Path(sys.argv[1])
WORST_EXPOSURE = 3.6  # of 10; docs/privileges.md has the figure


class Service(unittest.TestCase):
    def setUp(self):
        if not shutil.which("systemd-analyze"):
            self.skipTest("SKIPPED: no systemd-analyze")
        self.text = UNIT.read_text(encoding="utf-8")

    def analyze(self, *arguments):
        return subprocess.run(["systemd-analyze", "--no-pager", *arguments], capture_output=True,
                              text=True, check=False)

    def test_verify(self):
        """Nothing to say but what it says without the manual page installed."""
        with tempfile.TemporaryDirectory() as folder:
            unit = pathlib.Path(folder) / UNIT.name
            # What it starts need not be installed to test the rest.
            unit.write_text(re.sub(r"^ExecStart=\S+", "ExecStart=/bin/true", self.text, flags=re.M),
                            encoding="utf-8")
            out = self.analyze("verify", "--man=no", str(unit))
        ours = [line for line in out.stderr.splitlines() if UNIT.name in line]
        self.assertEqual((out.returncode, ours), (0, []), out.stderr)

    def test_exposure(self):
        with tempfile.TemporaryDirectory() as folder:
            shutil.copy(UNIT, folder)
            out = self.analyze("security", "--offline=yes", "--threshold=100",
                               str(pathlib.Path(folder) / UNIT.name))
        found = re.search(r"Overall exposure level for \S+: ([\d.]+)", out.stdout)
        self.assertIsNotNone(found, out.stdout + out.stderr)
        self.assertLessEqual(float(found[1]), WORST_EXPOSURE)

    def test_is_what_was_promised(self):
        for line in ("Type=notify", "Restart=on-failure", "NoNewPrivileges=yes",
                     "ProtectSystem=strict"):
            self.assertIn("\n" + line + "\n", self.text)


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
