"""Whether the outcome of a case is right, and what is wrong with it if it is not."""

from __future__ import annotations

from typing import Any

from volest.case import Accept, Case, Outcome, Truth

__all__ = ["complaints", "holds_truth"]

WIDEST = 0.6  # of struck capacity: an interval that is not narrower covers nothing
MOST_SECONDS = 120.0
MOST_BYTES = 6 * 1024**3


def complaints(case: Case, outcome: Outcome) -> list[str]:
    """What is wrong with an outcome; nothing when it is right.

    A load is due an estimate, a fault an outcome of which any entry of `accept` holds. Neither may fail in a way that
    was not foreseen, leave files behind, or use 6 GB of memory or two minutes.
    """
    found = []
    if outcome.exit == 1:
        found.append(outcome.stderr)
    elif case.kind == "load" and outcome.exit != 0:
        found.append(f"exit {outcome.exit}, expected an estimate: {outcome.stderr}")
    elif case.expect is not None and case.kind == "fault":
        misfits = [_misfits(entry, outcome, case.truth) for entry in case.expect.accept]
        found += [] if [] in misfits else ["; or ".join(", ".join(each) for each in misfits)]
    if outcome.touched:
        found.append(f"touched {', '.join(outcome.touched)} in the folder")
    if outcome.seconds > MOST_SECONDS:
        found.append(f"took {outcome.seconds:.0f} s, expected at most {MOST_SECONDS:.0f} s")
    if outcome.peak_bytes >= MOST_BYTES:
        found.append(f"used {outcome.peak_bytes / 1024**3:.1f} GB of memory, expected less than 6 GB")
    return found


def _misfits(entry: Accept, outcome: Outcome, truth: Truth) -> list[str]:
    """What does not hold of all that an entry of `accept` names."""
    result = outcome.result or {}
    status, flags, mass = result.get("status"), result.get("flags", []), result.get("net_mass_kg")
    missing = [word for word in entry.stderr_all or [] if word not in outcome.stderr]
    rules = [
        (entry.exit is None or outcome.exit in entry.exit, f"exit {outcome.exit}, expected {entry.exit}"),
        (entry.status is None or status in entry.status, f"status {status}, expected {entry.status}"),
        (not entry.flags_any or set(flags) & set(entry.flags_any), f"flags {flags}, expected one of {entry.flags_any}"),
        (not entry.flags or flags, "no flag, expected one"),
        (not entry.volume or _volume_covers(result, truth), _volume_words(result, truth)),
        (not entry.mass or _mass_fits(entry.mass, result, truth), f"mass {mass}, expected {entry.mass}"),
        (not missing, f"standard error lacks {missing}"),
    ]
    return [words for holds, words in rules if not holds]


def holds_truth(quantity: dict[str, float] | None, truth: float | None) -> bool:
    """Whether a quantity's 95 % interval holds the truth."""
    return quantity is not None and truth is not None and quantity["lower95"] <= truth <= quantity["upper95"]


def _volume_covers(result: dict[str, Any], truth: Truth) -> bool:
    volume = result.get("volume_m3")
    if volume is None or not holds_truth(volume, truth.volume_m3):
        return False
    return bool(volume["upper95"] - volume["lower95"] < WIDEST * truth.struck_capacity_m3)


def _volume_words(result: dict[str, Any], truth: Truth) -> str:
    volume = result.get("volume_m3")
    if volume is None:
        return "no volume"
    interval = f"{volume['lower95']:.3f} to {volume['upper95']:.3f} m3"
    return f"volume {interval}, expected {truth.volume_m3:.3f} m3 in less than {WIDEST:.0%} of struck capacity"


def _mass_fits(asked: str, result: dict[str, Any], truth: Truth) -> bool:
    if "net_mass_kg" not in result:
        return False
    mass = result["net_mass_kg"]
    if asked == "null":
        return mass is None
    if asked == "not negative":
        return mass is None or mass["value"] >= 0.0
    return holds_truth(mass, truth.net_mass_kg)
