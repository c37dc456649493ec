"""How a command ends: standard streams that are closed, full, or in a narrow encoding; signals; in processes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml
from support import PATIENCE_S, STUDY, changed

SLOW = {
    **changed({"couplings": ["q_ee"]}),
    "intervals": {"method": "feldman-cousins", "toys": 400_000, "seed": 1},
}
pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="streams and signals as POSIX has them")


def shell(line, **options):
    """Run a line of the shell in which $COMMAND is ours, its streams buffered as they usually are."""
    variables = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    environment = {**variables, "COMMAND": f"{sys.executable} -m cevnslab", **options.pop("env", {})}
    return subprocess.run(
        ["bash", "-c", line],
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE_S,
        env=environment,
        **options,
    )


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    path = tmp_path_factory.mktemp("study") / "study.yaml"
    path.write_text(yaml.safe_dump({**STUDY, "figures": []}), encoding="utf-8")
    return path


FULL = "No space left on device"


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("$COMMAND run {study} -o {out} > /dev/full", FULL),
        ("$COMMAND run {study} -o {out} >&-", "standard output is closed"),
        ("$COMMAND --version > /dev/full", FULL),
        ("$COMMAND --help > /dev/full", FULL),
        ("$COMMAND schema > /dev/full", FULL),
        ("$COMMAND export {study} --format bibtex -o /dev/full", FULL),
        ("set -o pipefail; $COMMAND schema | true", "nobody reads it any more"),
    ],
)
@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
def test_output_that_is_closed_or_full_is_status_1(line, message, study, tmp_path):
    ran = shell(line.format(study=study, out=tmp_path))
    assert ran.returncode == 1
    assert ran.stdout == ""
    (line_of_error,) = ran.stderr.splitlines()
    assert line_of_error.startswith("cevnslab: ")
    assert message in line_of_error
    if " run " in line:
        assert (tmp_path / "my-study" / "result.json").exists()


def test_without_any_stream_no_file_takes_their_place(study, tmp_path):
    """Closed streams leave their numbers to the next files: what is printed must not land in those."""
    assert shell(f"$COMMAND run {study} -o {tmp_path / 'one'} <&- >&- 2>&-").returncode == 1
    assert shell(f"$COMMAND run {study} -o {tmp_path / 'two'}").returncode == 0
    names = [path.relative_to(tmp_path / "two") for path in (tmp_path / "two").rglob("*") if path.is_file()]
    for name in names:
        one, two = (tmp_path / each / name for each in ("one", "two"))
        assert name.name == "provenance.json" or one.read_bytes() == two.read_bytes(), name
    assert shell("$COMMAND nonsense 2> /dev/full").returncode == 2


@pytest.mark.parametrize("home", ["HOME=/dev/null", "HOME=/dev/null/nobody"])
def test_a_home_that_cannot_be_written_to_is_not_spoken_of(home, study, tmp_path):
    """matplotlib says two long lines, and its folder stays behind where the process that draws is ended."""
    temporary, out = tmp_path / "temporary", tmp_path / "out"
    temporary.mkdir()
    here = f"env -u MPLCONFIGDIR -u XDG_CONFIG_HOME -u XDG_CACHE_HOME {home} TMPDIR={temporary} $COMMAND"
    ran = shell(f"{here} run {study} -o {out} && {here} figures {out}/my-study")
    assert (ran.returncode, ran.stderr) == (0, "")
    assert not list(temporary.iterdir())


@pytest.mark.parametrize("encoding", ["latin-1", "cp1252", "ascii", "utf-8"])
def test_any_encoding_will_do(encoding, tmp_path):
    keys = {**changed({"detectors.0.label": "Γερμάνιο ² Σ"}), "title": "Θ ≤ 1"}
    path = tmp_path / "study.yaml"
    path.write_text(yaml.safe_dump(keys, allow_unicode=True), encoding="utf-8")
    for command in ("check", "run"):
        line = f"$COMMAND {command} {path} " + (f"-o {tmp_path}" if command == "run" else "")
        ran = shell(line, env={"PYTHONIOENCODING": encoding}, encoding=encoding)
        assert (ran.returncode, ran.stderr) == (0, "")
        assert "my-ge" in ran.stdout
    ran = shell(f"$COMMAND run {tmp_path}/κακό.yaml", env={"PYTHONIOENCODING": encoding}, encoding=encoding)
    assert ran.returncode == 2
    assert "Traceback" not in ran.stderr


def children(parent_id):
    """Process numbers of all descendants."""
    rows = subprocess.run(["ps", "-eo", "pid,ppid"], capture_output=True, text=True, check=True).stdout.split()[2:]
    pairs = [(int(pid), int(parent)) for pid, parent in zip(rows[::2], rows[1::2], strict=True)]
    processes, unseen = [], [parent_id]
    while unseen:
        parent = unseen.pop()
        below = [pid for pid, other in pairs if other == parent]
        processes += below
        unseen += below
    return processes


def begun(tmp_path, *options):
    """A long run that has kept its first block, in a process group of its own."""
    path = tmp_path / "slow.yaml"
    path.write_text(yaml.safe_dump(SLOW), encoding="utf-8")
    arguments = [sys.executable, "-m", "cevnslab", "run", str(path), "-o", str(tmp_path / "out"), *options]
    run = subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True)
    deadline = time.monotonic() + PATIENCE_S
    while not list((tmp_path / "out").glob("*/.blocks/*/*.block")):
        assert run.poll() is None, run.communicate()[1]
        assert time.monotonic() < deadline
        time.sleep(0.02)
    return run


@pytest.mark.parametrize("options", [(), ("--workers", "2")], ids=["alone", "workers"])
@pytest.mark.parametrize(
    ("number", "status", "message"), [(signal.SIGINT, 130, "interrupted"), (signal.SIGTERM, 143, "terminated")]
)
def test_a_signal_is_one_line_and_leaves_no_process(number, status, message, options, tmp_path):
    run = begun(tmp_path, *options)
    helpers = children(run.pid)
    assert helpers
    os.killpg(run.pid, number)
    out, err = run.communicate(timeout=PATIENCE_S)
    assert (run.returncode, out, err) == (status, "", f"cevnslab: {message}\n")
    deadline = time.monotonic() + PATIENCE_S
    while any(Path(f"/proc/{pid}").exists() for pid in helpers) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not [pid for pid in helpers if Path(f"/proc/{pid}").exists()]
    # What was finished stays for the next run, and nothing else.
    left = [path for path in (tmp_path / "out").rglob("*") if path.is_file()]
    assert left
    assert {path.suffix for path in left} == {".block"}


def test_a_full_disk_while_blocks_are_kept(tmp_path, monkeypatch, command, write_study):
    """The run ends at once with status 1: what was kept is kept."""
    from cevnslab.parallel import store

    def full(*_):
        raise OSError(28, FULL)

    monkeypatch.setattr(store.os, "replace", full)
    ran = command("run", write_study(SLOW), "-o", tmp_path / "out")
    assert (ran.status, ran.out) == (1, "")
    assert FULL in ran.err
    assert len(ran.err.splitlines()) == 1
