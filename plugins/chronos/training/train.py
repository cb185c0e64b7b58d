"""Trains the embedded checkpoint: a small Chronos-Bolt from random initialisation, on windows of simulated clocks.

The run is a function of its arguments: weights from `--seed`, window k of step s from the pool of `--pool-seed`, and
augmentation from (seed, step). The state is written to a staging name and renamed every few minutes, so a run that was
stopped goes on where it was. The learning rate warms up, stays, and falls to zero over the last `--decay` steps.

    python train.py OUT --pool POOL --shards 64 --steps 12000 --decay 5500

The pool may still be growing: which shard a step draws from follows from its number, and a step waits for it. With
`--init MODEL` the weights start from a checkpoint of an earlier run, so that a recipe can have several parts.
"""

import argparse
import copy
import json
import math
import os
import time
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import numpy as np
import torch
from chronos.chronos_bolt import ChronosBoltModelForForecasting
from muon import Muon
from safetensors.torch import load_file, save_file
from simulate import CONTEXT, HORIZON, SHARD, windows
from torch import Tensor
from transformers import T5Config

QUANTILES = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)
MEDIAN = QUANTILES.index(0.5)
REPORTED = (8, 32, 64)
# Shards that a run begins with.
FIRST_SHARDS = 16


def build(
    seed: int, layers: int, decoder_layers: int, width: int, hidden: int, patch: int
) -> ChronosBoltModelForForecasting:
    """The architecture with random weights."""
    config = T5Config(
        d_model=width,
        d_kv=16,
        d_ff=hidden,
        num_layers=layers,
        num_decoder_layers=decoder_layers,
        num_heads=width // 16,
        dropout_rate=0.0,
        feed_forward_proj="relu",
        relative_attention_num_buckets=32,
        relative_attention_max_distance=CONTEXT // patch,
        is_encoder_decoder=True,
        vocab_size=2,
        pad_token_id=0,
        eos_token_id=1,
        decoder_start_token_id=0,
        initializer_factor=0.5,
    )
    config.chronos_config = {
        "context_length": CONTEXT,
        "input_patch_size": patch,
        "input_patch_stride": patch,
        "prediction_length": HORIZON,
        "quantiles": list(QUANTILES),
        "use_reg_token": True,
    }
    config.chronos_pipeline_class = "ChronosBoltPipeline"
    config.architectures = ["ChronosBoltModelForForecasting"]
    torch.manual_seed(seed)
    model = ChronosBoltModelForForecasting(config)
    # A learnt position bias keeps torch's fused attention away; the plain form is then a fifth faster to train.
    model.set_attn_implementation("eager")
    return model


class Pool:
    """Batches from the shards of a pool, in a fixed order; waits for a shard that is still being made.

    A turn goes through one shard in a random order. Shards join one after the other over the first nine tenths of the
    run, so that a pool can be made while it is learned from; the newest is taken first, then any.
    """

    def __init__(self, folder: Path, seed: int, shards: int, batch: int, steps: int, device: torch.device) -> None:
        self.folder, self.seed, self.shards, self.batch, self.device = folder, seed, shards, batch, device
        self.per_shard = SHARD // batch
        self.turns = max(1, steps * 9 // (10 * self.per_shard))
        self.index = -1
        self.order = torch.empty(0)
        self.context = self.future = torch.empty(0)
        self.kept: dict[int, tuple[Tensor, Tensor]] = {}

    def joined(self, turn: int) -> int:
        """How many shards this turn can draw from."""
        return min(self.shards, max(FIRST_SHARDS, 1 + turn * self.shards // self.turns))

    def shard(self, turn: int) -> int:
        """The shard of a turn."""
        joined = self.joined(turn)
        if turn < min(joined, FIRST_SHARDS):
            return turn
        if turn and joined > self.joined(turn - 1):
            return joined - 1
        return int(np.random.default_rng([self.seed, turn, 1]).integers(joined))

    def _load(self, index: int) -> tuple[Tensor, Tensor]:
        """A shard on the device. One with memory to spare, which the processor's is not, keeps all of them."""
        if index in self.kept:
            return self.kept[index]
        path = self.folder / f"{self.seed}-{index:04d}.npz"
        while not path.exists():
            time.sleep(0.1)
        with np.load(path) as data:
            both = (torch.from_numpy(data["context"]).to(self.device), torch.from_numpy(data["future"]).to(self.device))
        if self.device.type != "cpu":
            self.kept[index] = both
        return both

    def at(self, step: int) -> tuple[Tensor, Tensor]:
        turn, place = divmod(step, self.per_shard)
        if turn != self.index:
            self.context, self.future = self._load(self.shard(turn))
            order = np.random.default_rng([self.seed, turn]).permutation(SHARD)
            self.order = torch.from_numpy(order).to(self.device)
            self.index = turn
        rows = self.order[place * self.batch : (place + 1) * self.batch]
        return self.context[rows], self.future[:, rows]


def augment(context: Tensor, future: Tensor, seed: int, step: int) -> tuple[Tensor, Tensor]:
    """Random sign and, for one in five, a shorter history; standardised again, far futures dropped."""
    device = context.device
    g = torch.Generator(device).manual_seed(seed * 1_000_003 + step)
    dice = torch.rand(3, len(context), 1, generator=g, device=device)
    sign = torch.where(dice[0] < 0.5, -1.0, 1.0)
    keep = torch.exp(dice[1] * math.log(CONTEXT / 24) + math.log(24.0))
    cut = (dice[2] < 0.2) & (torch.arange(CONTEXT, device=device)[None] < CONTEXT - keep)
    context = (context * sign).masked_fill(cut, math.nan)
    seen = ~context.isnan()
    count = seen.sum(1, keepdim=True).clamp(min=1)
    mean = context.nansum(1, keepdim=True) / count
    scale = (((context - mean) ** 2).nansum(1, keepdim=True) / count).sqrt() + 1e-6
    context = (context - mean) / scale
    future = (future * sign - mean) / scale
    far = ~(future.abs().amax(2, keepdim=True) < 5.0)
    future = future.masked_fill(far, math.nan)
    future[:, (count < 8).squeeze(1)] = math.nan
    return context.clamp(-30.0, 30.0), future


def loss_of(quantiles: Tensor, future: Tensor, levels: Tensor, horizon_weight: Tensor) -> Tensor:
    """Pinball loss of the rates plus the error of the integrated median, each row relative to its own spread.

    The weight of a row depends on the window only, so the quantiles that minimise the loss stay the true ones.

    Args:
        quantiles: shape (n, levels, HORIZON), in units of the window's spread.
        future: shape (2, n, HORIZON); NaN where a future is not to be learned.
    """
    valid = ~future.isnan().any(2)
    target = future.nan_to_num(0.0).unsqueeze(2)
    error = target - quantiles.unsqueeze(0)
    pinball = 2.0 * torch.maximum(levels * error, (levels - 1.0) * error).mean(2)
    pinball = (pinball * horizon_weight).sum(2)
    steps = torch.arange(1, HORIZON + 1, device=error.device)
    drift = (error[:, :, MEDIAN].cumsum(2) / steps).abs()
    drift = (drift * horizon_weight).sum(2)
    spread = (quantiles[:, -1] - quantiles[:, 0]).detach().abs().mean(1).clamp(max=2.0)
    row = (pinball + 0.5 * drift) / (0.15 + spread)
    return (row * valid).sum() / valid.sum().clamp(min=1)


def report(model: ChronosBoltModelForForecasting, held: dict[str, np.ndarray]) -> str:
    """Median error of the integrated forecast after 8, 32, 64 steps: all windows, cyclic ones, short ones."""
    context = torch.from_numpy(held["context"]).to(model.device)
    with torch.inference_mode():
        chunks = [model(context=context[i : i + 256]).quantile_preds for i in range(0, len(context), 256)]
    forecast = torch.cat(chunks).cpu().numpy()
    future = held["future"][0]
    error = np.abs(np.cumsum(forecast[:, MEDIAN] - future, 1))
    length = np.isfinite(held["context"]).sum(1)
    inside = np.nanmean(np.where(np.isnan(future), np.nan, (future > forecast[:, 0]) & (future < forecast[:, -1])))
    parts = []
    for name, rows in (("all", length > 0), ("cyclic", held["cyclic"]), ("short", length < 100)):
        parts.append(name + " " + "/".join(f"{np.nanmedian(error[rows, h - 1]):.2f}" for h in REPORTED))
    return "  ".join(parts) + f"  in 10..90 %: {inside:.2f}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=Path)
    parser.add_argument("--pool", type=Path, required=True)
    parser.add_argument("--pool-seed", type=int, default=7)
    parser.add_argument("--shards", type=int, default=64)
    parser.add_argument("--steps", type=int, default=12_000)
    parser.add_argument("--decay", type=int, default=5_500)
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--lr", type=float, default=3e-3)
    parser.add_argument("--muon-lr", type=float, default=0.025)
    parser.add_argument("--layers", type=int, default=3)
    parser.add_argument("--decoder-layers", type=int, default=2)
    parser.add_argument("--width", type=int, default=64)
    parser.add_argument("--hidden", type=int, default=224)
    parser.add_argument("--patch", type=int, default=16)
    parser.add_argument("--seed", type=int, default=2)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--init", type=Path, default=None, help="folder of a checkpoint to start from")
    parser.add_argument("--stop-at", type=int, default=None, help="stop at this step; the schedule stays")
    args = parser.parse_args()

    torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))
    torch.set_float32_matmul_precision("high")
    device = torch.device(args.device)
    shape = (args.seed, args.layers, args.decoder_layers, args.width, args.hidden, args.patch)
    model = build(*shape).to(device)
    if args.init is not None:
        model.load_state_dict(load_file(args.init / "model.safetensors"), strict=False)
    optimizer = Muon(model, lr=args.lr, matrix_lr=args.muon_lr)
    average = {k: v.detach().clone() for k, v in model.named_parameters()}
    step, spent = 0, 0.0
    state_file = args.out / "state.safetensors"
    if state_file.exists():
        state = load_file(state_file)
        progress = json.loads((args.out / "progress.json").read_text())
        step, spent = progress["step"], progress["seconds"]
        with torch.no_grad():
            for name, p in model.named_parameters():
                p.copy_(state["weight." + name])
                average[name].copy_(state["average." + name])
        optimizer.load(state)
    w = windows(2048, np.random.default_rng([999, 0]))
    held = {"context": w.context.astype(np.float32), "future": w.future.astype(np.float32), "cyclic": w.cyclic}
    shadow = build(*shape).to(device).eval()
    levels = torch.tensor(QUANTILES, device=device)[None, None, :, None]
    horizon_weight = (torch.arange(HORIZON, device=device) + 4.0) ** -0.5
    horizon_weight = horizon_weight / horizon_weight.sum()
    pool = Pool(args.pool, args.pool_seed, args.shards, args.batch, args.steps, device)
    print(f"{sum(p.numel() for p in model.parameters())} parameters, on {device}, from step {step}", flush=True)

    def save() -> None:
        args.out.mkdir(parents=True, exist_ok=True)
        tensors = {"weight." + k: v.detach() for k, v in model.named_parameters()}
        tensors |= {"average." + k: v for k, v in average.items()} | optimizer.state()
        save_file({k: v.contiguous().clone() for k, v in tensors.items()}, state_file.with_suffix(".part"))
        staging = args.out / "progress.part"
        staging.write_text(json.dumps({"step": step, "seconds": round(spent, 1)}))
        os.replace(state_file.with_suffix(".part"), state_file)
        os.replace(staging, args.out / "progress.json")
        copy.deepcopy(shadow).half().save_pretrained(args.out / "staging")
        (args.out / "model").mkdir(exist_ok=True)
        for name in ("config.json", "model.safetensors"):
            os.replace(args.out / "staging" / name, args.out / "model" / name)

    losses: list[float] = []
    since = time.monotonic()
    last_save = since
    end = min(args.steps, args.stop_at or args.steps)
    while step < end:
        rate = min(1.0, (step + 1) / 300, max((args.steps - step) / args.decay, 0.0))
        context, future = augment(*pool.at(step), args.seed, step)
        loss = loss_of(model(context=context).quantile_preds, future, levels, horizon_weight)
        optimizer.zero_grad()
        if torch.isfinite(loss):
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step(rate)
            losses.append(loss.item())
        step += 1
        keep = min(0.9995, step / (step + 20.0))
        with torch.no_grad():
            torch._foreach_lerp_(list(average.values()), list(model.parameters()), 1.0 - keep)
        if step % 500 == 0 or step == end:
            with torch.no_grad():
                for name, p in shadow.named_parameters():
                    p.copy_(average[name])
            now = time.monotonic()
            spent, since = spent + now - since, now
            print(f"{step} {spent:.0f} s loss {np.mean(losses[-500:]):.4f} | {report(shadow, held)}", flush=True)
            if now - last_save > 120 or step == end:
                save()
                last_save = now


if __name__ == "__main__":
    main()
