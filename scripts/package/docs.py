#!/usr/bin/python3 -B
"""Make the manual page and the shell completions: docs.py TEMPLATE FOLDER < DESCRIPTION.

DESCRIPTION is what `tcpsaga --describe` prints. TEMPLATE is roff in which @VERSION@, @COMMANDS@ and
@OPTIONS@ stand for what comes from it. FOLDER gets tcpsaga.8, tcpsaga.bash and _tcpsaga.
"""
import json
import pathlib
import sys

DEFAULT = "trace"


def roff(text):
    escaped = text.replace("\\", "\\e").replace("-", "\\-")
    return "\\&" + escaped if escaped[:1] in (".", "'") else escaped


def is_file(option):
    return option.get("value") in ("FILE", "PATH", "DIR", "WHERE")


def flat(commands, before=""):
    """Every command as (its full name, its description), sub-commands behind their own."""
    for command in commands:
        name = before + command["name"]
        yield name, command
        yield from flat(command["commands"], name + " ")


def option_entry(option):
    names = ", ".join(f"\\fB{roff(n)}\\fR" for n in option.get("names", [])) or \
        f"\\fI{roff(option['positional'])}\\fR"
    value = option.get("value")
    if value and option["names"]:
        names += f" \\fI{roff(value)}\\fR"
    text = f".TP\n{names}\n{roff(option['help'])}.\n"
    choices = option.get("choices")
    if choices and value != "|".join(choices):
        text += f"One of {roff(', '.join(choices))}.\n"
    return text


def option_sections(commands):
    """Options that several commands have alike are told once, under the names of them all."""
    owners = {}
    for name, command in commands:
        for option in command["options"]:
            if "--help" not in option["names"]:
                owners.setdefault(json.dumps(option), []).append(name)
    sections = {}
    for option, names in owners.items():
        sections.setdefault(tuple(names), []).append(json.loads(option))
    text = ""
    for names, options in sections.items():
        listed = names[0] if len(names) == 1 else ", ".join(names[:-1]) + " and " + names[-1]
        text += f".SS Options of {roff(listed)}\n"
        text += "".join(option_entry(o) for o in options)
    return text


def manual(description, template):
    commands = list(flat(description["commands"]))
    listed = "".join(f".TP\n\\fB{roff(n)}\\fR\n{roff(c['help'])}.\n" for n, c in commands)
    general = ".SS General options\n" + "".join(option_entry(o) for o in description["options"])
    return (template.replace("@VERSION@", description["version"])
            .replace("@COMMANDS@\n", listed)
            .replace("@OPTIONS@\n", option_sections(commands) + general))


def words(command):
    return [n for o in command["options"] for n in o["names"]]


def bash(description):
    commands = list(flat(description["commands"]))
    cases = files = values = ""
    told = set()
    for name, command in commands:
        below = [c["name"] for c in command["commands"]]
        cases += f"    '{name}') words='{' '.join(below + words(command))}' ;;\n"
        for option in command["options"]:
            for n in option["names"]:
                if n in told:
                    continue
                if option.get("choices"):
                    values += f"    {n}) _tcpsaga_list '{' '.join(option['choices'])}'; return ;;\n"
                elif is_file(option):
                    files += f"    {n}) compopt -o filenames; COMPREPLY=($(compgen -f -- \"$cur\")); return ;;\n"
                elif "value" in option:
                    values += f"    {n}) return ;;\n"
                told.add(n)
    first = " ".join(c["name"] for c in description["commands"]) + " " + " ".join(words(description))
    names = "|".join(f"'{n}'" for n, _ in commands)
    return f"""# bash completion for tcpsaga(8); made by scripts/package/docs.py
# shellcheck shell=bash disable=SC2207

# The values of a list that is separated by commas.
_tcpsaga_list() {{
    local done=
    [[ $cur != *,* ]] || done=${{cur%,*}},
    COMPREPLY=($(compgen -P "$done" -W "$1" -- "${{cur##*,}}"))
    compopt -o nospace
}}

_tcpsaga() {{
    local cur=${{COMP_WORDS[COMP_CWORD]}} prev=${{COMP_WORDS[COMP_CWORD-1]}} command= words= word i
    COMPREPLY=()
    for ((i = 1; i < COMP_CWORD; i++)); do
        word="${{command:+$command }}${{COMP_WORDS[i]}}"
        case $word in {names}) command=$word ;; esac
    done
    case $prev in
{files}{values}    esac
    case $command in
{cases}    *) words='{first} {' '.join(words(dict(commands)[DEFAULT]))}' ;;
    esac
    COMPREPLY=($(compgen -W "$words" -- "$cur"))
    [[ ${{#COMPREPLY[@]}} -gt 0 || $cur == -* ]] || {{ compopt -o filenames; COMPREPLY=($(compgen -f -- "$cur")); }}
}}
complete -F _tcpsaga tcpsaga
"""


def zsh_text(text):
    for special in ("\\", "[", "]", ":"):
        text = text.replace(special, "\\" + special)
    return text.replace("'", "'\\''")


def zsh_spec(option):
    if not option["names"]:
        return f"'*:{zsh_text(option['positional'])}:_files'"
    action = ""
    if option.get("choices"):
        action = f":{zsh_text(option['value'])}:_sequence compadd - {' '.join(option['choices'])}"
    elif is_file(option):
        action = ":file:_files"
    elif "value" in option:
        action = f":{zsh_text(option['value'])}: "
    names = option["names"]
    alike = f"({' '.join(names)})" if len(names) > 1 else ""
    return " ".join(f"'{alike}{n}[{zsh_text(option['help'])}]{action}'" for n in names)


def zsh_command(name, command):
    specs = " \\\n                ".join(zsh_spec(o) for o in command["options"])
    return f"            {name})\n            _arguments -s \\\n                {specs} ;;\n"


def zsh(description):
    listed = "\n".join(f"        '{c['name']}:{zsh_text(c['help'])}'" for c in description["commands"])
    general = " ".join(zsh_spec(o) for o in description["options"])
    cases = "".join(zsh_command(n.replace(" ", "-"), c) for n, c in flat(description["commands"]))
    return f"""#compdef tcpsaga
# zsh completion for tcpsaga(8); made by scripts/package/docs.py

_tcpsaga() {{
    local context state state_descr line
    typeset -A opt_args
    local -a commands
    commands=(
{listed}
    )
    _arguments -C {general} '1:command:->command' '*::argument:->arguments' && return
    case $state in
    command) _describe command commands ;;
    arguments)
        case $words[1] in
{cases}        esac ;;
    esac
}}

_tcpsaga "$@"
"""


def main():
    template, folder = sys.argv[1:]
    description = json.load(sys.stdin)
    folder = pathlib.Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    page = manual(description, pathlib.Path(template).read_text(encoding="utf-8"))
    (folder / "tcpsaga.8").write_text(page, encoding="utf-8")
    (folder / "tcpsaga.bash").write_text(bash(description), encoding="utf-8")
    (folder / "_tcpsaga").write_text(zsh(description), encoding="utf-8")


if __name__ == "__main__":
    main()
