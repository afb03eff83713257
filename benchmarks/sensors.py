"""How far `volest bench-sensor` can be believed.

    python benchmarks/sensors.py ranking --loads 40 --seeds 5      five sensors ranked again on other loads
    python benchmarks/sensors.py cases DIR --loads 24              RMS errors that are predicted for the sensors, mounts
                                                                   and beds of cases with known truth, and theirs

The cases were made by another simulator; nothing here is fitted to them.
"""

from __future__ import annotations

import argparse
import itertools
from collections import defaultdict
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.stats import kendalltau

from volest.case import Case, read_cases, run_case
from volest.catalogue import load_sensor
from volest.progress import Bar
from volest.score import Scored, score_case
from volest.sensorbench.campaign import Campaign
from volest.sensorbench.mounts import MOUNTS, truck_mount
from volest.sensorbench.row import Row
from volest.sensorbench.summary import summarise
from volest.sensorbench.trial import Contender, Stage
from volest.truck import Truck

FIVE = ("ouster-os0-32", "ouster-os1-32", "velodyne-vlp-16", "livox-avia", "sick-multiscan136")
MODELS = {"os128": "ouster-os0-128", "vlp16": "velodyne-vlp-16", "tof": "microsoft-azure-kinect"}


def ranking(arguments: argparse.Namespace) -> None:
    """Rank five sensors once a seed, and tell how alike the rankings are."""
    contenders = [Contender(name, load_sensor(name), MOUNTS[arguments.mount]) for name in FIVE]
    orders = []
    with Campaign(arguments.jobs) as campaign, Bar("estimating") as bar:
        seeds = range(arguments.seed, arguments.seed + arguments.seeds)
        trials = [(Stage(seed), c, n) for seed in seeds for c in contenders for n in range(arguments.loads)]
        found = campaign.rows(trials, bar.tell)
    for seed, rows in zip(seeds, np.array_split(np.array(found, dtype=object), len(seeds)), strict=True):
        summary = summarise(list(itertools.chain(*rows)), seed)
        orders.append([entry.sensor for entry in summary.entries])
        words = [
            f"{e.sensor} {e.rms_percent.value:.2f} ({e.rms_percent.low:.2f} to {e.rms_percent.high:.2f})"
            if e.rms_percent
            else f"{e.sensor} none"
            for e in summary.entries
        ]
        print(seed, "; ".join(words), flush=True)
    places = [[order.index(name) for name in FIVE] for order in orders]
    taus = [kendalltau(a, b).statistic for a, b in itertools.combinations(places, 2)]
    print(f"Kendall's tau between seeds: mean {np.mean(taus):.3f}, least {np.min(taus):.3f}, {len(taus)} pairs")


def cases(arguments: argparse.Namespace) -> None:
    """Predict what the cases' sensors are worth, and measure it."""
    loads = [case for case in read_cases(arguments.directory) if case.kind == "load" and _can_be_matched(case)]
    with Campaign(arguments.jobs) as campaign, Bar("estimating") as bar:
        trials = [t for case in loads for t in _trials(case, arguments)]
        found = campaign.rows(trials, bar.tell)
    predicted, measured = defaultdict(list), defaultdict(list)
    for case, rows in zip(loads, np.array_split(np.array(found, dtype=object), len(loads)), strict=True):
        scored = score_case(case, run_case(case))
        for group in ("all", case.sensors.partition("@")[0], case.sensors):
            predicted[group].append(list(itertools.chain(*rows)))
            measured[group].append(scored)
    print(f"{'sensors':32s} {'cases':>5s} {'predicted':>20s} {'measured':>20s} {'ratio':>20s}")
    for group in sorted(predicted):
        _compare(group, predicted[group], measured[group])


def _can_be_matched(case: Case) -> bool:
    return not case.hard and not case.scene.get("merged")


def _trials(case: Case, arguments: argparse.Namespace) -> list[tuple[Stage, Contender, int]]:
    truck = Truck.load(Path(case.folder) / "truck.toml")
    device = case.sensors.partition("@")[0]
    kinds = (case.load,) if arguments.same_loads else None
    stage = Stage(arguments.seed, truck.bed, bool(truck.bed.reference), repeats=1, kinds=kinds)
    contender = Contender(MODELS[device], load_sensor(MODELS[device]), truck_mount(truck))
    return [(stage, contender, number) for number in range(arguments.loads)]


def _compare(group: str, predicted: list[list[Row]], measured: list[Scored]) -> None:
    """One line: RMS errors with bootstrap intervals, by case."""
    rng = np.random.default_rng(0)
    squares = [[r.error_percent**2 for r in rows if r.error_percent is not None] for rows in predicted]
    own = [[] if m.error_percent is None else [m.error_percent**2] for m in measured]

    def rms(values: list[list[float]]) -> float:
        return float(np.sqrt(np.mean(np.concatenate(values))))

    def words(value: float, draws: NDArray[np.float64]) -> str:
        low, high = np.quantile(draws, (0.025, 0.975))
        return f"{value:.2f} ({low:.2f} to {high:.2f})"

    picks = [rng.integers(0, len(own), len(own)) for _ in range(1000)]
    forecast, truly = (np.array([rms([part[i] for i in pick]) for pick in picks]) for part in (squares, own))
    both = words(rms(squares), forecast), words(rms(own), truly)
    ratio = words(rms(squares) / rms(own), forecast / np.maximum(truly, 1e-9))
    print(f"{group:32s} {len(own):5d} {both[0]:>20s} {both[1]:>20s} {ratio:>20s}", flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["ranking", "cases"])
    parser.add_argument("directory", type=Path, nargs="?", help="of the cases")
    parser.add_argument("--loads", type=int, default=40, help="a contender")
    parser.add_argument("--seed", type=int, default=5_000_000, help="the first")
    parser.add_argument("--seeds", type=int, default=5, help="how many")
    parser.add_argument("--mount", default="overhead", choices=list(MOUNTS))
    parser.add_argument("--same-loads", action="store_true", help="of the kind that the case has, not of all kinds")
    parser.add_argument("--jobs", type=int, help="trials side by side; else one a core")
    {"ranking": ranking, "cases": cases}[parser.parse_args().what](parser.parse_args())
