"""Models from a web server: whole or not at all."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtc_stt.cli import main
from rtc_stt.engines import store
from rtc_stt.engines.checksums import SUMS, read_sums, split_pin, write_sums
from rtc_stt.engines.fetch import locate
from rtc_stt.errors import ModelError

FILES = {"model.bin": bytes(range(256)) * 4_000, "config.json": b"{}", "tokenizer.json": b'{"t":1}'}


def digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


class ModelServer:
    """Serves files below ``/small/``; may break off, err, and know no ranges."""

    def __init__(self) -> None:
        self.files = dict(FILES)
        self.files[SUMS] = write_sums({name: digest(data) for name, data in FILES.items()}).encode()
        self.asked: list[tuple[str, str | None]] = []
        self.breaks: list[int] = []
        """After so many bytes each of the next answers for ``model.bin`` breaks off."""
        self.statuses: list[int] = []
        self.knows_ranges = True
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def log_message(self, *_: object) -> None:
                pass

            def do_GET(self) -> None:
                outer.answer(self)

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/small/"

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        name, range_ = request.path.removeprefix("/small/"), request.headers["Range"]
        self.asked.append((name, range_))
        data = self.files.get(name)
        status = self.statuses.pop(0) if self.statuses else 404 if data is None else 200
        if status != 200 or data is None:
            request.send_error(status)
            return
        if range_ and self.knows_ranges:
            data, status = data[int(range_.removeprefix("bytes=").rstrip("-")) :], 206
        request.send_response(status)
        request.send_header("Content-Length", str(len(data)))
        request.end_headers()
        if name == "model.bin" and self.breaks:
            data = data[: self.breaks.pop(0)]
        request.wfile.write(data)


@pytest.fixture
def served() -> Iterator[ModelServer]:
    server = ModelServer()
    thread = threading.Thread(target=server.server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.server.shutdown()
    server.server.server_close()
    thread.join()


def fetch(server: ModelServer, into: Path, pin: str = "") -> Path:
    return store.fetch(server.url + pin, into, progress=False, pause_s=0)


def whole(folder: Path) -> bool:
    return all((folder / name).read_bytes() == data for name, data in FILES.items())


def test_a_model_is_fetched_once(served: ModelServer, tmp_path: Path) -> None:
    folder = fetch(served, tmp_path)
    assert whole(folder)
    assert folder.name.startswith("small-")
    assert store.verify(folder) == []
    before = len(served.asked)
    assert fetch(served, tmp_path) == folder
    assert served.asked[before:] == [(SUMS, None)], "only whether there is another version"


@pytest.mark.parametrize("knows_ranges", [True, False], ids=["ranges", "no-ranges"])
def test_what_breaks_off_goes_on_where_it_was(
    served: ModelServer, tmp_path: Path, knows_ranges: bool
) -> None:
    served.breaks, served.knows_ranges = [100_000, 300_000], knows_ranges
    assert whole(fetch(served, tmp_path))
    ranges = [range_ for name, range_ in served.asked if name == "model.bin"]
    assert ranges[:2] == [None, "bytes=100000-"]
    assert len(ranges) == 3


def test_a_new_run_goes_on_too(served: ModelServer, tmp_path: Path) -> None:
    served.breaks = [500_000] + [0] * 20
    with pytest.raises(ModelError, match="what has come is kept"):
        fetch(served, tmp_path)
    served.breaks = []
    assert whole(fetch(served, tmp_path))
    assert served.asked[-3][1] == "bytes=500000-" or ("model.bin", "bytes=500000-") in served.asked


def test_a_file_that_is_not_what_it_should_be_is_thrown_away(served: ModelServer, tmp_path: Path) -> None:
    served.files["model.bin"] = b"something else"
    with pytest.raises(ModelError, match=r"model\.bin .* is not what SHA256SUMS says"):
        fetch(served, tmp_path)
    assert not list(tmp_path.rglob("model.bin*"))


def test_a_pin_holds_against_a_server_that_changed_everything(served: ModelServer, tmp_path: Path) -> None:
    pin = f"#sha256={digest(served.files[SUMS])}"
    assert whole(fetch(served, tmp_path, pin))
    asked = len(served.asked)
    fetch(served, tmp_path, pin)
    assert len(served.asked) == asked, "what is pinned and here needs no server"
    served.files["model.bin"] = b"evil"
    served.files[SUMS] = write_sums({"model.bin": digest(b"evil")}).encode()
    with pytest.raises(ModelError, match="not the one that #sha256= pins"):
        fetch(served, tmp_path / "other", pin)


def test_a_new_version_replaces_what_has_changed_only(served: ModelServer, tmp_path: Path) -> None:
    folder = fetch(served, tmp_path)
    served.files["config.json"] = b'{"new":1}'
    served.files[SUMS] = write_sums(
        {name: digest(data) for name, data in served.files.items() if name != SUMS}
    ).encode()
    served.asked.clear()
    assert fetch(served, tmp_path) == folder
    assert (folder / "config.json").read_bytes() == b'{"new":1}'
    assert [name for name, _ in served.asked] == [SUMS, "config.json"]


def test_a_server_that_is_away_does_not_keep_a_model_from_being_used(
    served: ModelServer, tmp_path: Path
) -> None:
    folder = fetch(served, tmp_path)
    served.statuses = [503] * 10
    assert fetch(served, tmp_path) == folder


def test_what_will_not_get_better_is_not_tried_again(served: ModelServer, tmp_path: Path) -> None:
    served.statuses = [403] * 10
    with pytest.raises(ModelError, match="answers 403"):
        fetch(served, tmp_path)
    assert len(served.asked) == 1


@pytest.mark.parametrize(
    "url", ["ftp://models/small/", "https:///", "https://models/", "https://models/small/#md5=1"]
)
def test_what_is_no_url_of_a_model(url: str, tmp_path: Path) -> None:
    with pytest.raises(ModelError):
        store.fetch(url, tmp_path, progress=False)


@given(st.text())
def test_sums_are_read_or_refused(text: str) -> None:
    try:
        sums = read_sums(text)
    except ModelError:
        return
    assert all("/" not in name and name[0] != "." for name in sums)
    assert read_sums(write_sums(sums)) == sums


def test_names_that_lead_elsewhere_are_refused() -> None:
    for name in ("../model.bin", "/etc/passwd", ".hidden", "a/b", SUMS):
        with pytest.raises(ModelError):
            read_sums(f"{'0' * 64}  {name}\n")
    assert split_pin("https://m/small") == ("https://m/small/", None)


def test_the_commands(
    served: ModelServer, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert main(["models", "fetch", served.url, "--into", str(tmp_path), "--no-progress"]) == 0
    folder = Path(capsys.readouterr().out.strip())
    assert main(["models", "verify", str(folder)]) == 0
    (folder / "config.json").write_text("changed")
    assert main(["models", "verify", str(folder)]) == 1
    assert "missing or changed: config.json" in capsys.readouterr().out
    assert main(["models", "sum", str(folder)]) == 0
    assert main(["models", "verify", str(folder)]) == 0
    assert main(["models", "verify", str(tmp_path)]) == 1
    assert "rtc-stt models sum" in capsys.readouterr().err
    assert locate(served.url)[1] == "small"
