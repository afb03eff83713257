"""Commissioning: what is rehearsed is a scan of this bed, and what is learned is honest and reproducible."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
from simulated_loads import BED, MAST, covers, estimator_of, scans_of, scene

from volest import Estimator, InputError, Truck
from volest.bed import BedModel, Layout
from volest.cli import main
from volest.commission import Summary, commission
from volest.hidden import generic_weights
from volest.network import fit, rms_m
from volest.simulate import simulate, write
from volest.simulate.heightfield import HeightField
from volest.simulate.rehearsal import MeasuredBed, View, rehearse

SENSOR = MAST | {"columns": 192, "rows": 64}
LOADS = 160


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("load")
    write(simulate(scene("smooth", 0.7, SENSOR)), folder)
    return folder


@dataclass(frozen=True)
class Made:
    """A commissioned truck, and what was heard meanwhile."""

    path: Path
    summary: Summary
    heard: list[tuple[int, int]]


@pytest.fixture(scope="module")
def made(folder: Path) -> Made:
    path, heard = folder / "truck.volest", []
    truck = Truck.load(folder / "truck.toml")
    summary = commission(truck, path, loads=LOADS, seed=1, tell=lambda done, total: heard.append((done, total)))
    return Made(path, summary, heard)


# --- rehearsals -------------------------------------------------------------------------------------------------------


def test_a_measured_box_has_the_volume_of_the_box() -> None:
    bed = MeasuredBed(BedModel.nominal(Layout(4.0, 2.0, 1.0)))
    assert bed.struck_m3 == pytest.approx(8.0, rel=1e-3)
    level = HeightField.over(bed.footprint_m, 0.05)
    assert bed.volume_m3(level.with_heights(np.full_like(level.z_m, 0.4))) == pytest.approx(3.2, rel=1e-3)


def test_a_leaning_wall_holds_the_volume_of_its_wedge() -> None:
    nominal = BedModel.nominal(Layout(4.0, 2.0, 1.0))
    walls = nominal.walls.copy()
    walls[0] = np.array([-1.0, 0.0, 0.1, -2.0]) / np.hypot(1.0, 0.1)  # leans 0.1 m outwards at the top
    assert MeasuredBed(replace(nominal, walls=walls)).struck_m3 == pytest.approx(8.0 + 0.5 * 0.1 * 1.0 * 2.0, rel=2e-3)


def test_the_measured_bed_has_the_capacity_that_estimates_have(tmp_path: Path) -> None:
    made = simulate(scene("none", 0.0, MAST, bed=BED))
    estimator = estimator_of(made, tmp_path)
    told = estimator.estimate(scans_of(made)).struck_capacity_m3
    assert MeasuredBed(estimator.bed).struck_m3 == pytest.approx(told, rel=5e-3)


def test_a_load_shortens_rays_and_lengthens_none(tmp_path: Path) -> None:
    made = simulate(scene("none", 0.0, MAST | {"noise": {"stray": 0.0}}))
    estimator = estimator_of(made, tmp_path)
    ((_, scan),) = estimator.reference
    view = View.of(scan, 1e-6, (0.0, 0.0))
    for number in range(6):
        load = rehearse(MeasuredBed(estimator.bed), (view,), np.random.default_rng([5, number]))
        ranges = np.linalg.norm(load.scans[0], axis=1)
        cosine = (load.scans[0] / ranges[:, None] * view.directions[: len(ranges)]).sum(axis=1)
        assert len(ranges) <= len(view.range_m)
        if len(ranges) == len(view.range_m):
            assert cosine.min() > 1.0 - 1e-6
        assert ranges.max() <= view.range_m.max() + 1e-4
        assert load.volume_m3 >= 0.0
        assert np.allclose(load.told[0].matrix(), scan.pose)


# --- the network ------------------------------------------------------------------------------------------------------


def test_teaching_goes_on_from_what_is_known() -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(30_000, 15)).astype(np.float32)
    y = (0.1 * np.abs(x[:, 0]) + 0.05 * x[:, 1]).astype(np.float32)
    first = fit(x, y)
    assert rms_m(first, x, y) < 0.3 * float(y.std())
    other = (y + 0.1).astype(np.float32)
    assert rms_m(fit(x, other, start=first, epochs=10, rate=1e-3), x, other) < 0.5 * rms_m(first, x, other)


# --- the file ---------------------------------------------------------------------------------------------------------


def test_one_process_gives_the_same_bytes_as_several(folder: Path, made: Made) -> None:
    again = folder / "again.volest"
    commission(Truck.load(folder / "truck.toml"), again, loads=LOADS, seed=1, jobs=1)
    assert again.read_bytes() == made.path.read_bytes()


def test_a_commissioned_truck_measures_loads_it_has_not_seen(made: Made) -> None:
    estimator = Estimator(Truck.load(made.path))
    held = 0
    for k, kind in enumerate(("smooth", "rough", "peaked", "flat", "rough", "smooth")):
        load = simulate(scene(kind, 0.25 + 0.1 * k, SENSOR))
        result = estimator.estimate(scans_of(load))
        assert result.status == "ok"
        held += covers(result, load)
    assert held >= 5


def test_what_was_learned_is_told(made: Made) -> None:
    assert made.heard == [(done, LOADS) for done in range(1, LOADS + 1)]
    assert made.summary.loads + made.summary.rejected == LOADS // 2
    assert made.summary.coverage > 0.85
    assert made.summary.rms < made.summary.width
    learned = Truck.load(made.path).commissioned
    assert learned is not None
    assert not np.array_equal(learned.hidden_weights, generic_weights())
    assert learned.provenance["rehearsed"]["loads"] == made.summary.loads


def test_what_cannot_be_commissioned_is_told(folder: Path, tmp_path: Path) -> None:
    truck = Truck.load(folder / "truck.toml")
    bare = replace(truck, bed=replace(truck.bed, reference=()))
    with pytest.raises(InputError, match=r"bed\.reference: missing"):
        commission(bare, tmp_path / "x.volest", loads=LOADS)
    with pytest.raises(InputError, match="sensor: missing"):
        commission(replace(bare, sensors=()), tmp_path / "x.volest", loads=LOADS)
    with pytest.raises(InputError, match="loads: found 10"):
        commission(truck, tmp_path / "x.volest", loads=10)
    assert not list(tmp_path.iterdir())


def test_the_verb(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    target = tmp_path / "t.volest"
    toml, empty = str(folder / "truck.toml"), str(folder / "empty.pcd")
    assert main(["commission", empty, "--truck", toml, "-o", str(target), "--loads", str(LOADS)]) == 0
    assert "that were not learned from" in capsys.readouterr().out
    scan = str(folder / "mast.pcd")
    assert main(["estimate", scan, "--truck", str(target), "--json"]) == 0
    assert main(["commission", empty, "--truck", str(target), "-o", str(tmp_path / "u.volest")]) == 2
    assert "expected its truck.toml" in capsys.readouterr().err
    assert main(["commission", "none=x.npy", "--truck", toml, "-o", str(tmp_path / "u.volest")]) == 2
