"""Where the data come from, and one message that names the file for everything that can be wrong with them."""

from __future__ import annotations

import http.server
import socket
import sys
import threading
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

import pooch
import pytest
from synthetic import write_release

from cevnslab.errors import DownloadError, InputFileError, MissingExtraError, UnknownNameError
from cevnslab.experiments.files import DATASETS, data_folder


@dataclass
class Release:
    """A synthetic release: the folder that holds both data sets, and the registry that recognises them."""

    root: Path
    registry: dict

    def folder(self, name, directory=None):
        return data_folder(name, directory, datasets=self.registry)


@dataclass
class Server:
    """A web server on this computer that sends the files of a folder."""

    url: str
    root: Path
    asked: list = field(default_factory=list)


@pytest.fixture(autouse=True)
def cache(monkeypatch, tmp_path):
    """No data folder in the environment, a cache of the test's own, no proxy between a test and its server."""
    for name in ("CEVNSLAB_DATA", "http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(pooch, "os_cache", lambda project: tmp_path / "cache" / project)
    return tmp_path / "cache" / "cevnslab"


@pytest.fixture
def release(tmp_path):
    return Release(tmp_path / "copy", write_release(tmp_path / "copy"))


@pytest.fixture
def server(tmp_path):
    root = tmp_path / "server"
    root.mkdir()
    asked = []

    class Handler(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_):
            asked.append(self.path)

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=root)) as listening:
        thread = threading.Thread(target=listening.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield Server(f"http://127.0.0.1:{listening.server_port}", root, asked)
        listening.shutdown()
        thread.join()


@pytest.fixture
def online(server):
    """A release that can be downloaded."""
    return Release(server.root, write_release(server.root, server.url))


def refused(kind, release, name, directory=None):
    """The one message with which a data set is refused."""
    with pytest.raises(kind) as fault:
        release.folder(name, directory)
    message = str(fault.value)
    assert "\n" not in message
    return message


def all_in(message, *words):
    assert all(str(word) in message for word in words), message
    return True


# what the package knows ----------------------------------------------------------------------------------------------


def test_the_packaged_list():
    assert set(DATASETS) == {"csi-2021", "lar-2020"}
    assert len(DATASETS) == 2
    assert {name: len(dataset.files) for name, dataset in DATASETS.items()} == {"csi-2021": 8, "lar-2020": 14}
    for name, dataset in DATASETS.items():
        assert dataset.name == name
        assert dataset.url.startswith("https://")
        assert dataset.url.endswith("/")
        for file in dataset.files:
            assert (file.sha256 is None) != (file.events is None)
            assert file.sha256 is None or len(bytes.fromhex(file.sha256)) == 32
    assert {file.name: file.events for file in DATASETS["csi-2021"].files if file.events} == {
        "dataBeamOnC.txt": 1578,
        "dataBeamOnAC.txt": 1295,
    }


def test_a_name_with_a_plus_keeps_it_in_the_address():
    dataset = DATASETS["lar-2020"]
    urls = [dataset.url_of(file) for file in dataset.files]
    assert "https://zenodo.org/records/3903810/files/cevnspdf%2B1sigF90.txt" in urls


def test_an_unknown_data_set(release):
    assert all_in(refused(UnknownNameError, release, "csi-2017", release.root), "csi-2017", "csi-2021", "lar-2020")


# a folder that the user named ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["csi-2021", "lar-2020"])
def test_a_given_folder(name, release):
    assert release.folder(name, release.root) == release.root / name


def test_the_environment_names_the_folder(release, monkeypatch):
    monkeypatch.setenv("CEVNSLAB_DATA", str(release.root))
    assert release.folder("lar-2020") == release.root / "lar-2020"


def test_the_option_comes_before_the_environment(release, monkeypatch, tmp_path):
    monkeypatch.setenv("CEVNSLAB_DATA", str(tmp_path / "nowhere"))
    assert release.folder("lar-2020", release.root) == release.root / "lar-2020"
    assert all_in(refused(InputFileError, release, "lar-2020"), tmp_path / "nowhere" / "lar-2020", "CEVNSLAB_DATA")
    monkeypatch.setenv("CEVNSLAB_DATA", str(release.root))
    assert "nowhere" in refused(InputFileError, release, "lar-2020", tmp_path / "nowhere")


def test_relative_folders_and_the_home_folder(release, monkeypatch):
    monkeypatch.chdir(release.root.parent)
    assert release.folder("csi-2021", Path(release.root.name)) == release.root / "csi-2021"
    monkeypatch.setenv("HOME", str(release.root))
    monkeypatch.setenv("USERPROFILE", str(release.root))
    monkeypatch.setenv("CEVNSLAB_DATA", "~")
    assert release.folder("csi-2021") == release.root / "csi-2021"


def test_nothing_is_downloaded_where_a_folder_is_given(online, server, cache, monkeypatch, tmp_path):
    assert online.folder("csi-2021", online.root)
    (online.root / "csi-2021" / "ninPE.txt").unlink()
    refused(InputFileError, online, "csi-2021", online.root)
    refused(InputFileError, online, "csi-2021", tmp_path / "nowhere")
    monkeypatch.setenv("CEVNSLAB_DATA", str(tmp_path / "nowhere"))
    refused(InputFileError, online, "csi-2021")
    assert server.asked == []
    assert not cache.exists()


def test_a_given_folder_needs_no_pooch(release, monkeypatch):
    monkeypatch.setitem(sys.modules, "pooch", None)
    assert release.folder("csi-2021", release.root)


def test_a_missing_folder(release, tmp_path):
    empty = tmp_path / "empty"
    message = refused(InputFileError, release, "csi-2021", empty)
    assert all_in(message, empty / "csi-2021", "cannot be found", "--data", "arXiv:2110.07730")
    empty.mkdir()
    (empty / "csi-2021").write_text("in the way", encoding="utf-8")
    assert "is no folder" in refused(InputFileError, release, "csi-2021", empty)


def test_a_release_is_found_below_the_folder(release, tmp_path):
    assert release.folder("lar-2020", tmp_path) == release.root / "lar-2020"


def test_the_former_variable_is_refused_by_name(release, monkeypatch):
    monkeypatch.setenv("NURECOIL_DATA", str(release.root))
    assert all_in(refused(InputFileError, release, "csi-2021"), "NURECOIL_DATA", "CEVNSLAB_DATA")


@pytest.mark.parametrize(("name", "file"), [("csi-2021", "dataBeamOnC.txt"), ("lar-2020", "brnpdf.txt")])
def test_a_missing_file(name, file, release):
    path = release.root / name / file
    path.unlink()
    url = release.registry[name].url
    assert all_in(refused(InputFileError, release, name, release.root), path, "cannot be found", "fetch", url + file)


@pytest.mark.parametrize(("name", "file"), [("csi-2021", "dataBeamOnC.txt"), ("lar-2020", "brnpdf.txt")])
def test_a_file_that_cannot_be_read(name, file, release):
    path = release.root / name / file
    path.unlink()
    path.mkdir()
    assert all_in(refused(InputFileError, release, name, release.root), "cannot read", path)


@pytest.mark.parametrize(
    "change",
    [lambda old: old[:-1], lambda old: old.replace(b"1", b"2", 1), lambda old: b"", lambda old: old + b"\n"],
    ids=["cut short", "changed", "empty", "longer"],
)
def test_a_changed_file(change, release):
    path = release.root / "csi-2021" / "ninTrec.txt"
    path.write_bytes(change(path.read_bytes()))
    expected = next(file.sha256 for file in release.registry["csi-2021"].files if file.name == path.name)
    message = refused(InputFileError, release, "csi-2021", release.root)
    assert all_in(message, path, "is not the published file", "sha256", expected[:12], "fetch it again", "arXiv")


def edited(path, edit):
    lines = path.read_text(encoding="utf-8").splitlines()
    edit(lines)
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def test_event_lists_are_recognised_by_content(release):
    """Events outside the region of the fit, and comments, may be there or not: copies differ in them."""
    path = release.root / "csi-2021" / "dataBeamOnAC.txt"
    edited(path, lambda lines: lines.extend(["30.5 12.5", "250 0.5", "60 3", "# end", "59.9 6"]))
    assert release.folder("csi-2021", release.root)


@pytest.mark.parametrize("file", ["dataBeamOnC.txt", "dataBeamOnAC.txt"])
def test_event_lists_that_are_cut_short(file, release):
    path = release.root / "csi-2021" / file
    expected = next(entry.events for entry in release.registry["csi-2021"].files if entry.name == file)
    edited(path, lambda lines: lines.append("59.9 5.9"))
    message = refused(InputFileError, release, "csi-2021", release.root)
    assert all_in(message, path, f"{expected + 1} events with PE < 60 and t < 6 us", f"the release {expected}", "again")
    edited(path, lambda lines: lines.__delitem__(slice(5, None)))
    assert all_in(refused(InputFileError, release, "csi-2021", release.root), path, f"the release {expected}")


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("250.1 3", ["line 3", "from 0 to 250 PE"]),
        ("30 12.6", ["line 3", "from 0 to 12.5 us"]),
        ("30 -0.1", ["line 3", "from 0 to 12.5 us"]),
        ("30", ["line 3", "2 columns"]),
        ("30 x", ["line 3", "2 numbers"]),
        ("30 nan", ["line 3", "finite"]),
    ],
)
def test_event_lists_with_a_wrong_line(line, words, release):
    path = release.root / "csi-2021" / "dataBeamOnC.txt"
    edited(path, lambda lines: lines.insert(2, line))
    assert all_in(refused(InputFileError, release, "csi-2021", release.root), path, *words, "arXiv:2110.07730")


# downloads -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["csi-2021", "lar-2020"])
def test_a_download(name, online, server, cache, capfd):
    assert online.folder(name) == cache / name
    expected = sorted(file.name for file in online.registry[name].files)
    assert sorted(path.name for path in (cache / name).iterdir()) == expected
    assert len(server.asked) == len(expected)
    for file in expected:
        assert (cache / name / file).read_bytes() == (server.root / name / file).read_bytes()
    assert online.folder(name) == cache / name
    assert len(server.asked) == len(expected), "nothing is downloaded twice"
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("file", ["dataBeamOnC.txt", "ninPE.txt"])
def test_a_damaged_copy_in_the_cache_is_downloaded_again(file, online, server, cache):
    whole = online.folder("csi-2021") / file
    content = whole.read_bytes()
    whole.write_bytes(content[:100])
    asked = len(server.asked)
    online.folder("csi-2021")
    assert whole.read_bytes() == content
    assert server.asked[asked:] == [f"/csi-2021/{file}"]


def test_an_empty_variable_is_none(online, cache, monkeypatch):
    monkeypatch.setenv("CEVNSLAB_DATA", "")
    assert online.folder("csi-2021") == cache / "csi-2021"


@pytest.mark.parametrize("file", ["dataBeamOnC.txt", "effCoefficients.txt"])
def test_a_download_of_something_else(file, online, server, cache):
    """Also of the lists without checksum nothing is left that looks whole."""
    path = server.root / "csi-2021" / file
    path.write_bytes(path.read_bytes()[:200])
    message = refused(DownloadError, online, "csi-2021")
    assert all_in(message, f"{server.url}/csi-2021/{file}", "not the published", "--data DIR", "CEVNSLAB_DATA")
    assert not (cache / "csi-2021" / file).exists()
    assert not list((cache / "csi-2021").glob(".*"))
    assert DownloadError.exit_status == 1


def test_a_page_that_is_not_there(online, server, cache):
    (server.root / "csi-2021" / "ninPE.txt").unlink()
    message = refused(DownloadError, online, "csi-2021")
    assert all_in(message, f"{server.url}/csi-2021/ninPE.txt", "404", "--data DIR", "CEVNSLAB_DATA")
    assert not (cache / "csi-2021" / "ninPE.txt").exists()


def test_a_connection_that_breaks_off(release, cache):
    """A server that promises more than it sends, for a list of events, which has no checksum."""
    content = (release.root / "csi-2021" / "dataBeamOnC.txt").read_bytes()
    only = tuple(file for file in release.registry["csi-2021"].files if file.name == "dataBeamOnC.txt")
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def answer():
            connection, _ = listening.accept()
            with connection:
                connection.recv(65536)
                connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(content) + content[:300])

        thread = threading.Thread(target=answer)
        thread.start()
        url = f"http://127.0.0.1:{listening.getsockname()[1]}/"
        release.registry["csi-2021"] = replace(release.registry["csi-2021"], url=url, files=only)
        message = refused(DownloadError, release, "csi-2021")
        thread.join()
    assert all_in(message, url + "dataBeamOnC.txt", "CEVNSLAB_DATA")
    assert list((cache / "csi-2021").iterdir()) == []


def test_a_dead_port(release):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    dataset = replace(release.registry["csi-2021"], url=f"http://127.0.0.1:{port}/")
    release.registry["csi-2021"] = dataset
    message = refused(DownloadError, release, "csi-2021")
    assert all_in(message, f"http://127.0.0.1:{port}/brnPE.txt", "no connection", "--data DIR", "CEVNSLAB_DATA")


def test_a_cache_that_cannot_be_written(online, cache):
    cache.parent.mkdir()
    cache.write_text("in the way", encoding="utf-8")
    assert all_in(refused(DownloadError, online, "csi-2021"), cache / "csi-2021", "--data DIR", "CEVNSLAB_DATA")


def test_without_pooch(online, server, monkeypatch):
    monkeypatch.setitem(sys.modules, "pooch", None)
    message = refused(MissingExtraError, online, "csi-2021")
    assert all_in(message, "csi-2021", "--data DIR", "CEVNSLAB_DATA", "pip install 'cevnslab[data]'")
    assert server.asked == []


def test_a_bar_on_a_terminal(online, monkeypatch):
    """The bar counts files, and is as long as what is missing."""
    told = []

    class Bar:
        def __init__(self, what, total, *, always=False):
            told.append((what, total))

        def __enter__(self):
            return told.append

        def __exit__(self, *_):
            return None

    monkeypatch.setattr("cevnslab.experiments.files.progress_bar", Bar)
    (online.folder("csi-2021") / "brnPE.txt").unlink()
    online.folder("csi-2021")
    assert told == [("downloading csi-2021", 8), *[1] * 8, ("downloading csi-2021", 1), 1]
