#!/usr/bin/python3 -B
"""The configurations that the documentation shows, as the programs that they are for read them:
snippets_test.py DOCS. What these programs then do is tested live (tests/live/pipeline_test.cc)."""
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import unittest

DOCS = pathlib.Path(sys.argv[1])
# Debian's /etc/rsyslog.conf as far as it matters to what it includes.
RSYSLOG = """module(load="imuxsock")
$WorkDirectory {folder}
$IncludeConfig {folder}/*.conf
*.* /dev/null
"""


def blocks(page, first):
    """Those of the page that begin so, without their fences."""
    text = (DOCS / page).read_text(encoding="utf-8")
    return [b for b in re.findall(r"^```\w*\n(.*?)^```", text, re.M | re.S) if b.startswith(first)]


class Snippets(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)

    def check(self, *command):
        if not shutil.which(command[0]):
            self.skipTest(f"SKIPPED: no {command[0]}")
        out = subprocess.run([*map(str, command)], capture_output=True, text=True, check=False)
        self.assertEqual(out.returncode, 0, out.stdout + out.stderr)
        return out.stdout + out.stderr

    def write(self, name, text):
        (self.folder / name).write_text(text, encoding="utf-8")
        return self.folder / name

    def test_prometheus(self):
        text, = blocks("metrics.md", "# prometheus.yml")
        text = text.replace("/path/to/docs", str(DOCS))
        said = self.check("promtool", "check", "config", self.write("prometheus.yml", text))
        self.assertRegex(said, r"SUCCESS: \d+ rules found")

    def test_rsyslog_reads_it_among_debians_own(self):
        whole, = blocks("pipelines.md", "# /etc/rsyslog.d/")
        tcp, = blocks("pipelines.md", "module(load=\"imptcp\")")
        imfile = re.search(r"^module\(load=\"imfile\"\)\ninput\(.*\)\n", whole, re.M)[0]
        for number, text in enumerate((whole, whole.replace(imfile, tcp))):
            with self.subTest(number):
                self.write("tcpsaga.conf", text)
                main = self.write("main", RSYSLOG.format(folder=self.folder))
                said = self.check("rsyslogd", "-N1", "-f", main)
                self.assertNotIn("error", said)
                self.assertEqual(len(said.splitlines()), 2, said)  # hail and farewell

    def test_logrotate(self):
        text, = blocks("pipelines.md", "# /etc/logrotate.d/")
        said = self.check("logrotate", "-d", "-s", self.folder / "state", self.write("tcpsaga", text))
        self.assertNotIn("error", said)

    def test_the_service_may_write_where_the_log_is(self):
        """ProtectSystem=strict: below LogsDirectory only."""
        log, = re.findall(r"TCPSAGA_OPTIONS=\".*-o (\S+)\"", (DOCS / "pipelines.md").read_text(encoding="utf-8"))
        self.assertTrue(log.startswith("/var/log/tcpsaga/"), log)
        for first in ("# /etc/logrotate.d/", "# /etc/rsyslog.d/", "sources:", "parsers:", "receivers:"):
            self.assertIn(log, blocks("pipelines.md", first)[0])

    def test_the_others_are_well_formed(self):
        try:
            import yaml
        except ImportError:
            self.skipTest("SKIPPED: no python3-yaml")
        for first in ("sources:", "parsers:", "receivers:"):
            text, = blocks("pipelines.md", first)
            self.assertGreater(len(yaml.safe_load(text)), 1)


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
