"""What fine-tuning on a clock's own history is worth: a simulated clock as CSV through `chronotick train`.

A cycle of fifty minutes with two harmonics and a wandering phase, measured every 64 s through queueing both ways. The
command's own report is printed: on the last three tenths of the history, which nothing was trained on, against the true
clock.

    python tests/bench/finetune.py [--days 8] [--seed 2] [--plugin chronos] [--weights FOLDER] [--steps 400] [--json]
"""

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

from chronotick.lab.oscillator import Oscillator
from chronotick.lab.scenario import OscillatorConfig, SineConfig

POLL_S, QUEUE_S, DELAY_S = 64.0, 5e-5, 4e-4
CYCLE = SineConfig(amplitude_ppm=0.4, period_s=3000, second_harmonic=0.6, wander_turns=0.05, phase_turns=0.1)


def write(path: Path, days: float, seed: int) -> None:
    """The recorded clock, with its truth."""
    oscillator = Oscillator(OscillatorConfig(base_ppm=9, sines=(CYCLE,), walk_ppb_per_sqrt_s=0.05), seed)
    rng = np.random.default_rng(seed)
    with path.open("w") as file:
        file.write("t_s,offset_s,delay_s,truth_offset_s\n")
        for t in np.arange(0.0, days * 86_400, POLL_S):
            out, back = rng.gamma(0.8, QUEUE_S / 0.8, 2)
            theta = oscillator.phase_s(t)
            file.write(f"{t:.3f},{theta + (out - back) / 2:.9f},{DELAY_S + out + back:.9f},{theta:.9f}\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--days", type=float, default=8.0)
    parser.add_argument("--seed", type=int, default=2)
    parser.add_argument("--plugin", default="chronos")
    parser.add_argument("--weights", default="", help="folder to begin with (default: the plugin's own)")
    parser.add_argument("--steps", type=int, default=400)
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        history = Path(folder) / "clock.csv"
        write(history, args.days, args.seed)
        words = ["train", args.plugin, str(history), "--out", f"{folder}/tuned", "--steps", str(args.steps), "--force"]
        words += ["--weights", args.weights] if args.weights else []
        words += ["--json"] if args.json else []
        raise SystemExit(subprocess.run([sys.executable, "-m", "chronotick.cli", *words], check=False).returncode)


if __name__ == "__main__":
    main()
