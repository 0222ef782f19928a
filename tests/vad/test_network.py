"""The network computes what its file does, as onnxruntime runs it."""

from __future__ import annotations

import numpy as np
import onnxruntime
import pytest

from rtc_stt.vad.network import MEMORY, SMALL, Network, load_networks
from rtc_stt.vad.onnx_tensors import named_tensors
from rtc_stt.vad.silero import model_path


@pytest.fixture(scope="module")
def model() -> bytes:
    return model_path().read_bytes()


@pytest.fixture(scope="module", params=[True, False], ids=["whole", "in_slices"])
def networks(model, request) -> dict[int, Network]:
    return load_networks(model, whole=request.param)


@pytest.fixture(scope="module")
def reference(model) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])


def voices(streams: int, windows: int, size: int, rate: int) -> np.ndarray:
    """Buzzes that come and go in noise, some of them far too loud; shape ``(windows, streams, size)``."""
    rng = np.random.default_rng(5)
    times = np.arange(windows * size) / rate
    made = []
    for number in range(streams):
        buzz = sum(np.sin(2 * np.pi * (80 + 30 * number) * k * times) / k for k in range(1, 20))
        on = np.sin(2 * np.pi * (0.5 + 0.3 * number) * times) > 0
        made.append(0.2 * 4**number / 16 * buzz * on + 0.01 * rng.standard_normal(len(times)))
    return np.stack(made).reshape(streams, windows, size).swapaxes(0, 1).astype(np.float32)


@pytest.mark.parametrize("rate", [8_000, 16_000])
def test_probabilities_and_memories_are_those_of_onnxruntime(networks, reference, rate):
    network, streams = networks[rate], 5
    state = np.zeros((2, streams, MEMORY), np.float32)
    memories, context = state[:, :, None].copy(), np.zeros((streams, network.context), np.float32)
    told = []
    for window in voices(streams, 60, network.window, rate):
        heard = np.concatenate([context, window], axis=1)
        expected, state = reference.run(None, {"input": heard, "state": state, "sr": np.array(rate)})
        judged, memories = network.run(network.spectra(heard), memories)
        np.testing.assert_allclose(judged, expected, atol=1e-4)
        np.testing.assert_allclose(memories[:, :, 0], state, atol=1e-3)
        told.append(judged)
        context = heard[:, -network.context :]
    assert np.ptp(told) > 0.5, "there is something to tell apart"


def test_each_memory_goes_its_own_way(networks):
    network = networks[16_000]
    rng = np.random.default_rng(1)
    heard = rng.standard_normal((7, network.context + network.window)).astype(np.float32)
    memories = rng.standard_normal((2, 7, 3, MEMORY)).astype(np.float32)
    judged, after = network.run(network.spectra(heard), memories)
    assert judged.shape == (7, 3)
    for number in range(3):
        alone, left = network.run(network.spectra(heard), memories[:, :, number : number + 1])
        np.testing.assert_allclose(judged[:, number], alone[:, 0], atol=1e-6)
        np.testing.assert_allclose(after[:, :, number], left[:, :, 0], atol=1e-5)


@pytest.mark.parametrize("streams", [1, 2, 3, 5, 8, 33, 64])
def test_how_many_share_a_call_makes_no_difference(networks, streams):
    network = networks[16_000]
    heard = np.random.default_rng(2).standard_normal((64, network.context + network.window))
    heard = heard.astype(np.float32)
    memories = np.zeros((2, 64, 2, MEMORY), np.float32)
    whole, _ = network.run(network.spectra(heard), memories)
    part, _ = network.run(network.spectra(heard[:streams]), memories[:, :streams])
    np.testing.assert_allclose(part, whole[:streams], atol=1e-6)


@pytest.mark.parametrize("loudness", [0.0, 1e-30, 1.0, 1e4])
def test_nothing_overflows(networks, loudness):
    network = networks[16_000]
    memories = np.zeros((2, 1, 1, MEMORY), np.float32)
    for _ in range(20):
        heard = np.full((1, network.context + network.window), loudness, np.float32)
        judged, memories = network.run(network.spectra(heard), memories)
    assert 0 <= judged[0, 0] <= 1


@pytest.mark.parametrize("hertz", [200, 3_000])
def test_spectra_hold_the_power_of_a_sound(networks, hertz):
    for rate, network in networks.items():
        times = np.arange(network.context + network.window) / rate
        heard = np.sin(2 * np.pi * hertz * times)[None].astype(np.float32)
        power = np.square(network.spectra(heard)).sum(axis=2).mean() * network.full_scale
        assert power == pytest.approx(0.5, rel=0.1)


@pytest.mark.parametrize(("threads", "larger"), [("1", True), ("2", False), (None, False)])
def test_products_are_large_only_where_they_begin_no_threads(model, monkeypatch, threads, larger):
    if threads is None:
        monkeypatch.delenv("OPENBLAS_NUM_THREADS", raising=False)
    else:
        monkeypatch.setenv("OPENBLAS_NUM_THREADS", threads)
    sizes, matmul = [], np.matmul

    def product(rows, weights, **options):
        sizes.append(rows.shape[-2] * weights.shape[-2] * weights.shape[-1])
        return matmul(rows, weights, **options)

    monkeypatch.setattr(np, "matmul", product)
    network = load_networks(model)[8_000]
    heard = np.zeros((64, network.context + network.window), np.float32)
    network.run(network.spectra(heard), np.zeros((2, 64, 2, MEMORY), np.float32))
    assert (max(sizes) > SMALL) is larger


def test_a_network_of_another_shape_is_refused(model):
    weights = {}
    for name, tensor in named_tensors(model):
        weights.setdefault(name, tensor)  # the first branch
    for name, changed in (
        ("encoder.1.reparam_conv.weight", np.zeros((64, 128, 5), np.float32)),
        ("stft.forward_basis_buffer", np.ones((258, 1, 256), np.float32)),
    ):
        with pytest.raises(ValueError, match="another shape"):
            Network(weights | {name: changed})
    del weights["decoder.rnn.weight_hh"]
    with pytest.raises(KeyError):
        Network(weights)


def test_what_is_no_model_is_told(model):
    with pytest.raises(ValueError, match="no network"):
        load_networks(b"")
    with pytest.raises(ValueError, match="cut off"):
        load_networks(model[: len(model) // 2])
    assert sorted(load_networks(model)) == [8_000, 16_000]
