"""What NVML tells, on a driver of our own; and silence where there is none."""

from __future__ import annotations

import logging
from types import SimpleNamespace

import pytest

from rtc_stt.gpu import CACHE_S, GpuMonitor, GpuReading


class Nvml:
    """The part of ``pynvml`` that is used, with two GPUs of 80 GiB."""

    class NVMLError(Exception):
        pass

    def __init__(self) -> None:
        self.calls = 0
        self.lost: set[int] = set()
        self.silent: set[int] = set()

    def nvmlInit(self) -> None:
        pass

    def nvmlDeviceGetCount(self) -> int:
        return 2

    def nvmlDeviceGetHandleByIndex(self, index: int) -> int:
        return index

    def nvmlDeviceGetMemoryInfo(self, device: int) -> SimpleNamespace:
        self.calls += 1
        if device in self.lost:
            raise self.NVMLError
        return SimpleNamespace(used=(device + 1) * 2**30, total=80 * 2**30)

    def nvmlDeviceGetUtilizationRates(self, device: int) -> SimpleNamespace:
        if device in self.silent:
            raise self.NVMLError
        return SimpleNamespace(gpu=37, memory=5)


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def nvml() -> Nvml:
    return Nvml()


@pytest.fixture
def clock() -> Clock:
    return Clock()


def test_each_gpu_is_read(nvml, clock):
    assert GpuMonitor(lambda: nvml, clock).read() == [
        GpuReading(0, 1024.0, 81_920.0, 37.0),
        GpuReading(1, 2048.0, 81_920.0, 37.0),
    ]


def test_the_driver_is_asked_once_a_second_at_most(nvml, clock):
    monitor = GpuMonitor(lambda: nvml, clock)
    first = monitor.read()
    clock.now += CACHE_S / 2
    assert monitor.read() is first
    assert nvml.calls == 2
    clock.now += CACHE_S
    assert monitor.read() == first
    assert nvml.calls == 4


def test_a_gpu_that_is_lost_or_does_not_tell_takes_nothing_along(nvml, clock):
    nvml.lost, nvml.silent = {0}, {1}
    assert GpuMonitor(lambda: nvml, clock).read() == [GpuReading(1, 2048.0, 81_920.0, None)]


def no_package() -> Nvml:
    raise ImportError("no module named pynvml")


class NoDriver(Nvml):
    def nvmlInit(self) -> None:
        raise self.NVMLError("driver not loaded")


class NoGpu(Nvml):
    def nvmlDeviceGetCount(self) -> int:
        return 0


@pytest.mark.parametrize("load", [no_package, NoDriver, NoGpu])
def test_without_a_gpu_there_is_nothing_and_no_noise(load, clock, caplog):
    caplog.set_level(logging.DEBUG)
    monitor = GpuMonitor(load, clock)
    for _ in range(3):
        assert monitor.read() == []
        clock.now += 10
    assert len(caplog.records) <= 1, "one line, and not one a scrape"
    assert all(record.levelno == logging.DEBUG for record in caplog.records)


def test_the_real_package_is_asked_unless_told_otherwise(caplog):
    caplog.set_level(logging.INFO)
    assert isinstance(GpuMonitor().read(), list)
    assert caplog.records == []
