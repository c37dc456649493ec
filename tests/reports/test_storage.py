"""Folders of results: nothing of others is replaced, no two runs are mixed, nothing hidden stays behind."""

from __future__ import annotations

import errno
import json
import os
import threading
import time
from contextlib import contextmanager
from pathlib import Path

import pytest
from support import PATIENCE_S, STUDY, changed

import cevnslab as cl
from cevnslab.errors import CevnslabError, InputFileError, OutputError, StorageError
from cevnslab.parallel.tasks import run_tasks
from cevnslab.reports import locks, storage
from cevnslab.reports.exports import export
from cevnslab.reports.files import load_result, redraw, save
from cevnslab.reports.html import write_report

PLAIN = {**STUDY, "figures": []}
FELDMAN_COUSINS = {
    **changed({"couplings": ["q_ee"], "detectors.0.bins": 4}),
    "intervals": {"method": "feldman-cousins", "toys": 100, "seed": 1},
    "figures": [],
}


def tree(folder):
    """Every entry below a folder: its kind, and the content of files."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        if path.is_file() and not path.is_fifo()
        else path.is_dir()
        for path in folder.rglob("*")
    }


@pytest.fixture(scope="module")
def result():
    return cl.study_from_dict(STUDY).run()


# What is not ours is not replaced.


def _link(place):
    place.symlink_to(place.parent / "elsewhere")
    (place.parent / "elsewhere").write_text("precious", encoding="utf-8")


def _link_to_nothing(place):
    place.symlink_to(place.parent / "nowhere")


@pytest.mark.parametrize("kind", [Path.mkdir, os.mkfifo, _link, _link_to_nothing], ids=lambda kind: kind.__name__)
@pytest.mark.parametrize("name", ["limits.csv", "result.json", "provenance.json"])
def test_a_run_replaces_regular_files_alone(name, kind, command, write_study, tmp_path):
    folder = tmp_path / "out" / "my-study"
    folder.mkdir(parents=True)
    kind(folder / name)
    before = tree(tmp_path / "out")
    ran = command("run", write_study(PLAIN), "-o", tmp_path / "out")
    assert (ran.status, ran.out) == (2, "")
    assert len(ran.err.splitlines()) == 1
    assert f"{name}: there is something that is no regular file" in ran.err
    assert tree(tmp_path / "out") == before


@pytest.mark.parametrize("kind", [Path.touch, _link_to_nothing], ids=lambda kind: kind.__name__)
def test_figures_must_be_a_folder(kind, command, write_study, tmp_path):
    """Nothing is written beside it, and nothing through a link."""
    folder = tmp_path / "out" / "my-study"
    folder.mkdir(parents=True)
    kind(folder / "figures")
    ran = command("run", write_study(STUDY), "-o", tmp_path / "out")
    assert (ran.status, ran.out) == (2, "")
    assert "no folder" in ran.err
    assert [path.name for path in folder.iterdir()] == ["figures"]


@pytest.mark.parametrize("output", ["x" * 300, "-", "study.yaml"])
def test_an_output_that_is_none(output, command, write_study, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    ran = command("run", write_study(PLAIN), "-o", output)
    assert (ran.status, ran.out) == (2, "")
    assert len(ran.err.splitlines()) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["study.yaml"]


def test_an_export_goes_where_it_may(command, write_study, tmp_path):
    study = write_study(STUDY)
    text = command("export", study, "--format", "bibtex").out
    assert command("export", study, "--format", "bibtex", "-o", "-").out == text
    # A file of ours is replaced, through a link too; any other is not.
    path, link = tmp_path / "cite.bib", tmp_path / "link.bib"
    link.symlink_to(path)
    for place in (path, path, link):
        assert command("export", study, "--format", "bibtex", "-o", place).out == f"{place}\n"
    assert link.is_symlink()
    assert path.read_text(encoding="utf-8").endswith(text)
    for form in ("bibtex", "pyhf"):
        ran = command("export", study, "--format", form, "-o", study)
        assert (ran.status, ran.out) == (2, "")
        assert "it is not replaced" in ran.err
    assert cl.load_study(study).name == "my-study"
    assert command("export", study, "--format", "bibtex", "-o", tmp_path).status == 2
    assert [path.name for path in tmp_path.glob(".*")] == []


def test_an_export_into_a_pipe(command, write_study, tmp_path):
    pipe, read = tmp_path / "pipe", []
    os.mkfifo(pipe)
    reader = threading.Thread(target=lambda: read.append(pipe.read_text(encoding="utf-8")))
    reader.start()
    assert command("export", write_study(STUDY), "--format", "pyhf", "-o", pipe).status == 0
    reader.join(timeout=PATIENCE_S)
    assert pipe.is_fifo()
    assert json.loads(read[0])["channels"]


# No two runs are mixed.


def test_a_run_of_other_keys_says_what_it_replaces(command, write_study, tmp_path):
    out = tmp_path / "out"
    assert command("run", write_study(PLAIN), "-o", out).err == ""
    assert command("run", write_study({**PLAIN, "title": "the same"}), "-o", out).err == ""
    other = write_study({**PLAIN, "exposure_years": 1, "profiles": [{"coupling": "q_ee", "from": 0, "to": 1e-8}]})
    ran = command("run", other, "-o", out)
    assert ran.status == 0
    assert "are of other keys or files; this run replaces them" in ran.err
    assert (out / "my-study" / "profiles.csv").exists()
    command("run", write_study(PLAIN), "-o", out)
    assert not (out / "my-study" / "profiles.csv").exists()


def test_a_kill_between_two_renames_leaves_files_of_one_run(result, tmp_path, monkeypatch):
    """Whatever was renamed, the folder holds files of the new run alone, and no result.json unless all are there."""
    earlier = cl.study_from_dict(changed({"exposure_years": 1, "couplings": ["q_ee"]})).run()
    whole = tree(result.save(tmp_path / "whole"))
    real, calls = os.replace, 0

    class KilledError(BaseException):
        pass

    for limit in range(1, 12):
        folder = save(earlier, tmp_path / f"{limit}")
        calls = 0

        def replace(source, place, limit=limit):
            nonlocal calls
            calls += 1
            if calls == limit:
                raise KilledError
            real(source, place)

        with monkeypatch.context() as patch:
            patch.setattr(storage.os, "replace", replace)
            try:
                save(result, tmp_path / f"{limit}")
            except KilledError:
                pass
            else:
                break
        values = {name: text for name, text in tree(folder).items() if name != "provenance.json" and text is not True}
        assert all(values[name] == whole[name] for name in values), limit
        if "result.json" in values:
            assert load_result(folder).limits == result.limits
    assert limit > 5


def test_one_writer_at_a_time(tmp_path, capsys):
    events = []

    def second():
        with locks.locked(tmp_path):
            events.append("second")

    with locks.locked(tmp_path):
        other = threading.Thread(target=second)
        other.start()
        end, printed = time.monotonic() + PATIENCE_S, ""
        while "waiting for another command" not in printed and time.monotonic() < end:
            printed += capsys.readouterr().err
            time.sleep(0.01)
        events.append("first")
    other.join(timeout=PATIENCE_S)
    assert "waiting for another command" in printed
    assert events == ["first", "second"]


# What an older, foreign or damaged result holds.


def _with(path, change):
    content = json.loads(path.read_text(encoding="utf-8"))
    change(content)
    path.write_text(json.dumps(content), encoding="utf-8")


def _unchecked(folder):
    """As a version without checksums wrote it, or a stranger."""
    _with(folder / "provenance.json", lambda content: (content.pop("files"), content.pop("figures")))


def _figure_elsewhere(folder):
    _unchecked(folder)
    figure = {"name": "../../../victim", "panels": [{"limits": "q_ee"}]}
    _with(folder / "result.json", lambda content: content["study"].update(figures=[figure]))


def _scan_elsewhere(folder):
    _unchecked(folder)

    def change(content):
        limit = content["limits"][0]
        content["scans"] = [{"scan": "/../../../victim", "key": "k", "value": 1.0, "limit": limit}]

    _with(folder / "result.json", change)


def _figures_elsewhere_in_provenance(folder):
    _with(folder / "provenance.json", lambda content: content.update(figures=["../../../victim.pdf", 3, "../x.png"]))
    _with(folder / "result.json", lambda content: None)


def _name_elsewhere(folder):
    _unchecked(folder)
    _with(folder / "result.json", lambda content: content.update(name="../../victim"))


def _deep(folder):
    _unchecked(folder)
    (folder / "result.json").write_text("[" * 100_000 + "]" * 100_000, encoding="utf-8")


def _list_of_spectra(folder):
    _unchecked(folder)
    _with(folder / "result.json", lambda content: content.update(spectra=[[1, 2], [3, 4]]))


def _one_flipped_bit(folder):
    text = bytearray((folder / "result.json").read_bytes())
    place = text.index(b'"limits"') + 200
    while not chr(text[place]).isdigit():
        place += 1
    text[place] ^= 1
    (folder / "result.json").write_bytes(text)


def _no_detectors(folder):
    _unchecked(folder)
    _with(folder / "result.json", lambda content: content.update(detectors={}, couplings={}))


def _words_for_numbers(folder):
    _unchecked(folder)
    _with(folder / "result.json", lambda content: content["limits"][0].update(confidence_level="high"))


def _cut(folder):
    text = (folder / "result.json").read_bytes()
    (folder / "result.json").write_bytes(text[: len(text) // 2])


DAMAGES = [
    _figure_elsewhere,
    _scan_elsewhere,
    _figures_elsewhere_in_provenance,
    _name_elsewhere,
    _deep,
    _list_of_spectra,
    _one_flipped_bit,
    _no_detectors,
    _words_for_numbers,
    _cut,
]


@pytest.mark.parametrize("damage", DAMAGES, ids=lambda damage: damage.__name__.strip("_"))
def test_a_damaged_result_is_one_message_and_no_obstacle(damage, result, command, write_study, tmp_path):
    folder = result.save(tmp_path / "a" / "b")
    victims = [tmp_path / "victim.pdf", tmp_path / "a" / "victim.pdf", tmp_path / "a" / "b" / "x.png"]
    for victim in victims:
        victim.write_text("precious", encoding="utf-8")
    damage(folder)
    before = tree(tmp_path)
    for arguments in (
        ["figures", folder],
        ["report", folder],
        *(["export", folder, "--format", form] for form in ("hepdata", "pyhf", "bibtex")),
    ):
        ran = command(*arguments)
        # What an export does not look at may be as it will, and a drawing that fails is a FigureError.
        assert ran.status == 2 or damage is _no_detectors, (arguments, ran.err)
        if ran.status:
            assert (ran.out, len(ran.err.splitlines())) == ("", 1)
            assert "Traceback" not in ran.err
    assert {name: text for name, text in tree(tmp_path).items() if "hepdata" not in name} == before
    ran = command("run", write_study(STUDY), "-o", tmp_path / "a" / "b")
    assert ran.status == 0
    assert load_result(folder).limits == result.limits
    assert [victim.read_text(encoding="utf-8") for victim in victims] == ["precious"] * 3


def test_the_python_functions_raise_our_errors(result, tmp_path):
    folder = result.save(tmp_path)
    _list_of_spectra(folder)
    for function in (load_result, redraw, write_report, lambda place: export(str(place), "hepdata", None)):
        with pytest.raises(InputFileError, match=r"result\.json"):
            function(folder)


def test_a_spoilt_coverage_study_is_replaced(command, write_study, tmp_path):
    (tmp_path / "my-study").mkdir()
    (tmp_path / "my-study" / "coverage.json").write_text('{"points": [1]}', encoding="utf-8")
    more = ["--detector", "my-ge", "--coupling", "q_ee", "--at", 0, "--toys", 100]
    ran = command("coverage", write_study(STUDY), *more, "-o", tmp_path)
    assert ran.status == 0
    assert "it is replaced" in ran.err
    assert command("coverage", write_study(STUDY), *more, "-o", tmp_path).err == ""


# Nothing hidden stays behind, and foreign `.blocks` stop no run.


def hidden(folder):
    return [path.name for path in folder.rglob(".*")]


@pytest.mark.parametrize("kind", [Path.touch, _link, _link_to_nothing], ids=lambda kind: kind.__name__)
def test_foreign_blocks_stop_no_run(kind, command, write_study, tmp_path):
    folder = tmp_path / "my-study"
    folder.mkdir()
    kind(folder / ".blocks")
    before = tree(folder)
    ran = command("run", write_study(FELDMAN_COUSINS), "-o", tmp_path)
    assert ran.status == 0
    assert "finished blocks are not kept" in ran.err
    assert {name: tree(folder)[name] for name in before} == before


def test_what_killed_runs_left_goes(command, write_study, tmp_path):
    folder = tmp_path / "my-study"
    for left in (folder / ".writing-dead", folder / ".blocks" / "run-0000000000000000"):
        left.mkdir(parents=True)
        (left / "file").touch()
    with locks.marked(folder / ".writing-dead"):
        ran = command("run", write_study(FELDMAN_COUSINS), "-o", tmp_path)
        assert ran.status == 0
        assert "blocks of a run of other keys that did not end" in ran.err
        assert hidden(tmp_path) == [".writing-dead"], "what is in use stays"
    ran = command("run", write_study(FELDMAN_COUSINS), "-o", tmp_path)
    assert (ran.status, ran.err) == (0, "")
    assert hidden(tmp_path) == []


class _Task:
    blocks = 1

    def digest(self):
        return "task"

    def run(self, block):
        return {}


@contextmanager
def _folder(tmp_path):
    with storage.result_folder(tmp_path, "name", "task", (), command="run", alone=True) as store:
        run_tasks([_Task()], store)
        yield


@pytest.mark.parametrize(
    ("fault", "stored"), [(InputFileError("x"), False), (StorageError("x"), True), (KeyboardInterrupt(), True)]
)
def test_blocks_stay_where_they_can_be_of_use(fault, stored, tmp_path):
    with pytest.raises(type(fault)), _folder(tmp_path):
        raise fault
    assert bool(list(tmp_path.rglob("*.block"))) == stored
    with _folder(tmp_path):
        pass
    assert not list(tmp_path.rglob("*.block"))


def test_errors_of_the_system_are_told_apart():
    assert storage.output_error("x", OSError(errno.ENOSPC, "full")).exit_status == 1
    assert storage.output_error("x", OSError(errno.EACCES, "no")).exit_status == 2
    with pytest.raises(StorageError), storage.system_errors("x"):
        raise OSError(errno.EIO, "broken")
    assert issubclass(OutputError, CevnslabError)


def test_figures_in_another_format_belong_to_the_result(tmp_path):
    study = cl.study_from_dict(changed({"figures": [{"name": "f", "panels": [{"limits": "q_ee"}]}]}))
    folder = study.run().save(tmp_path)
    style = tmp_path / "vector.mplstyle"
    style.write_text("savefig.format: svg\n", encoding="utf-8")
    before = json.loads((folder / "provenance.json").read_text(encoding="utf-8"))
    assert {path.name for path in redraw(folder, style)} == {"f.pdf", "f.png", "f.svg"}
    after = json.loads((folder / "provenance.json").read_text(encoding="utf-8"))
    assert after == {**before, "figures": ["f.pdf", "f.png", "f.svg"]}
    assert load_result(folder).name == study.name
    study.run().save(tmp_path)  # which replaces the files of the result that stands there
    assert {path.name for path in (folder / "figures").iterdir()} == {"f.pdf", "f.png"}
