"""Every way in which a GPU can fail has an explanation of its own."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from rtc_stt import cuda_libraries
from rtc_stt.cli.checkup.finding import State
from rtc_stt.cli.checkup.gpu import INIT_CODES, judge
from rtc_stt.cli.checkup.gpu_facts import GpuFacts, gather
from rtc_stt.config import Decoding

WELL = GpuFacts(
    devices=("/dev/nvidia0",),
    driver_version=12_040,
    count=1,
    compute_types=frozenset({"float16", "int8", "int8_float16"}),
    memory_mb=(80_000.0,),
)
CUDA = Decoding(device="cuda")

WAYS = {
    "no driver, no GPU": (
        {"devices": (), "driver_error": "no such file"},
        "no NVIDIA driver",
        "install the driver",
    ),
    "container without the driver": (
        {"driver_error": "no such file"},
        "libcuda.so.1",
        "nvidia-container-toolkit",
    ),
    "not this user's": ({"driver_error": "no", "readable": False}, "not this user's", "group"),
    "a build for CPUs": ({"build_has_cuda": False}, "this build of CTranslate2", "wheel"),
    "an old driver": ({"driver_version": 11_040}, "CUDA 11.4", "update the driver to 525"),
    "hidden": ({"init_code": 100, "visible": ""}, "CUDA_VISIBLE_DEVICES hides", "unset it"),
    "no GPU in the container": ({"init_code": 100}, "sees no GPU", "--gpus all"),
    "updated under way": ({"init_code": 803}, "different versions", "restart"),
    "an unknown code": ({"init_code": 46}, "cuInit gives 46", "nvidia-smi"),
    "nothing seen": ({"count": 0}, "sees no GPU", "CUDA_VISIBLE_DEVICES"),
    "cuBLAS is missing": (
        {"missing": {"libcublas.so.12": "no such file"}},
        "libcublas.so.12 is not found",
        "rtc-stt[cuda]",
    ),
    "those of CUDA 13": (
        {"missing": {"libcublas.so.12": "no such file"}, "newer_found": True},
        "CUDA 13",
        "rtc-stt[cuda]",
    ),
    "a broken wheel": (
        {"missing": {"libcublas.so.12": "file too short"}, "in_wheels": frozenset({"libcublas.so.12"})},
        "file too short",
        "--force-reinstall",
    ),
}


@pytest.mark.parametrize("way", WAYS)
def test_each_way_is_told_apart(way: str) -> None:
    changes, says, mend = WAYS[way]
    [finding] = judge(dataclasses.replace(WELL, **changes), CUDA)
    assert finding.state is State.FAIL
    assert says in finding.says
    assert mend in finding.mend
    assert finding.mend.endswith("or set DEVICE=cpu")


@pytest.mark.parametrize("code", INIT_CODES)
def test_each_code_of_the_driver_has_its_own_words(code: int) -> None:
    [finding] = judge(dataclasses.replace(WELL, init_code=code), CUDA)
    assert INIT_CODES[code][0] in finding.says
    assert INIT_CODES[code][1] in finding.mend


def test_no_two_ways_are_explained_alike() -> None:
    told = [judge(dataclasses.replace(WELL, **changes), CUDA)[0].mend for changes, _, _ in WAYS.values()]
    assert len(set(told)) >= len(told) - 1  # cuBLAS comes by one wheel, whatever else is there


def test_what_auto_makes_of_it() -> None:
    auto = Decoding(device="auto")
    [nothing] = judge(GpuFacts(driver_error="no such file"), auto)
    assert nothing.state is State.OK
    assert "CPU" in nothing.says
    [lame] = judge(dataclasses.replace(WELL, missing={"libcublas.so.12": "no"}), auto)
    assert lame.state is State.WARN
    assert "models run on the CPU" in lame.says


def test_what_the_configuration_asks_of_it() -> None:
    assert judge(WELL, CUDA)[0].state is State.OK
    [index] = judge(WELL, Decoding(device="cuda", device_index=2))
    assert "DEVICE_INDEX is 2" in index.says
    [kind] = judge(WELL, Decoding(device="cuda", compute_type="bfloat16"))
    assert "float16, int8, int8_float16" in kind.mend
    old = dataclasses.replace(WELL, compute_types=frozenset({"int8", "float32"}))
    assert [f.state for f in judge(old, CUDA)] == [State.OK, State.WARN]
    [cpu] = judge(WELL, Decoding(device="cpu"))
    assert "though there is a GPU" in cpu.says


def test_this_machine_can_be_asked() -> None:
    facts = gather(0)
    assert facts.build_has_cuda, "the wheel for Linux can"
    assert bool(facts.driver_error) or facts.driver_version > 0


# ── Libraries ────────────────────────────────────────────────────────────


class Loader:
    """What a machine's loader finds: names, and files."""

    def __init__(self, *found: str) -> None:
        self.found = set(found)
        self.opened: list[str] = []

    def __call__(self, path: str) -> object:
        self.opened.append(path)
        if path in self.found or Path(path).is_file():
            self.found.add(Path(path).name)  # what is in the process is found by its name
            return object()
        raise OSError(f"{path}: cannot open shared object file")


def wheels(folder: Path) -> Path:
    for library in cuda_libraries.CATALOGUE:
        path = folder / library.folder / library.name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return folder


def test_wheels_are_loaded_before_anyone_asks(tmp_path: Path) -> None:
    loader = Loader(cuda_libraries.DRIVER)
    loaded = cuda_libraries.preload([str(wheels(tmp_path))], loader)
    assert [path.name for path in loaded] == ["libcublasLt.so.12", "libcublas.so.12"]
    assert cuda_libraries.loads("libcublas.so.12", loader) is None


def test_what_the_machine_has_goes_before_the_wheels(tmp_path: Path) -> None:
    loader = Loader(cuda_libraries.DRIVER, "libcublasLt.so.12", "libcublas.so.12")
    assert cuda_libraries.preload([str(wheels(tmp_path))], loader) == []


def test_without_a_driver_nothing_is_loaded(tmp_path: Path) -> None:
    loader = Loader()
    assert cuda_libraries.preload([str(wheels(tmp_path))], loader) == []
    assert loader.opened == [cuda_libraries.DRIVER]


@pytest.mark.parametrize(
    ("build", "names"),
    [
        (b"..libcublas.so.12..", ["libcublasLt.so.12", "libcublas.so.12"]),
        (b"libcublas.so.12 libcudnn.so.9", ["libcublasLt.so.12", "libcublas.so.12", "libcudnn.so.9"]),
        (b"for processors only", []),
        (None, [library.name for library in cuda_libraries.CATALOGUE]),
    ],
    ids=["cublas", "cudnn", "none", "unknown"],
)
def test_what_a_build_asks_for(build: bytes | None, names: list[str]) -> None:
    assert [library.name for library in cuda_libraries.needed(build)] == names
