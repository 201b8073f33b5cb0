"""Completion scripts for bash, zsh and fish, made of a description of the command line."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

from batchspec.records import frozen

Takes = Literal["nothing", "value", "choice", "file", "folder", "spec"]


@frozen
class Word:
    """An option, or an argument by its place."""

    flags: tuple[str, ...]
    """``-h``, ``--help``; empty for an argument by its place."""
    help: str
    takes: Takes
    choices: tuple[str, ...] = ()
    metavar: str = ""
    """What help calls its value."""


@frozen
class Command:
    """The program, or one of its commands."""

    name: str
    help: str
    options: tuple[Word, ...]
    arguments: tuple[Word, ...]


_SPECS = (
    "printf '%s\\n' specs/*.y*ml *.spec.yaml 2>/dev/null"
    r" | sed -n 's|.*/||; s|\.spec||; s|\.ya*ml$||p'"
)
"""Names of specs by the usual places of their files: quick, and right for most projects."""


def bash(program: Command, commands: Iterable[Command]) -> str:
    """Return the script for bash."""
    commands = tuple(commands)
    names = " ".join(command.name for command in commands)
    values = "".join(_bash_values(command) for command in (program, *commands))
    words = "".join(_bash_words(command) for command in commands)
    return f"""\
# bash completion of {program.name}; eval "$({program.name} completion bash)" in ~/.bashrc
_{program.name}_specs() {{
  {_SPECS}
}}
_{program.name}() {{
  local word command= options= words= current=${{COMP_WORDS[COMP_CWORD]}}
  for word in "${{COMP_WORDS[@]:1:COMP_CWORD-1}}"; do
    case " {names} " in *" $word "*) command=$word; break;; esac
  done
  case "$command ${{COMP_WORDS[COMP_CWORD-1]}}" in
{values}  esac
  case "$command" in
    '') options={_quoted(_flags(program))} words={_quoted(names)};;
{words}  esac
  if [[ $current == -* ]]; then words=$options; fi
  mapfile -t COMPREPLY < <(compgen -W "$words" -- "$current")
}}
complete -o bashdefault -o default -F _{program.name} {program.name}
"""


def _bash_values(command: Command) -> str:
    lines = []
    for option in command.options:
        make = {
            "choice": f"compgen -W {_quoted(' '.join(option.choices))}",
            "folder": "compgen -d",
            "file": "compgen -f",
            "value": ":",
        }.get(option.takes)
        if make is None:
            continue
        scope = "*" if command.name == "batchspec" else command.name
        cases = "|".join(f'{scope}" {flag}"' for flag in option.flags)
        done = make if make == ":" else f'{make} -- "$current"'
        lines.append(f"    {cases}) mapfile -t COMPREPLY < <({done}); return;;\n")
    return "".join(lines)


def _bash_words(command: Command) -> str:
    words = " ".join(choice for word in command.arguments for choice in word.choices)
    if any(word.takes == "spec" for word in command.arguments):
        words = f"{words} $(_batchspec_specs)".strip()
        return f'    {command.name}) options={_quoted(_flags(command))} words="{words}";;\n'
    return f"    {command.name}) options={_quoted(_flags(command))} words={_quoted(words)};;\n"


def _flags(command: Command) -> str:
    return " ".join(flag for option in command.options for flag in option.flags)


def zsh(program: Command, commands: Iterable[Command]) -> str:
    """Return the script for zsh."""
    commands = tuple(commands)
    described = "".join(
        f"    {_quoted(f'{command.name}:{command.help}')}\n" for command in commands
    )
    cases = "".join(
        f"        {command.name}) _arguments -s {_zsh_words(command)};;\n" for command in commands
    )
    name = program.name
    return f"""\
#compdef {name}
# zsh completion of {name}; source <({name} completion zsh) in ~/.zshrc, after compinit
_{name}_specs() {{
  local -a specs
  specs=(${{(f)"$({_SPECS})"}})
  _describe spec specs
  _files -g '*.y(|a)ml'
}}
_{name}() {{
  local curcontext=$curcontext state line
  local -a commands
  commands=(
{described}  )
  _arguments -C -s {_zsh_words(program)} '1:command:->command' '*::argument:->argument'
  case $state in
    command) _describe command commands;;
    argument)
      case $line[1] in
{cases}      esac;;
  esac
}}
if [[ $funcstack[1] == _{name} ]]; then _{name} "$@"; else compdef _{name} {name}; fi
"""


def _zsh_words(command: Command) -> str:
    specs = [
        _quoted(f"{flag}[{_zsh_text(option.help)}]{_zsh_action(option)}")
        for option in command.options
        for flag in option.flags
    ]
    specs += [_quoted(f"*{_zsh_action(word)}") for word in command.arguments]
    return " ".join(specs)


def _zsh_action(word: Word) -> str:
    return {
        "nothing": "",
        "value": ":value:",
        "choice": f":value:({' '.join(word.choices)})",
        "file": ":file:_files",
        "folder": ":folder:_files -/",
        "spec": ":spec:_batchspec_specs",
    }[word.takes]


def _zsh_text(text: str) -> str:
    for mark in "\\[]:":
        text = text.replace(mark, f"\\{mark}")
    return text


def fish(program: Command, commands: Iterable[Command]) -> str:
    """Return the script for fish."""
    name = program.name
    lines = [
        f"# fish completion of {name}; {name} completion fish | source in config.fish",
        f"function __{name}_specs",
        f"  sh -c {_fish(_SPECS)}",
        "end",
        f"complete -c {name} -f",
    ]
    lines += [_fish_option(name, option, "") for option in program.options]
    for command in commands:
        offer = f"-n __fish_use_subcommand -a {command.name} -d {_fish(command.help)}"
        lines.append(f"complete -c {name} {offer}")
        when = f" -n {_fish(f'__fish_seen_subcommand_from {command.name}')}"
        lines += [_fish_option(name, option, when) for option in command.options]
        lines += [_fish_argument(name, word, when) for word in command.arguments]
    return "\n".join(lines) + "\n"


def _fish_option(name: str, option: Word, when: str) -> str:
    flags = "".join(
        f" -l {flag[2:]}" if flag.startswith("--") else f" -s {flag[1:]}" for flag in option.flags
    )
    return f"complete -c {name}{when}{flags}{_fish_action(option)} -d {_fish(option.help)}"


def _fish_argument(name: str, word: Word, when: str) -> str:
    return f"complete -c {name}{when}{_fish_action(word)}"


def _fish_action(word: Word) -> str:
    return {
        "nothing": "",
        "value": " -x",
        "choice": f" -x -a {_fish(' '.join(word.choices))}",
        "file": " -r -F",
        "folder": " -x -a '(__fish_complete_directories)'",
        "spec": " -F -a '(__batchspec_specs)'",
    }[word.takes]


def _quoted(text: str) -> str:
    """Return text in single quotes for bash and zsh."""
    return "'" + text.replace("'", "'\\''") + "'"


def _fish(text: str) -> str:
    """Return text in single quotes for fish."""
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"
