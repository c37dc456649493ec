"""Where the data come from, and one message that names the file for everything that can be wrong with them."""

from __future__ import annotations

import http.server
import socket
import sys
import threading
import time
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import pooch
import pytest
from synthetic import write_release

from cevnslab.datasets.files import locate
from cevnslab.datasets.registry import built_in, dataset
from cevnslab.datasets.release import release_of
from cevnslab.errors import DownloadError, InputFileError, MissingExtraError, UnknownNameError


@dataclass
class Release:
    """Synthetic releases: the folder that holds the files of both, and what recognises them, by data set."""

    root: Path
    releases: dict

    def locate(self, name, directory=None):
        return locate(self.releases[name], directory)

    def folder(self, name, directory=None):
        """The one folder in which all files lie under their own names."""
        paths = self.locate(name, directory)
        assert list(paths) == list(self.releases[name].files)
        assert all(path.name == file for file, path in paths.items())
        (folder,) = {path.parent for path in paths.values()}
        return folder


@dataclass
class Server:
    """A web server on this computer that sends the files of a folder."""

    url: str
    root: Path
    requests: list = field(default_factory=list)


CSI, LAR = "coherent-csi-2021", "coherent-lar-2020"


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
    request = []

    class Handler(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_):
            request.append(self.path)

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=root)) as listening:
        thread = threading.Thread(target=listening.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield Server(f"http://127.0.0.1:{listening.server_port}", root, request)
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


def test_the_built_in_releases():
    assert {name: len(built_in()[name].release.files) for name in (CSI, LAR)} == {CSI: 8, LAR: 14}
    for name, folder in built_in().items():
        assert folder.release.name == name
        assert folder.release.url.startswith("https://")
        assert folder.release.licence
    lists = [name for name, file in built_in()[CSI].release.files.items() if file.events is not None]
    assert lists == ["dataBeamOnAC.txt", "dataBeamOnC.txt"]


def test_a_name_with_a_plus_keeps_it_in_the_address():
    url = "https://zenodo.org/records/3903810/files/cevnspdf%2B1sigF90.txt"
    assert dataset(LAR).release.url_of("cevnspdf+1sigF90.txt") == url


def test_an_unknown_data_set():
    with pytest.raises(UnknownNameError, match=r"coherent-csi-2017.*coherent-csi-2021"):
        dataset("coherent-csi-2017")


def test_a_file_without_a_way_to_know_it():
    content = {"source": "x", "licence": "x", "url": "https://x/", "files": {"a.txt": {"bytes": 3}}}
    with pytest.raises(InputFileError, match=r"here: files\.a\.txt: .*bytes and sha256, or events"):
        release_of("toy", content, "here")


# a folder that the user named ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [CSI, LAR])
def test_a_given_folder(name, release):
    assert release.folder(name, release.root) == release.root / name


def test_the_environment_names_the_folder(release, monkeypatch):
    monkeypatch.setenv("CEVNSLAB_DATA", str(release.root))
    assert release.folder(LAR) == release.root / LAR


def test_the_option_comes_before_the_environment(release, monkeypatch, tmp_path):
    monkeypatch.setenv("CEVNSLAB_DATA", str(tmp_path / "nowhere"))
    assert release.folder(LAR, release.root) == release.root / LAR
    assert all_in(refused(InputFileError, release, LAR), tmp_path / "nowhere", "cannot be found", "CEVNSLAB_DATA")
    monkeypatch.setenv("CEVNSLAB_DATA", str(release.root))
    assert "nowhere" in refused(InputFileError, release, LAR, tmp_path / "nowhere")


def test_relative_folders_and_the_home_folder(release, monkeypatch):
    monkeypatch.chdir(release.root.parent)
    assert release.folder(CSI, Path(release.root.name)) == release.root / CSI
    monkeypatch.setenv("HOME", str(release.root))
    monkeypatch.setenv("USERPROFILE", str(release.root))
    monkeypatch.setenv("CEVNSLAB_DATA", "~")
    assert release.folder(CSI) == release.root / CSI


def test_nothing_is_downloaded_where_a_folder_is_given(online, server, cache, monkeypatch, tmp_path):
    assert online.folder(CSI, online.root)
    (online.root / CSI / "ninPE.txt").unlink()
    refused(InputFileError, online, CSI, online.root)
    refused(InputFileError, online, CSI, tmp_path / "nowhere")
    monkeypatch.setenv("CEVNSLAB_DATA", str(tmp_path / "nowhere"))
    refused(InputFileError, online, CSI)
    assert server.requests == []
    assert not cache.exists()


def test_a_given_folder_needs_no_pooch(release, monkeypatch):
    monkeypatch.setitem(sys.modules, "pooch", None)
    assert release.folder(CSI, release.root)


def test_a_missing_folder(release, tmp_path):
    empty = tmp_path / "empty"
    message = refused(InputFileError, release, CSI, empty)
    assert all_in(message, empty, "cannot be found", "--data", "arXiv:2110.07730", release.releases[CSI].url)
    empty.write_text("in the way", encoding="utf-8")
    assert "is no folder" in refused(InputFileError, release, CSI, empty)


def test_a_folder_without_the_files(release, tmp_path):
    """The message names some of them, where they were looked for and where to fetch them."""
    empty = tmp_path / "empty"
    empty.mkdir()
    message = refused(InputFileError, release, CSI, empty)
    assert all_in(message, "8 of 8 data files", empty, "brnPE.txt", "and 4 more", "fetch", release.releases[CSI].url)


def test_a_release_is_found_below_the_folder(release, tmp_path):
    assert release.folder(LAR, tmp_path) == release.root / LAR


def test_files_may_be_renamed_and_spread(release):
    """Each is known by its content."""
    folder = release.root / CSI
    (release.root / "here" / "and there").mkdir(parents=True)
    for number, path in enumerate(sorted(folder.iterdir())):
        path.rename(release.root / ("here" if number % 2 else "here/and there") / f"{number}.dat")
    folder.rmdir()
    located = release.locate(CSI, release.root)
    assert list(located) == list(release.releases[CSI].files)
    assert {path.parent.name for path in located.values()} == {"here", "and there"}
    assert sorted(path.name for path in located.values()) == [f"{number}.dat" for number in range(8)]


def test_a_good_copy_stands_in_for_a_damaged_one(release):
    path = release.root / CSI / "ninPE.txt"
    (release.root / "copy.txt").write_bytes(path.read_bytes())
    path.write_bytes(b"1 2")
    assert release.locate(CSI, release.root)["ninPE.txt"] == release.root / "copy.txt"


def test_links_are_followed_once(release, tmp_path):
    elsewhere = tmp_path / "linked"
    elsewhere.mkdir()
    (elsewhere / "data").symlink_to(release.root / LAR, target_is_directory=True)
    (release.root / LAR / "around").symlink_to(elsewhere, target_is_directory=True)
    (elsewhere / "broken").symlink_to(tmp_path / "nowhere")
    assert release.folder(LAR, elsewhere).name == "data"


def test_a_change_is_noticed(release):
    """Contents are remembered only as long as a file keeps its size and time."""
    assert release.locate(CSI, release.root)
    path = release.root / CSI / "ninPE.txt"
    path.write_bytes(path.read_bytes()[:-1])
    refused(InputFileError, release, CSI, release.root)


def test_the_former_variable_is_refused_by_name(release, monkeypatch):
    monkeypatch.setenv("NURECOIL_DATA", str(release.root))
    assert all_in(refused(InputFileError, release, CSI), "NURECOIL_DATA", "CEVNSLAB_DATA")


@pytest.mark.parametrize(("name", "file"), [(CSI, "dataBeamOnC.txt"), (LAR, "brnpdf.txt")])
def test_a_missing_file(name, file, release):
    (release.root / name / file).unlink()
    message = refused(InputFileError, release, name, release.root)
    assert all_in(message, file, release.root, "cannot be found", "fetch", release.releases[name].url + file)


@pytest.mark.parametrize(("name", "file"), [(CSI, "dataBeamOnC.txt"), (LAR, "brnpdf.txt")])
def test_a_file_that_cannot_be_read(name, file, release, monkeypatch):
    path, read = release.root / name / file, Path.open

    def denied(self, *arguments, **options):
        if self == path:
            raise PermissionError(13, "Permission denied")
        return read(self, *arguments, **options)

    monkeypatch.setattr(Path, "open", denied)
    message = refused(InputFileError, release, name, release.root)
    assert all_in(message, "cannot read", path, "Permission denied", release.releases[name].url + file)


@pytest.mark.parametrize(
    "change",
    [
        lambda earlier: earlier[:-1],
        lambda earlier: earlier.replace(b"1", b"2", 1),
        lambda earlier: b"",
        lambda earlier: earlier + b"\n",
    ],
    ids=["cut short", "changed", "empty", "longer"],
)
def test_a_changed_file(change, release):
    path = release.root / CSI / "ninTrec.txt"
    path.write_bytes(change(path.read_bytes()))
    expected = release.releases[CSI].files[path.name].sha256
    message = refused(InputFileError, release, CSI, release.root)
    assert all_in(message, path, "is not the published file", "sha256", expected[:12], "fetch it again", "arXiv")


def edited(path, edit):
    lines = path.read_text(encoding="utf-8").splitlines()
    edit(lines)
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def test_event_lists_are_recognised_by_content(release):
    """Events outside the region of the fit, and comments, may be there or not: copies differ in them."""
    path = release.root / CSI / "dataBeamOnAC.txt"
    edited(path, lambda lines: lines.extend(["30.5 12.5", "250 0.5", "60 3", "# end", "59.9 6"]))
    assert release.folder(CSI, release.root)


@pytest.mark.parametrize("file", ["dataBeamOnC.txt", "dataBeamOnAC.txt"])
@pytest.mark.parametrize(
    "edit",
    [
        lambda lines: lines.append("59.9 5.9"),
        lambda lines: lines.__delitem__(slice(5, None)),
        lambda lines: lines.__setitem__(5, "20.5 1.25"),
    ],
    ids=["longer", "cut short", "one event changed"],
)
def test_event_lists_with_other_events(file, edit, release):
    path = release.root / CSI / file
    edited(path, edit)
    message = refused(InputFileError, release, CSI, release.root)
    assert all_in(message, path, "events below 60 and 6 are not those of the release", "fetch it again")


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("30", ["line 3", "2 columns"]),
        ("30 x", ["line 3", "2 numbers"]),
        ("30 nan", ["line 3", "finite"]),
    ],
)
def test_event_lists_with_a_wrong_line(line, words, release):
    path = release.root / CSI / "dataBeamOnC.txt"
    edited(path, lambda lines: lines.insert(2, line))
    assert all_in(refused(InputFileError, release, CSI, release.root), path, *words, "arXiv:2110.07730")


# downloads -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [CSI, LAR])
def test_a_download(name, online, server, cache, capfd):
    assert online.folder(name) == cache / name
    expected = sorted(online.releases[name].files)
    assert sorted(path.name for path in (cache / name).iterdir()) == expected
    assert len(server.requests) == len(expected)
    for file in expected:
        assert (cache / name / file).read_bytes() == (server.root / name / file).read_bytes()
    assert online.folder(name) == cache / name
    assert len(server.requests) == len(expected), "nothing is downloaded twice"
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("file", ["dataBeamOnC.txt", "ninPE.txt"])
def test_a_damaged_copy_in_the_cache_is_downloaded_again(file, online, server, cache):
    whole = online.folder(CSI) / file
    content = whole.read_bytes()
    whole.write_bytes(content[:100])
    before = len(server.requests)
    online.folder(CSI)
    assert whole.read_bytes() == content
    assert server.requests[before:] == [f"/{CSI}/{file}"]


def test_an_empty_variable_is_none(online, cache, monkeypatch):
    monkeypatch.setenv("CEVNSLAB_DATA", "")
    assert online.folder(CSI) == cache / CSI


@pytest.mark.parametrize("file", ["dataBeamOnC.txt", "effCoefficients.txt"])
def test_a_download_of_something_else(file, online, server, cache):
    """Also of the lists without checksum nothing is left that looks whole."""
    path = server.root / CSI / file
    path.write_bytes(path.read_bytes()[:200])
    message = refused(DownloadError, online, CSI)
    assert all_in(message, f"{server.url}/{CSI}/{file}", "not the published", "--data DIR", "CEVNSLAB_DATA")
    assert not (cache / CSI / file).exists()
    assert not list((cache / CSI).glob(".*"))
    assert DownloadError.exit_status == 1


def test_a_page_that_is_not_there(online, server, cache):
    (server.root / CSI / "ninPE.txt").unlink()
    message = refused(DownloadError, online, CSI)
    assert all_in(message, f"{server.url}/{CSI}/ninPE.txt", "404", "--data DIR", "CEVNSLAB_DATA")
    assert not (cache / CSI / "ninPE.txt").exists()


def test_a_connection_that_breaks_off(release, cache):
    """A server that promises more than it sends, for a list of events, which has no checksum."""
    content = (release.root / CSI / "dataBeamOnC.txt").read_bytes()
    only = {"dataBeamOnC.txt": release.releases[CSI].files["dataBeamOnC.txt"]}
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def answer():
            connection, _ = listening.accept()
            with connection:
                connection.recv(65536)
                connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(content) + content[:300])

        thread = threading.Thread(target=answer)
        thread.start()
        url = f"http://127.0.0.1:{listening.getsockname()[1]}/"
        release.releases[CSI] = release.releases[CSI].model_copy(update={"url": url, "files": only})
        message = refused(DownloadError, release, CSI)
        thread.join()
    assert all_in(message, url + "dataBeamOnC.txt", "broke off", "CEVNSLAB_DATA")
    assert list((cache / CSI).iterdir()) == []


def test_a_download_that_trickles_has_a_total_time_limit(release, cache, monkeypatch):
    """A byte now and then keeps a connection alive for days."""
    monkeypatch.setattr("cevnslab.datasets.download._FILE_TIMEOUT_S", 0.5)
    process = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def trickle():
            connection, _ = listening.accept()
            with connection:
                connection.recv(4096)
                connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 3000\r\n\r\n")
                while not process.wait(0.05):
                    connection.sendall(b"1")

        thread = threading.Thread(target=trickle)
        thread.start()
        url = f"http://127.0.0.1:{listening.getsockname()[1]}/"
        release.releases[CSI] = release.releases[CSI].model_copy(update={"url": url})
        start = time.monotonic()
        message = refused(DownloadError, release, CSI)
        assert time.monotonic() - start < 5
        process.set()
        thread.join()
    assert all_in(message, "it took more than 0.5 s", "--data DIR")
    assert [path.name for path in (cache / CSI).iterdir()] == []


def test_a_dead_port(release):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    dataset = release.releases[CSI].model_copy(update={"url": f"http://127.0.0.1:{port}/"})
    release.releases[CSI] = dataset
    message = refused(DownloadError, release, CSI)
    assert all_in(message, f"http://127.0.0.1:{port}/brnPE.txt", "no connection", "--data DIR", "CEVNSLAB_DATA")


def test_a_cache_that_cannot_be_written(online, cache):
    cache.parent.mkdir()
    cache.write_text("in the way", encoding="utf-8")
    assert all_in(refused(DownloadError, online, CSI), cache / CSI, "--data DIR", "CEVNSLAB_DATA")


def test_without_pooch(online, server, monkeypatch):
    monkeypatch.setitem(sys.modules, "pooch", None)
    message = refused(MissingExtraError, online, CSI)
    assert all_in(message, CSI, "--data DIR", "CEVNSLAB_DATA", "pip install 'cevnslab[data]'")
    assert server.requests == []


def test_a_bar_on_a_terminal(online, monkeypatch):
    """The bar counts files, and is as long as what is missing."""
    messages = []

    class Bar:
        def __init__(self, what, total, *, always=False):
            messages.append((what, total))

        def __enter__(self):
            return messages.append

        def __exit__(self, *_):
            return None

    monkeypatch.setattr("cevnslab.datasets.download.progress_bar", Bar)
    (online.folder(CSI) / "brnPE.txt").unlink()
    online.folder(CSI)
    assert messages == [(f"downloading {CSI}", 8), *[1] * 8, (f"downloading {CSI}", 1), 1]
