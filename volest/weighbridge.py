"""A truck's scale calibrated against a weighbridge, by the tickets of its loads.

Formulas and sources: `docs/scale.md`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from volest.errors import WeightError
from volest.quantity import COVERAGE_95
from volest.tickets import Pair, check_pair
from volest.truck import Scale

__all__ = ["ScaleCalibration", "Weighbridge", "calibrate"]

Floats = NDArray[np.float64]

FEWEST = 3  # pairs
OUTLIER_SIGMAS = 4.0
MOST_INTERVAL_KG = 1000.0


@dataclass(frozen=True, slots=True)
class Weighbridge:
    """A non-automatic weighing instrument of class III (OIML R 76-1) with scale interval d, verified for e."""

    d_kg: float
    e_kg: float | None = None  # as d

    def mpe_kg(self, net_kg: float) -> float:
        """The maximum permissible error in service, twice that on initial verification; it holds for net values."""
        interval = self.e_kg or self.d_kg
        intervals = net_kg / interval
        return 2.0 * interval * (0.5 if intervals <= 500.0 else 1.0 if intervals <= 2000.0 else 1.5)

    def std_kg(self, net_kg: float) -> float:
        """Standard uncertainty within the maximum permissible error, alike in all tickets (GUM 4.3.7: a rectangle)."""
        return self.mpe_kg(net_kg) / math.sqrt(3.0)

    @property
    def rounding_std_kg(self) -> float:
        """Of a net mass that is the difference of two readings rounded to d, ticket by ticket."""
        return self.d_kg / math.sqrt(6.0)


@dataclass(frozen=True, slots=True)
class ScaleCalibration:
    """A truck's scale against a weighbridge: true net mass = offset + gain * its own net mass.

    Standard uncertainties hold the weighbridge's own. `budget` tells what each source adds to the relative standard
    uncertainty of a corrected mass of `mean_net_kg`, whose squares add up to that of `new_gain_std`.
    """

    gain: float
    gain_std: float
    offset_kg: float
    offset_std_kg: float
    covariance_kg: float  # of gain and offset
    tickets: int  # that counted
    outliers: tuple[int, ...]  # lines of the tickets that did not
    first_time: str  # RFC 3339
    last_time: str
    mean_net_kg: float
    residual_std_kg: float
    scatter_ratio: float  # of residuals to what the stated stds allow; above 1 widens the uncertainty
    weighbridge: Weighbridge
    reference_std_kg: float  # at the mean net mass
    told_gain_std: float  # of the truck file
    compatible: bool  # whether the gain is 1 within 1.96 standard uncertainties of the two together
    new_gain_std: float
    budget: dict[str, float]

    def apply(self, net_kg: float, std_kg: float) -> tuple[float, float]:
        """The corrected net mass and its standard uncertainty; `std_kg` comes without the gain's part.

        Whether the weighbridge errs by kilograms or by a proportion is not known: below the mean net mass it is taken
        for the former, above for the latter.
        """
        told, mean = self.reference_std_kg, self.mean_net_kg
        gain_variance, offset_variance = self.gain_std**2 - (told / mean) ** 2, self.offset_std_kg**2 - told**2
        fitted = net_kg**2 * gain_variance + offset_variance + 2.0 * net_kg * self.covariance_kg
        reference = told * max(1.0, abs(net_kg) / mean)
        std = math.sqrt((self.gain * std_kg) ** 2 + max(fitted, 0.0) + reference**2)
        return self.offset_kg + self.gain * net_kg, std

    @property
    def worthwhile(self) -> bool:
        """Whether the tickets say more than the truck file did, or show it wrong: `apply` is of use only then."""
        return self.new_gain_std < self.told_gain_std or not self.compatible

    def scale(self, scale: Scale) -> Scale:
        """The scale to be used with `apply`, with the new gain_std; the same as before where it is not worthwhile."""
        return msgspec.structs.replace(scale, gain_std=self.new_gain_std) if self.worthwhile else scale

    def to_dict(self) -> dict[str, Any]:
        """All of it, with the intervals, for JSON."""
        document = asdict(self) | {"schema": "volest/scale-calibration/1", "outliers": list(self.outliers)}
        for name, std in (("gain", self.gain_std), ("offset_kg", self.offset_std_kg)):
            value = document[name]
            document[f"{name}_interval95"] = [value - COVERAGE_95 * std, value + COVERAGE_95 * std]
        return document


def calibrate(
    pairs: Sequence[Pair], scale: Scale, weighbridge: Weighbridge, *, offset_std_kg: float | None = None
) -> ScaleCalibration:
    """Gain and offset of a truck's scale from its loads' tickets, outliers left out.

    The offset is what all tares had wrong together: 0 within `offset_std_kg`, by default the scale's `tare_std_kg`;
    infinity fits it freely. What the tickets scatter more than stated widens the result (Birge, Phys. Rev. 40, 1932).
    Raises WeightError for fewer than three pairs that agree, and for numbers out of range.
    """
    offset_std = scale.tare_std_kg if offset_std_kg is None else offset_std_kg
    d_kg, e_kg = weighbridge.d_kg, weighbridge.e_kg or weighbridge.d_kg
    if not (0.0 < d_kg <= MOST_INTERVAL_KG and 0.0 < e_kg <= MOST_INTERVAL_KG and offset_std >= 0.0):
        raise WeightError(f"calibration: found {weighbridge}, offset {offset_std} kg, expected intervals above 0")
    for pair in pairs:
        check_pair(pair)
    net = np.array([pair.load.net_kg for pair in pairs])
    true = np.array([pair.ticket.net_kg for pair in pairs])
    net_std = np.array([max(pair.load.std_kg, 1e-3) for pair in pairs])
    kept = _agreeing(net, true, np.hypot(net_std, weighbridge.rounding_std_kg))
    if kept.sum() < FEWEST:
        raise WeightError(f"calibration: found {kept.sum()} tickets that agree, expected at least {FEWEST}")
    true_std = np.full(len(net), weighbridge.rounding_std_kg)
    for _ in range(10):
        fit = _line(net[kept], true[kept], net_std[kept], true_std[kept], offset_std)
        z = (true - fit.offset - fit.gain * net) / np.hypot(true_std, fit.gain * net_std)
        now = np.abs(z) <= OUTLIER_SIGMAS * max(fit.scatter_ratio, 1.0)
        if (now == kept).all() or now.sum() < FEWEST:
            break
        kept = now
    else:
        fit = _line(net[kept], true[kept], net_std[kept], true_std[kept], offset_std)
    return _told(fit, [pair for pair, keep in zip(pairs, kept, strict=True) if keep], pairs, scale, weighbridge)


def _agreeing(net: Floats, true: Floats, std: Floats) -> NDArray[np.bool_]:
    """Pairs that lie about the median ratio."""
    sound = net > 3.0 * std
    if not sound.any():
        return sound
    off = true - float(np.median(true[sound] / net[sound])) * net
    spread = 1.4826 * float(np.median(np.abs(off[sound])))
    return np.asarray(sound & (np.abs(off) <= OUTLIER_SIGMAS * np.maximum(spread, std)))


@dataclass(frozen=True, slots=True)
class _Line:
    """y = offset + gain x, the covariance of the two as stated stds have it, and how chi-square compares with them."""

    offset: float
    gain: float
    covariance: Floats  # (2, 2); offset, gain
    chi_square: float
    scatter_ratio: float


def _line(x: Floats, y: Floats, x_std: Floats, y_std: Floats, offset_std: float = math.inf) -> _Line:
    """The straight line through points that err in both coordinates (York et al., Am. J. Phys. 72, 2004).

    Its most likely parameters minimise the squares of (y - a - b x) / sqrt(y_std^2 + b^2 x_std^2).
    """
    from scipy.optimize import least_squares

    def residuals(line: Floats) -> Floats:
        off = (y - line[0] - line[1] * x) / np.hypot(y_std, line[1] * x_std)
        return np.append(off, line[0] / offset_std) if offset_std > 0.0 else off

    slope, level = np.polyfit(x, y, 1) if math.isinf(offset_std) else (float(np.median(y) / np.median(x)), 0.0)
    free = [1e-9, np.inf] if offset_std == 0.0 else [np.inf, np.inf]
    found = least_squares(residuals, [level, slope], bounds=([-free[0], -np.inf], free), x_scale=[1.0, 1e-3])
    a, b = (float(each) for each in found.x)
    # At the points' adjusted places, as York has it: at the measured ones the slope would seem too sure.
    weight = 1.0 / (y_std**2 + (b * x_std) ** 2)
    adjusted = x + weight * b * x_std**2 * (y - a - b * x)
    rows = np.column_stack([np.ones_like(x), adjusted]) * np.sqrt(weight)[:, None]
    precision: Floats = rows.T @ rows
    precision[0, 0] += 0.0 if math.isinf(offset_std) else max(offset_std, 1e-6) ** -2
    chi_square = float(np.sum(weight * (y - a - b * x) ** 2))
    freedom = max(len(x) - (2 if math.isinf(offset_std) else 1), 1)
    covariance = np.asarray(np.linalg.inv(precision), dtype=np.float64)
    return _Line(a, b, covariance, chi_square, math.sqrt(chi_square / freedom))


def _told(
    fit: _Line, used: Sequence[Pair], pairs: Sequence[Pair], scale: Scale, weighbridge: Weighbridge
) -> ScaleCalibration:
    net = np.array([pair.load.net_kg for pair in used])
    residuals = np.array([pair.ticket.net_kg for pair in used]) - fit.offset - fit.gain * net
    mean = float(net.mean())
    reference = weighbridge.std_kg(fit.offset + fit.gain * mean)
    widened = fit.covariance * max(fit.scatter_ratio, 1.0) ** 2
    gain_std = math.sqrt(widened[1, 1] + (reference / mean) ** 2)
    budget = _budget(fit, widened, used, weighbridge, reference, mean)
    times = sorted(pair.ticket.time_s for pair in used)
    lines = {id(pair) for pair in used}
    return ScaleCalibration(
        gain=fit.gain,
        gain_std=gain_std,
        offset_kg=fit.offset,
        offset_std_kg=math.hypot(math.sqrt(widened[0, 0]), reference),
        covariance_kg=float(widened[0, 1]),
        tickets=len(used),
        outliers=tuple(pair.ticket.line for pair in pairs if id(pair) not in lines),
        first_time=_rfc3339(times[0]),
        last_time=_rfc3339(times[-1]),
        mean_net_kg=mean,
        residual_std_kg=float(np.sqrt(np.sum(residuals**2) / max(len(used) - 2, 1))),
        scatter_ratio=fit.scatter_ratio,
        weighbridge=weighbridge,
        reference_std_kg=reference,
        told_gain_std=scale.gain_std,
        compatible=abs(fit.gain - 1.0) <= COVERAGE_95 * math.hypot(scale.gain_std, gain_std),
        new_gain_std=math.sqrt(sum(std**2 for std in budget.values())),
        budget=budget,
    )


def _budget(
    fit: _Line, widened: Floats, used: Sequence[Pair], weighbridge: Weighbridge, reference_kg: float, mean_kg: float
) -> dict[str, float]:
    """Relative standard uncertainty of a corrected mean mass, by source (GUM 5.1.2)."""
    at_mean = np.array([1.0, mean_kg])
    stated, told = (float(at_mean @ each @ at_mean) / mean_kg**2 for each in (fit.covariance, widened))
    readings = float(np.mean([(fit.gain * pair.load.std_kg) ** 2 for pair in used]))
    share = readings / (readings + weighbridge.rounding_std_kg**2)
    return {
        "readings": math.sqrt(stated * share),
        "rounding": math.sqrt(stated * (1.0 - share)),
        "unexplained": math.sqrt(max(told - stated, 0.0)),
        "reference": reference_kg / mean_kg,
    }


def _rfc3339(time_s: float) -> str:
    return datetime.fromtimestamp(time_s, UTC).isoformat().replace("+00:00", "Z")
