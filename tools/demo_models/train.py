"""Training on CPU cores: one process for each core, gradients averaged, a fixed time budget.

The loss is the decoder's cross-entropy, plus 0.4 times a character CTC on the encoder, plus a
frame-level phoneme loss whose labels cost nothing because espeak-ng reports phoneme times; its
weight falls from `phone_weight` to 0.1. The learning rate follows the clock and not the step count,
so that it reaches zero in time on any machine.
"""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import Tensor, nn
from tqdm import tqdm  # type: ignore[import-untyped]

from tools.demo_models.batches import (
    CHARACTER_COUNT,
    IGNORED,
    Batch,
    Collator,
    Shards,
    phone_ids,
)
from tools.demo_models.model import Whisper, load_checkpoint, reshape, save_checkpoint
from tools.demo_models.paths import TOKENIZER
from tools.demo_models.shapes import SHAPES, Shape
from tools.demo_models.tokens import Tokens

_CTC_WEIGHT, _LEAST_PHONE_WEIGHT = 0.4, 0.1
_WEIGHT_DECAY, _CLIP_NORM = 0.02, 1.0
_SAVE_EVERY_SECONDS = 180


@dataclass(frozen=True)
class Plan:
    """One training run.

    Attributes:
        name: key of SHAPES.
        shards: folders of training data.
        output: where the checkpoint goes.
        start: checkpoint to go on from, of any depth; None: from nothing.
        minutes: time budget; the learning rate reaches zero at its end.
        stop_minutes: leave off here without having annealed, for a run that another one goes on
            from.
        positions: encoder positions in a batch of one process: the batch size.
        phone_weight: of the phoneme loss at the start: 1 from nothing, less for an encoder that
            hears already.
        warp: vocal tract warping. Left out while a model from nothing finds its feet.
        processes: how many share the work, one core each.
    """

    name: str
    shards: tuple[Path, ...]
    output: Path
    start: Path | None
    minutes: float
    stop_minutes: float | None
    learning_rate: float
    positions: int
    phone_weight: float
    seed: int
    warp: bool = True
    processes: int = 2


@dataclass(frozen=True)
class Losses:
    decoder: Tensor
    characters: Tensor
    phones: Tensor
    accuracy: Tensor

    def total(self, progress: float, phone_weight: float) -> Tensor:
        weight = max(_LEAST_PHONE_WEIGHT, phone_weight * (1 - 1.6 * progress))
        return self.decoder + _CTC_WEIGHT * self.characters + weight * self.phones


def losses(model: Whisper, batch: Batch) -> Losses:
    with torch.autocast("cpu", torch.bfloat16):
        encoded, bias = model.encode(batch.mel, batch.frames, batch.padded)
        # Only positions with a target get logits; a multiple of 64 keeps the shapes few.
        keep = (batch.targets >= 0).flatten().nonzero()[:, 0]
        count = len(keep)
        keep = F.pad(keep, (0, -count % 64))
        logits = model.decode(batch.inputs, encoded, bias, keep)
        characters = model.ctc(encoded)
        phones = model.ph(encoded[:, : batch.phones.shape[1]])
    targets = batch.targets.flatten()[keep]
    targets[count:] = IGNORED
    decoder = F.cross_entropy(logits.float(), targets, ignore_index=IGNORED)
    heard = batch.phones.flatten()
    phone_loss = decoder * 0
    if (heard >= 0).any():
        phone_loss = F.cross_entropy(phones.float().flatten(0, 1), heard, ignore_index=IGNORED)
    counted = targets >= 0
    right = ((logits.argmax(-1) == targets) & counted).sum() / counted.sum()
    ctc = _ctc(characters, batch) if any(batch.characters) else decoder * 0
    return Losses(decoder, ctc, phone_loss, right)


def _ctc(logits: Tensor, batch: Batch) -> Tensor:
    positions = (batch.frames + 1) // 2
    lengths = torch.tensor([len(characters) for characters in batch.characters])
    usable = (lengths > 0) & (lengths < positions)
    if not usable.any():
        return logits.float().sum() * 0
    flat = [c for characters, ok in zip(batch.characters, usable, strict=True) if ok for c in characters]
    log_probs = F.log_softmax(logits.float(), -1).transpose(0, 1)[:, usable]
    targets = torch.tensor(flat)
    loss: Tensor = F.ctc_loss(log_probs, targets, positions[usable], lengths[usable], zero_infinity=True)
    return loss


def _build(plan: Plan) -> tuple[Whisper, Shape]:
    shape = SHAPES[plan.name]
    if plan.start is None:
        vocabulary = Tokens(TOKENIZER).size
        return Whisper(shape, vocabulary, CHARACTER_COUNT, len(phone_ids())), shape
    model, found = load_checkpoint(plan.start)
    return (model if found == shape else reshape(model, shape)), shape


def _optimiser(model: nn.Module, rate: float) -> torch.optim.Optimizer:
    matrices = [parameter for parameter in model.parameters() if parameter.dim() > 1]
    vectors = [parameter for parameter in model.parameters() if parameter.dim() <= 1]
    groups = [
        {"params": matrices, "weight_decay": _WEIGHT_DECAY},
        {"params": vectors, "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=rate, betas=(0.9, 0.98), eps=1e-8, fused=True)


def _rate(plan: Plan, step: int, progress: float) -> float:
    """Warm up, hold for three tenths of the time, then fall in a line."""
    warm_up = min(1.0, (step + 1) / (100 if plan.start else 300))
    return plan.learning_rate * warm_up * max(0.003, min(1.0, (1 - progress) / 0.7))


class _Ranks:
    """Data parallelism over gloo, one thread a rank: on CPU better than one process with threads."""

    def __init__(self, rank: int, count: int) -> None:
        self.rank, self.count = rank, count

    def share_weights(self, model: nn.Module) -> None:
        if self.count > 1:
            for parameter in model.parameters():
                dist.broadcast(parameter.data, 0)

    def same_clock(self, seconds: float) -> float:
        """Rank 0's clock, so that all have one learning rate and one last step."""
        clock = torch.tensor([seconds], dtype=torch.float64)
        if self.count > 1:
            dist.broadcast(clock, 0)
        return clock.item()

    def average_gradients(self, model: nn.Module) -> None:
        if self.count == 1:
            return
        parameters = list(model.parameters())
        for parameter in parameters:
            if parameter.grad is None:
                parameter.grad = torch.zeros_like(parameter)
        flat = torch.cat([p.grad.flatten() for p in parameters if p.grad is not None])
        dist.all_reduce(flat)
        flat /= self.count
        pieces = torch.split(flat, [parameter.numel() for parameter in parameters])
        for parameter, piece in zip(parameters, pieces, strict=True):
            parameter.grad = piece.view_as(parameter)


def _steps(plan: Plan, ranks: _Ranks, bar: tqdm) -> Iterator[tuple[int, float]]:
    """Yield (step, progress 0..1) until the time is up."""
    started = time.monotonic()
    step, last = 0, 0.0
    end = min(plan.minutes, plan.stop_minutes or plan.minutes) * 60
    while (now := ranks.same_clock(time.monotonic() - started)) < end:
        bar.update(min(now, end) - last)
        last = now
        yield step, now / (plan.minutes * 60)
        step += 1
    bar.update(max(0.0, end - last))


def _train_rank(rank: int, plan: Plan, port: int) -> None:
    os.environ.setdefault("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "20000")
    torch.set_num_threads(1)
    if plan.processes > 1:
        address = f"tcp://127.0.0.1:{port}"
        dist.init_process_group("gloo", init_method=address, rank=rank, world_size=plan.processes)
    torch.manual_seed(plan.seed + 1000 * rank)
    ranks = _Ranks(rank, plan.processes)
    model, shape = _build(plan)
    ranks.share_weights(model)
    model.train()
    optimiser = _optimiser(model, plan.learning_rate)
    collate = Collator(plan.seed + 1000 * rank, warp=plan.warp)
    batches = Shards(list(plan.shards)).batches(plan.positions, plan.seed, rank, plan.processes)
    smooth: dict[str, float] = {}
    seconds = round(min(plan.minutes, plan.stop_minutes or plan.minutes) * 60)
    saved = time.monotonic()
    with _progress_bar(plan, seconds, rank) as bar:
        for step, progress in _steps(plan, ranks, bar):
            rate = _rate(plan, step, progress)
            for group in optimiser.param_groups:
                group["lr"] = rate
            found = losses(model, collate(*next(batches)))
            optimiser.zero_grad(set_to_none=True)
            found.total(progress, plan.phone_weight).backward()  # type: ignore[no-untyped-call]
            ranks.average_gradients(model)
            if torch.isfinite(nn.utils.clip_grad_norm_(model.parameters(), _CLIP_NORM)):
                optimiser.step()
            _note(bar, smooth, found, step)
            if rank == 0 and time.monotonic() - saved > _SAVE_EVERY_SECONDS:
                save_checkpoint(plan.output, model, shape)
                saved = time.monotonic()
    if rank == 0:
        save_checkpoint(plan.output, model, shape)
    if plan.processes > 1:
        dist.destroy_process_group()


def _progress_bar(plan: Plan, seconds: int, rank: int) -> tqdm:
    form = "{l_bar}{bar:20}| {n:.0f}/{total} s{postfix}"
    return tqdm(total=seconds, desc=plan.name, disable=rank > 0, mininterval=5, bar_format=form)


def _note(bar: tqdm, smooth: dict[str, float], found: Losses, step: int) -> None:
    """Running means beside the progress bar."""
    values = {
        "ce": found.decoder,
        "ctc": found.characters,
        "ph": found.phones,
        "acc": found.accuracy,
    }
    for name, value in values.items():
        smooth[name] = 0.98 * smooth.get(name, value.item()) + 0.02 * value.item()
    if step % 20 == 0:
        bar.set_postfix({"step": step, **{k: f"{v:.3f}" for k, v in smooth.items()}}, refresh=False)


def train(plan: Plan) -> None:
    """Run the plan; leaves the checkpoint at `plan.output`."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    if plan.processes == 1:
        _train_rank(0, plan, port)
    else:
        torch.multiprocessing.spawn(  # type: ignore[attr-defined, no-untyped-call]
            _train_rank, (plan, port), nprocs=plan.processes
        )
