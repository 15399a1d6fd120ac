#!/usr/bin/python3 -B
"""The manual page and the completions know what --help does, no less and no more:
docs_test.py TCPSAGA FOLDER, with the folder that scripts/package/docs.py wrote."""
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import unittest

TCPSAGA, FOLDER = sys.argv[1], pathlib.Path(sys.argv[2])


def help_of(*command):
    return subprocess.run([TCPSAGA, *command, "--help"], capture_output=True, text=True,
                          check=True).stdout


def options_in(text):
    """Those that begin a line of --help: '  -h,--help ...'."""
    found = set()
    for names in re.findall(r"^  (-[\w,-]+)", text, re.M):
        found.update(names.split(","))
    return found


def commands():
    listed = help_of().split("Commands:\n")[1]
    return re.findall(r"^  (\w+)", listed, re.M)


def views(command):
    """Those of replay and fleet, which may have options of their own."""
    _, _, listed = help_of(command).partition("Subcommands:\n")
    return re.findall(r"^  (\w+)", listed, re.M)


COMMANDS = commands()
OPTIONS = {c: options_in(help_of(c)) for c in COMMANDS}
OF_VIEWS = {(c, v): options_in(help_of(c, v)) for c in COMMANDS for v in views(c)}
EVERY = set().union(*OPTIONS.values(), *OF_VIEWS.values(), options_in(help_of()))


def complete(*typed):
    """What bash offers for the last word."""
    script = f"""
        compopt() {{ :; }}
        . {FOLDER}/tcpsaga.bash
        COMP_WORDS=("$@") COMP_CWORD=$(($# - 1))
        _tcpsaga
        printf '%s\\n' "${{COMPREPLY[@]}}" """
    out = subprocess.run(["bash", "-c", script, "bash", "tcpsaga", *typed], capture_output=True,
                         text=True, check=True, cwd=FOLDER)
    if out.stderr:
        raise AssertionError(out.stderr)
    return set(out.stdout.split())


class Manual(unittest.TestCase):
    def setUp(self):
        self.roff = (FOLDER / "tcpsaga.8").read_text(encoding="utf-8")

    def test_every_option_and_no_other(self):
        named = set()
        for entry in re.findall(r"^\.TP\n(\\fB.*)$", self.roff, re.M):
            named.update(n.replace("\\-", "-") for n in re.findall(r"\\fB(\\-[^ ]*?)\\fR", entry))
        self.assertEqual(named, EVERY)

    def test_every_command(self):
        for command in COMMANDS:
            self.assertIn(f".TP\n\\fB{command}\\fR\n", self.roff)

    def test_is_well_formed(self):
        if not shutil.which("groff"):
            self.skipTest("SKIPPED: no groff")
        out = subprocess.run(["groff", "-man", "-Tutf8", "-ww", "-z", FOLDER / "tcpsaga.8"],
                             capture_output=True, text=True, check=True)
        self.assertEqual(out.stderr, "")


class Bash(unittest.TestCase):
    def test_commands(self):
        self.assertLessEqual(set(COMMANDS), complete(""))

    def test_every_option_of_every_command(self):
        for command in COMMANDS:
            self.assertEqual(complete(command, "-"), OPTIONS[command], command)
        self.assertEqual(complete("fleet", "init", "-"), OF_VIEWS["fleet", "init"])

    def test_trace_is_the_default(self):
        self.assertLessEqual(OPTIONS["trace"], complete("--"[:1]))

    def test_the_rest_of_a_word(self):
        self.assertEqual(complete("life", "--dur"), {"--duration"})
        self.assertEqual(complete("trace", "--port", "80", "--no-s"), {"--no-snapshot"})

    def test_values(self):
        self.assertEqual(complete("trace", "--attach", "k"), {"kprobe"})
        self.assertEqual(complete("trace", "--event", "accept,clo"), {"accept,close"})
        self.assertEqual(complete("trace", "--event", "time"), {"time_wait"})

    def test_files(self):
        with tempfile.NamedTemporaryFile(prefix="completed-") as file:
            self.assertEqual(complete("trace", "-o", file.name[:-1]), {file.name})


class Zsh(unittest.TestCase):
    def setUp(self):
        self.script = (FOLDER / "_tcpsaga").read_text(encoding="utf-8")

    def test_every_option_of_every_command(self):
        for command in COMMANDS:
            part = self.script.split(f"            {command})\n")[1].split(" ;;\n")[0]
            named = set(re.findall(r"'(?:\([^)]*\))?(-[\w-]+)\[", part))
            self.assertEqual(named, OPTIONS[command], command)
            self.assertIn(f"'{command}:", self.script)

    def test_zsh_understands_it(self):
        if not shutil.which("zsh"):
            self.skipTest("SKIPPED: no zsh")
        out = subprocess.run(["zsh", "-n", FOLDER / "_tcpsaga"], capture_output=True, text=True,
                             check=False)
        self.assertEqual((out.returncode, out.stderr), (0, ""))


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
