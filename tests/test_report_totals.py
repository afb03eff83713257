"""Totals of many loads: their intervals against truth, against a slow twin, and against closed forms."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from load_rows import PARTS, Year, draw_year

from volest.report.loads import Loads
from volest.report.totals import COMMON, ERRORS, FLEET, SOURCES, totals
from volest.rows import BUDGET
from volest.track import volume as scan_to_scan

FLEETS, TRUCKS = 400, 3


@pytest.fixture(scope="module")
def fleets() -> Year:
    """400 fleets of three trucks of 60 trips each, a fleet in the place of a district."""
    year = draw_year(11, trucks=FLEETS * TRUCKS, days=15, trips=4)
    names = pa.array([f"{k // TRUCKS:04d}" for k in year.truck])
    index = year.table.schema.get_field_index("district")
    return replace(year, table=year.table.set_column(index, "district", names))


@pytest.fixture(scope="module")
def loads(fleets: Year, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Loads]:
    with Loads(fleets.write_one(tmp_path_factory.mktemp("fleets"))) as loads:
        yield loads


def true_sums(year: Year, values: np.ndarray) -> np.ndarray:
    return np.bincount(year.truck // TRUCKS, values * year.counted, FLEETS)


@pytest.mark.parametrize(("quantity", "most"), [("volume_m3", 0.98), ("net_mass_kg", 0.99)])
def test_intervals_of_totals_hold_the_truth(loads: Loads, fleets: Year, quantity: str, most: float) -> None:
    truth = true_sums(fleets, fleets.volume_m3 if quantity == "volume_m3" else fleets.mass_kg)
    found = totals(loads, quantity, group="district")
    assert [figure.group for figure in found] == [f"{k:04d}" for k in range(FLEETS)]
    held = [f.quantity.lower95 <= t <= f.quantity.upper95 for f, t in zip(found, truth, strict=True) if f.quantity]
    assert 0.92 <= np.mean(held) <= most
    alone = [np.sqrt(np.sum(np.square(list(f.sources.values())))) for f in found if f.sources]
    assert np.allclose(alone, [f.std for f in found])


def test_totals_taken_for_independent_would_not_hold_the_truth(
    loads: Loads, fleets: Year, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("volest.report.totals.COMMON", dict.fromkeys(COMMON, 0.0))
    truth = true_sums(fleets, fleets.volume_m3)
    found = totals(loads, "volume_m3", group="district")
    held = [f.quantity.lower95 <= t <= f.quantity.upper95 for f, t in zip(found, truth, strict=True) if f.quantity]
    assert np.mean(held) < 0.5


def test_intervals_of_densities_hold_the_truth(loads: Loads, fleets: Year) -> None:
    truth = true_sums(fleets, fleets.mass_kg) / true_sums(fleets, fleets.volume_m3)
    found = totals(loads, "net_mass_kg", over="volume_m3", group="district")
    held = [f.quantity.lower95 <= t <= f.quantity.upper95 for f, t in zip(found, truth, strict=True) if f.quantity]
    assert 0.92 <= np.mean(held) <= 0.99


def test_sql_and_a_slow_twin_agree(loads: Loads, fleets: Year) -> None:
    chosen = np.flatnonzero(fleets.counted & (fleets.truck // TRUCKS == 7))
    take = {name: fleets.table.column(name).take(pa.array(chosen)).to_numpy() for name in _NEEDED}
    for over in (None, "volume_m3"):
        found = totals(loads, "net_mass_kg", over=over, where="load AND district = '0007'", factor=0.001, per="2")
        value, std = _twin(take, fleets.truck[chosen], over)
        assert found[0].value == pytest.approx(value, rel=1e-12)
        assert found[0].std == pytest.approx(std, rel=1e-9)


_NEEDED = (
    "volume_m3",
    "volume_m3_std",
    "net_mass_kg",
    "net_mass_kg_std",
    "scale_gain_std",
    "scale_tare_std_kg",
    *tuple(f"volume_budget_m3_{part}" for part in BUDGET),
)


def _twin(rows: dict[str, np.ndarray], truck: np.ndarray, over: str | None) -> tuple[float, float]:
    """The covariance matrix of all loads, in full."""
    volume, mass = rows["volume_m3"], rows["net_mass_kg"]
    scale = 0.001 / 2.0 / (volume.sum() if over else 1.0)
    ratio = mass.sum() / volume.sum() if over else 0.0
    gain = np.minimum(rows["net_mass_kg_std"], rows["scale_gain_std"] * mass)
    tare = np.minimum(np.sqrt(np.maximum(rows["net_mass_kg_std"] ** 2 - gain**2, 0)), rows["scale_tare_std_kg"])
    reading = np.sqrt(np.maximum(rows["net_mass_kg_std"] ** 2 - gain**2 - tare**2, 0))
    errors = {"gain": gain, "tare": tare, "reading": reading}
    if over:
        errors |= {part: -ratio * rows[f"volume_budget_m3_{part}"] for part in BUDGET}
    same = truck[:, None] == truck[None, :]
    variance = 0.0
    for name, a in errors.items():
        correlation = COMMON[name] * same + (1.0 - COMMON[name]) * np.eye(len(truck))
        variance += (scale * a) @ correlation @ (scale * a)
    return float(scale * mass.sum()), float(np.sqrt(variance))


def test_a_gain_does_not_average_out(tmp_path: Path) -> None:
    shares = []
    for days in (4, 64):
        year = draw_year(5, trucks=1, days=days, rejected=0.0)
        with Loads(year.write_one(tmp_path / str(days))) as loads:
            figure = totals(loads, "net_mass_kg")[0]
        assert figure.sources is not None
        assert figure.value is not None
        shares.append(figure.sources["gain"] / figure.value)
        assert figure.sources["reading"] / figure.value < 0.001
    assert shares == pytest.approx([0.01, 0.01], rel=1e-6)


def test_wetness_is_common_to_all_trucks(loads: Loads) -> None:
    share = totals(loads, "wet_mass_kg", over="net_mass_kg")[0]
    assert share.std == pytest.approx(0.06, rel=1e-3)  # as of one load
    assert {"wetness"} == FLEET


def test_groups_that_are_not_told_are_a_group_of_their_own(tmp_path: Path) -> None:
    year = draw_year(6, trucks=2, days=3)
    index = year.table.schema.get_field_index("district")
    table = year.table.set_column(index, "district", pa.nulls(len(year.table), pa.string()))
    with Loads(replace(year, table=table).write_one(tmp_path)) as loads:
        (figure,) = totals(loads, "volume_m3", group="district")
        whole = totals(loads, "volume_m3")[0]
    assert figure.group is None
    assert figure.value == whole.value
    assert figure.std == whole.std > 0.0


def test_a_load_without_a_budget_counts_as_common(tmp_path: Path) -> None:
    year = draw_year(8, trucks=1, days=5, rejected=0.0)
    table = year.table
    for part in PARTS:
        name = f"volume_budget_m3_{part}"
        table = table.set_column(table.schema.get_field_index(name), name, pa.nulls(len(table), pa.float64()))
    with Loads(replace(year, table=table).write_one(tmp_path)) as loads:
        figure = totals(loads, "volume_m3")[0]
        stds = loads.row("SELECT sum(volume_m3_std) AS s FROM loads WHERE load")["s"]
    assert figure.std == pytest.approx(stds)


def test_correlations_are_those_of_tracking_at_another_load() -> None:
    """docs/track.md and docs/report.md tell of the same errors; where scans differ by a whole load they must agree."""
    assert COMMON["range"] == scan_to_scan.RANGE
    assert COMMON["pose"] == scan_to_scan.POSE
    assert COMMON["reference"] == scan_to_scan.REFERENCE
    assert COMMON["hidden"] == scan_to_scan.ALIKE_HIDDEN
    assert COMMON["surface"] == pytest.approx(scan_to_scan.SURFACE * scan_to_scan.ALIKE_SURFACE)
    assert set(SOURCES) == {name for errors in ERRORS.values() for name in errors}
