"""Can the models run where the configuration says? Pure: facts in, findings out.

The order is that in which a GPU fails: the device, its driver, the build, the libraries, the type.
"""

from __future__ import annotations

from rtc_stt.cli.checkup.finding import Finding, bad, doubtful, good
from rtc_stt.cli.checkup.gpu_facts import GpuFacts
from rtc_stt.config import Decoding

__all__ = ["judge"]

LOWEST_CUDA = 12_000
"""CTranslate2's wheels are built with CUDA 12, which a driver of CUDA 11 does not run."""

LOWEST_DRIVER = "525"

INIT_CODES = {
    3: ("the driver is not initialised", "restart the machine, or load the module: modprobe nvidia"),
    100: (
        "the driver sees no GPU",
        "look at nvidia-smi; in a container give it one: docker run --gpus all, or a resource limit "
        "nvidia.com/gpu",
    ),
    101: ("the driver knows no such GPU", "look at CUDA_VISIBLE_DEVICES"),
    802: ("the GPUs' fabric is not ready", "start nvidia-fabricmanager, in the driver's very version"),
    803: (
        "the driver's library and its kernel module are of different versions",
        "restart the machine: the driver was updated under way",
    ),
    804: (
        "the image brings a newer driver library than this GPU may use",
        "remove cuda-compat from the image, or update the driver of the host",
    ),
    999: ("the driver gives no reason", "look at dmesg for Xid errors, then restart the machine"),
}
"""Of ``cuInit`` (CUDA Driver API, ``CUresult``)."""

INSTALL = "pip install 'rtc-stt[cuda]' brings what is missing, and it is found without LD_LIBRARY_PATH"
ON_CPU = "or set DEVICE=cpu"


def judge(facts: GpuFacts, decoding: Decoding) -> list[Finding]:
    """What the GPU side of ``DEVICE``, ``DEVICE_INDEX`` and ``COMPUTE_TYPE`` comes to."""
    if decoding.device == "cpu":
        unused = f", though there is a GPU ({facts.devices[0]})" if facts.devices else ""
        return [good("GPU", f"DEVICE=cpu: none is used{unused}")]
    trouble = _trouble(facts, decoding)
    if trouble is None:
        return _well(facts, decoding)
    says, mend = trouble
    if decoding.device == "cuda":
        return [bad("GPU", says, f"{mend}, {ON_CPU}")]
    if facts.devices:
        return [doubtful("GPU", f"{says}; models run on the CPU", mend)]
    return [good("GPU", "there is none; models run on the CPU")]


def _trouble(facts: GpuFacts, decoding: Decoding) -> tuple[str, str] | None:
    """Why no GPU can be used, and what to do; the first reason is the one to mend."""
    if not facts.build_has_cuda:
        return (
            "this build of CTranslate2 cannot use one",
            "install its wheel for x86-64 Linux or Windows; those for other machines are for CPUs only",
        )
    if facts.driver_error is not None:
        return _no_driver(facts)
    if facts.init_code:
        known = INIT_CODES.get(facts.init_code, ("the driver fails", "look at nvidia-smi"))
        if facts.init_code == 100 and facts.visible is not None:
            known = ("CUDA_VISIBLE_DEVICES hides every GPU", "unset it, or name one")
        return f"{known[0]} (cuInit gives {facts.init_code})", known[1]
    if 0 < facts.driver_version < LOWEST_CUDA:
        return (
            f"the driver is for CUDA {_version(facts.driver_version)}, and CTranslate2 needs 12",
            f"update the driver to {LOWEST_DRIVER} or newer",
        )
    if facts.count == 0:
        return "the driver sees no GPU", "look at nvidia-smi and at CUDA_VISIBLE_DEVICES"
    if facts.missing:
        return _no_library(facts)
    if decoding.device_index >= facts.count:
        return (
            f"DEVICE_INDEX is {decoding.device_index}, and there are {facts.count}, counted from 0",
            "lower it; CUDA_VISIBLE_DEVICES counts anew from 0",
        )
    if decoding.compute_type != "default" and decoding.compute_type not in facts.compute_types:
        return (
            f"it cannot do COMPUTE_TYPE={decoding.compute_type}",
            f"choose one of {', '.join(sorted(facts.compute_types))}",
        )
    return None


def _no_driver(facts: GpuFacts) -> tuple[str, str]:
    if not facts.devices:
        return (
            "there is no NVIDIA driver and no GPU",
            "install the driver; in a container: nvidia-container-toolkit on the host, and docker "
            "run --gpus all",
        )
    if not facts.readable:
        return (
            f"{facts.devices[0]} is not this user's to open",
            "give it the group of the device, or run as one who may",
        )
    return (
        "there is a GPU, and the driver's libcuda.so.1 is not here",
        "in a container: nvidia-container-toolkit on the host and "
        "NVIDIA_DRIVER_CAPABILITIES=compute,utility; "
        "else reinstall the driver",
    )


def _no_library(facts: GpuFacts) -> tuple[str, str]:
    name = next(iter(facts.missing))
    if facts.newer_found and name not in facts.in_wheels:
        return f"the libraries of CUDA 13 are here, and CTranslate2 needs those of 12 ({name})", INSTALL
    if name in facts.in_wheels:
        return (
            f"{name} is installed and cannot be loaded: {facts.missing[name]}",
            "pip install --force-reinstall 'rtc-stt[cuda]'",
        )
    return f"{name} is not found", INSTALL


def _well(facts: GpuFacts, decoding: Decoding) -> list[Finding]:
    version = f", driver for CUDA {_version(facts.driver_version)}" if facts.driver_version else ""
    findings = [good("GPU", f"{facts.count} of them{version}; COMPUTE_TYPE={decoding.compute_type}")]
    if facts.compute_types and "float16" not in facts.compute_types:
        findings.append(
            doubtful(
                "GPU", "it is too old for float16", "set COMPUTE_TYPE=int8 or float32, or take a newer GPU"
            )
        )
    return findings


def _version(number: int) -> str:
    return f"{number // 1000}.{number % 1000 // 10}"
