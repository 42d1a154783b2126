"""The README is a program: its blocks run as they stand, its links exist."""

import re
import shlex
from pathlib import Path

import pytest

from simrecon.cli.main import app
from simrecon.shell import execute

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"<!-- (run|command: \w+) -->\n```(\w+)\n(.*?)```", README, re.DOTALL)


def blocks(kind: str, language: str) -> list[str]:
    return [text for mark, lang, text in BLOCKS if mark == kind and lang == language]


def test_every_kind_of_block_is_there():
    assert len(blocks("run", "bash")) == 1
    assert len(blocks("run", "python")) == 1
    assert len(blocks("command: demo", "bash")) == len(blocks("command: tests", "bash")) == 1


def test_command_lines_run(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    for line in blocks("run", "bash")[0].splitlines():
        program, *arguments = shlex.split(line)
        assert program == "simrecon"
        assert execute(app, arguments) == 0, capsys.readouterr().err
    written = {p.name for p in tmp_path.iterdir()}
    promised = set(re.findall(r"^\| `(picture[\w.]+)`", README, re.MULTILINE))
    assert len(promised) == 5
    assert promised <= written


def test_python_block_runs(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {}
    exec(compile(blocks("run", "python")[0], "README.md", "exec"), names)
    verdict, period = capsys.readouterr().out.split()
    assert verdict == "ok"
    assert float(period) == pytest.approx(0.21, abs=0.05)
    assert names["expected"].shape == (3, 3, 128, 128)


def test_commands_name_programs_and_extras_that_exist():
    project = (ROOT / "pyproject.toml").read_text()
    text = "\n".join(blocks("command: demo", "bash") + blocks("command: tests", "bash"))
    for extra in re.findall(r"'\.\[(\w+)\]'", text):
        assert f"\n{extra} = [" in project
    for program in re.findall(r"\.venv/bin/(\w+)", text):
        assert program in ("pip", "python") or f"\n{program} = " in project
    assert (ROOT / "constraints.txt").is_file()


def test_links_lead_somewhere():
    links = re.findall(r"\]\(([^)#]+)\)", README)
    assert len(links) > 5
    missing = [link for link in links if "://" not in link and not (ROOT / link).exists()]
    assert missing == []
