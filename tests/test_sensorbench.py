"""A bench of sensors: what it draws, what it says of it, how sure it is, and what it writes."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Sequence
from dataclasses import asdict, fields, replace
from pathlib import Path

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from volest.case import read_case, run_case
from volest.catalogue import load_sensor, sensor_names
from volest.cli import main
from volest.errors import InputError
from volest.pose import Pose
from volest.score import score_case
from volest.sensorbench import MOUNTS, Bench, Options, Row, Summary, bench
from volest.sensorbench.campaign import Campaign, Trial
from volest.sensorbench.mounts import Mount, Place, aimed, fixed_mount, truck_mount
from volest.sensorbench.optimum import default_limits, optimise, read_limits
from volest.sensorbench.page import page
from volest.sensorbench.parquet import write_rows
from volest.sensorbench.recorded import recorded_rows
from volest.sensorbench.summary import share, summarise
from volest.sensorbench.trial import Contender, Stage, drawn_scene, rows_of
from volest.simulate.scene import BedScene
from volest.truck import Bed, Truck

DATASETS = Path(__file__).parents[1] / "datasets"
BED = BedScene(length_m=4.2, width_m=2.1, height_m=1.3)
TINY = """schema = 1
name = "A small camera"
source = "nobody's data sheet, for tests alone"
noise = { std_m = [[1.0, 0.008], [6.0, 0.012]], quantum_m = 0.001 }
detection = { min_m = 0.2, max_m = 20, range_m = 12, reflectivity = 0.1 }
beam = { divergence_deg = [0.2, 0.2] }
[scan]
pattern = "camera"
rate_hz = 10
horizontal_fov_deg = 80
vertical_fov_deg = [-35, 35]
rows = 60
columns = 90
"""
Capture = pytest.CaptureFixture[str]


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("sensors") / "tiny.toml"
    path.write_text(TINY, "utf-8")
    return path


@pytest.fixture(scope="module")
def benched(tiny: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Bench, Path]:
    """A small camera at two mounts, and a recording."""
    folder = tmp_path_factory.mktemp("report")
    options = Options(mounts=("overhead", "front"), loads=5, seed=3, jobs=1)
    return bench([str(tiny), str(DATASETS / "half-full-overhead")], folder, options), folder


def rows_with(errors: Sequence[float | None], sensor: str = "a", repeat: int = 0) -> list[Row]:
    """A row a load with that error; None: rejected."""
    return [
        Row(
            sensor=sensor, mount="overhead", load=load, repeat=repeat, kind="flat", recorded=False, status="ok",
            struck_capacity_m3=10.0, truth_m3=5.0, error_percent=error, width_percent=None if error is None else 2.0,
            covered=None if error is None else abs(error) <= 1.0, seen_fraction=0.9,
        )
        for load, error in enumerate(errors)
    ]  # fmt: skip


# --- mounts -----------------------------------------------------------------------------------------------------------


@given(st.sampled_from(sensor_names()), st.floats(-3, 3), st.floats(-2, 2), st.floats(2, 6))
def test_the_middle_of_the_view_looks_at_the_middle_of_the_bed(name: str, x: float, y: float, z: float) -> None:
    model = load_sensor(name)
    place = aimed("s", (x, y, z), BED, model)
    middle = math.radians(sum(model.scan.vertical_fov_deg) / 2.0)
    sight = Pose.from_xyz_rpy_deg(place.xyz_m, place.rpy_deg).rotation @ [math.cos(middle), 0.0, math.sin(middle)]
    if math.hypot(x, y) < 0.3:  # overhead: straight down
        assert sight == pytest.approx([0.0, 0.0, -1.0], abs=1e-9)
    else:
        to_middle = np.array([0.0, 0.0, BED.height_m / 2.0]) - place.xyz_m
        assert sight == pytest.approx(to_middle / np.linalg.norm(to_middle), abs=1e-9)


def test_masts_stand_above_headboards_and_outside_of_the_bed() -> None:
    high = msgspec.structs.replace(BED, headboard_m=1.5)
    for name in ("front", "both-ends"):
        front, *rear = MOUNTS[name].places(high, load_sensor("ouster-os0-128"))
        assert front.xyz_m[0] > high.length_m / 2.0
        assert front.xyz_m[2] > high.height_m + high.headboard_m + 0.8
        assert [place.xyz_m[0] < -high.length_m / 2.0 for place in rear] == [True] * len(rear)


def test_a_truck_s_own_places_are_tried_as_they_are_told() -> None:
    pose = {"xyz_m": [2.4, 0.1, 2.9], "rpy_deg": [1.0, 54.0, 179.0]}
    sensor = {"id": "mast-1", "pose": pose, "pose_std": {"xyz_m": 0.02, "rpy_deg": 0.3}}
    bed = {"length_m": 4.0, "width_m": 2.0, "height_m": 1.0}
    mount = truck_mount(Truck.from_dict({"schema": 1, "id": "KT-1", "bed": bed, "sensor": [sensor]}))
    (place,) = mount.places(BED, load_sensor("livox-avia"))
    assert (place.xyz_m, place.rpy_deg) == (pytest.approx(pose["xyz_m"]), pytest.approx(pose["rpy_deg"]))
    assert (place.pose_std_m, place.pose_std_deg) == (0.02, pytest.approx(0.3))


# --- trials -----------------------------------------------------------------------------------------------------------


def test_all_contenders_meet_the_same_loads(benched: tuple[Bench, Path]) -> None:
    rows = [row for row in benched[0].rows if not row.recorded]
    truths = [{row.load: row.truth_m3 for row in rows if row.mount == mount} for mount in ("overhead", "front")]
    assert truths[0] == truths[1]
    assert len(set(truths[0].values())) == 5
    assert len(rows) == 2 * 5 * 2


def test_repeats_are_scans_of_one_load_with_fresh_noise(benched: tuple[Bench, Path]) -> None:
    pairs: dict[tuple[str, int], list[Row]] = {}
    for row in benched[0].rows:
        pairs.setdefault((row.mount, row.load), []).append(row)
    twice = [pair for pair in pairs.values() if len(pair) == 2]
    assert len(twice) == 10
    assert all(a.truth_m3 == b.truth_m3 for a, b in twice)
    assert any(a.volume_m3 != b.volume_m3 for a, b in twice)


def test_rows_do_not_depend_on_how_many_jobs_there_are(tiny: Path) -> None:
    contender = Contender("tiny", load_sensor(tiny), MOUNTS["overhead"])
    trials = [(Stage(3), contender, number) for number in range(3)]
    found = []
    for jobs in (1, 2):
        with Campaign(jobs) as campaign:
            found.append([replace(row, ms=None) for rows in campaign.rows(trials) for row in rows])
    assert found[0] == found[1]


def test_a_sensor_blind_to_the_bed_is_rejected_and_not_an_error(tiny: Path) -> None:
    upwards = fixed_mount("up", Place("s0", (0.0, 0.0, 4.0), (0.0, -90.0, 0.0)))
    rows = rows_of(Stage(3), Contender("tiny", load_sensor(tiny), upwards), 0)
    assert [row.status for row in rows] == ["rejected"] * 2
    assert all(row.reason and row.volume_m3 is None and row.error_percent is None for row in rows)


@given(st.integers(0, 1000), st.floats(2.0, 8.0), st.floats(1.2, 2.5), st.floats(0.5, 2.0))
def test_a_truck_s_bed_has_its_dimensions(number: int, length: float, width: float, height: float) -> None:
    bed = drawn_scene(Stage(1, Bed(length, width, height)), number).bed
    assert (bed.length_m, bed.width_m, bed.height_m) == (length, width, height)
    assert all(abs(dent.x_m) <= length / 2.0 and abs(dent.y_m) <= width / 2.0 for dent in bed.dents)


# --- what it says -----------------------------------------------------------------------------------------------------


def test_figures_are_those_of_their_definitions() -> None:
    first, second = [1.0, -2.0, 0.5, 3.0, -1.0, 0.0], [1.2, -2.2, 0.5, 3.4, -1.0, 0.2]
    (entry,) = summarise(rows_with(first) + rows_with(second, repeat=1), 0).entries
    errors = np.array(first + second)
    assert entry.rms_percent is not None
    assert entry.bias_percent is not None
    assert entry.repeatability_percent is not None
    assert entry.rms_percent.value == pytest.approx(np.sqrt(np.mean(errors**2)))
    assert entry.bias_percent.value == pytest.approx(errors.mean())
    halves = (np.array(first) - second) ** 2 / 2.0
    assert entry.repeatability_percent.value == pytest.approx(np.sqrt(halves.mean()))
    spread = 1.959964 * errors.std(ddof=1)
    assert entry.limits_percent == pytest.approx((errors.mean() - spread, errors.mean() + spread))
    assert entry.coverage is not None
    assert entry.coverage.value == pytest.approx(4 / 6)
    assert (entry.loads, entry.estimates, entry.rejected.value) == (6, 12, 0.0)


def test_shares_have_exact_binomial_intervals() -> None:
    """Closed forms: of none in n, the upper end is 1 - 0.025^(1/n); of all, the lower is 0.025^(1/n)."""
    rows = rows_with([0.0] * 10)
    none, all_ = share(rows, lambda row: row.load < 0), share(rows, lambda row: row.load >= 0)
    assert (none.value, none.low, none.high) == (0.0, 0.0, pytest.approx(1.0 - 0.025**0.1))
    assert (all_.value, all_.low, all_.high) == (1.0, pytest.approx(0.025**0.1), 1.0)


def test_a_small_difference_on_the_same_loads_is_sure_however_much_loads_differ() -> None:
    errors = np.random.default_rng(0).standard_normal(40) * np.geomspace(0.1, 10.0, 40)
    better, worse = summarise(rows_with(list(1.05 * errors), "b") + rows_with(list(errors), "a"), 0).entries
    assert (better.sensor, worse.sensor) == ("a", "b")
    assert (better.rank_worst, worse.rank_best) == (1, 2)
    assert better.rms_percent is not None
    assert worse.rms_percent is not None
    assert better.rms_percent.high is not None
    assert better.rms_percent.high > worse.rms_percent.value  # unpaired, nobody could tell


def test_alike_contenders_are_not_put_in_a_sure_order() -> None:
    rng = np.random.default_rng(1)
    rows = [row for name in "abc" for row in rows_with(rng.standard_normal(30).tolist(), name)]
    assert [(e.rank_best, e.rank_worst) for e in summarise(rows, 0).entries] == [(1, 3)] * 3


def test_who_rejects_most_loads_comes_last_and_before_it_who_was_hardly_tried() -> None:
    rows = rows_with([9.0] * 8, "sound") + rows_with([0.1] * 3, "few") + rows_with([0.0] * 3 + [None] * 5, "mute")
    summary = summarise(rows, 0)
    assert [entry.sensor for entry in summary.entries] == ["sound", "few", "mute"]
    few, mute = summary.entries[1:]
    assert few.rms_percent is not None
    assert (few.rms_percent.low, few.rank_best, few.rank_worst) == (None, 1, 3)
    assert mute.rejected.value == pytest.approx(5 / 8)


def test_a_sensor_without_an_estimate_has_no_figures_and_no_nan() -> None:
    summary = summarise(rows_with([None] * 6), 0)
    (entry,) = summary.entries
    assert entry.rms_percent is entry.bias_percent is entry.coverage is None
    assert "No estimate" in entry.advice
    json.dumps([asdict(entry), summary.better], allow_nan=False)


@pytest.mark.parametrize("loads", [10, 40])
def test_confidence_intervals_of_the_rms_error_hold_it(loads: int) -> None:
    """In 100 campaigns of normal errors; if they held it 93 times in 100, 1 such test in 400 would fail."""
    rng, held = np.random.default_rng(2), 0
    for _ in range(100):
        (entry,) = summarise(rows_with((2.0 * rng.standard_normal(loads)).tolist()), 0).entries
        assert entry.rms_percent is not None
        assert entry.rms_percent.low is not None
        assert entry.rms_percent.high is not None
        held += entry.rms_percent.low <= 2.0 <= entry.rms_percent.high
    assert held >= 85


# --- recordings -------------------------------------------------------------------------------------------------------


def test_a_recording_has_the_errors_that_evaluate_tells() -> None:
    rows = recorded_rows(DATASETS)
    for row, folder in zip(rows, sorted(path.parent for path in DATASETS.glob("*/truth.json")), strict=True):
        case = read_case(folder / "truth.json")
        scored = score_case(case, run_case(case))
        assert (row.error_percent, row.covered) == (scored.error_percent, scored.volume_covered)
    (one,) = recorded_rows(DATASETS / "half-full-overhead")
    assert one.sensor == "half-full-overhead"
    assert one.recorded


# --- where to mount it ------------------------------------------------------------------------------------------------


class Bowl(Campaign):
    """Trials whose intervals are the wider the farther the sensor is from a place."""

    def __init__(self, width: Callable[[Place], float | None]) -> None:
        super().__init__(1)
        self._width = width

    def rows(self, trials: Sequence[Trial], tell: object = None) -> list[list[Row]]:
        del tell
        return [[self._row(mount)] for _, (_, _, mount), _ in ((s, _parts(c), n) for s, c, n in trials)]

    def _row(self, mount: Mount) -> Row:
        (place,) = mount.places(BED, load_sensor("ouster-os0-128"))
        width = self._width(place)
        return replace(rows_with([0.0])[0], width_percent=width, error_percent=None if width is None else 0.0)


def _parts(contender: Contender) -> tuple[str, object, Mount]:
    return contender.sensor, contender.model, contender.mount


def test_the_best_pose_is_found_between_the_places_of_the_map() -> None:
    def width(place: Place) -> float | None:
        x, _, z = place.xyz_m
        return None if z < 2.5 else 1.0 + (x - 0.37) ** 2 + 2.0 * (z - 4.13) ** 2

    stage, told = Stage(0, Bed(4.2, 2.1, 1.3), repeats=1), []
    limits = {"x": (-2.0, 2.0), "z": (2.0, 5.0)}
    model = load_sensor("ouster-os0-128")
    found = optimise(Bowl(width), stage, "s", model, limits, 2, lambda done, total: told.append((done, total)))
    assert found.xyz_m == pytest.approx((0.37, 0.0, 4.13), abs=0.08)
    assert found.width_percent <= found.map_width_percent
    assert np.array(found.widths).shape == (5, 5)
    assert set(found.widths[0]) == {100.0}  # no estimate from that low
    assert told[-1][0] <= told[-1][1]


def test_the_search_stays_within_its_limits() -> None:
    tried: list[Place] = []

    def width(place: Place) -> float:
        tried.append(place)
        return 5.0 - place.xyz_m[2] - 0.01 * place.rpy_deg[1]

    stage, limits = Stage(0, Bed(4.2, 2.1, 1.3), repeats=1), {"pitch": (30.0, 80.0), "z": (2.0, 4.0)}
    found = optimise(Bowl(width), stage, "s", load_sensor("ouster-os0-128"), limits, 1, lambda *_: None)
    assert all(2.0 <= place.xyz_m[2] <= 4.0 and 30.0 <= place.rpy_deg[1] <= 80.0 for place in tried)
    assert (found.xyz_m[2], found.rpy_deg[1]) == (4.0, 80.0)


def test_limits_are_read_from_words_and_from_a_file(tmp_path: Path) -> None:
    told = {"x": (-2.0, 2.0), "pitch": (30.0, 90.5)}
    assert read_limits("x=-2..2, pitch=30..90.5") == told
    (tmp_path / "l.toml").write_text("x = [-2, 2]\npitch = [30.0, 90.5]\n", "utf-8")
    assert read_limits(str(tmp_path / "l.toml")) == told
    assert set(default_limits(Bed(4.2, 2.1, 1.3))) == {"x", "z"}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("x", "limits: found 'x', expected like x=-2..2"),
        ("x=1", "expected like"),
        ("x=1..2..3", "expected like"),
        ("q=1..2", "limits: found 'q', expected"),
        ("x=2..1", "x: found [2.0, 1.0], expected two numbers that grow"),
        ("z=0..1e9", "z: found"),
        ("z=nan..1", "expected"),
        ("x=1..2,x=1..2", "expected like"),
        ("", "expected like"),
    ],
)
def test_limits_that_cannot_be_are_refused(text: str, words: str) -> None:
    with pytest.raises(InputError, match=re.escape(words)):
        read_limits(text)


# --- what it writes ---------------------------------------------------------------------------------------------------


def test_results_come_back_from_parquet_as_they_were(benched: tuple[Bench, Path], tmp_path: Path) -> None:
    from pyarrow import parquet

    done, folder = benched
    table = parquet.read_table(folder / "results.parquet", page_checksum_verification=True)
    assert [Row(**row | {"flags": tuple(row["flags"])}) for row in table.to_pylist()] == list(done.rows)
    assert table.column_names == [field.name for field in fields(Row)]
    assert table.schema.metadata[b"seed"] == b"3"
    write_rows([], tmp_path / "none.parquet", {})
    assert parquet.read_table(tmp_path / "none.parquet").num_rows == 0


def test_the_page_refers_to_nothing_outside_and_its_ids_are_its_own(benched: tuple[Bench, Path]) -> None:
    text = (benched[1] / "report.html").read_text("utf-8")
    assert re.findall(r"https?:|<script|<link|@import|src=", text) == []
    assert all(target.startswith("#") for target in re.findall(r'href="([^"]*)"', text))
    ids = re.findall(r'\sid="([^"]*)"', text)
    assert len(ids) == len(set(ids)) > 0
    assert set(re.findall(r'href="#([^"]*)"|url\(#([^)]*)\)', text)) != set()
    used = {a or b for a, b in re.findall(r'href="#([^"]*)"|url\(#([^)]*)\)', text)}
    assert used <= set(ids)
    assert "nan" not in text.lower().replace("finance", "")


def test_a_sensor_s_name_is_no_markup(benched: tuple[Bench, Path]) -> None:
    rows = [replace(row, sensor="<b>&\"x'") for row in benched[0].rows]
    text = page(replace(benched[0], rows=tuple(rows), summary=summarise(rows, 0), models={}))
    assert "<b>&" not in text
    assert "&lt;b&gt;&amp;" in text


def test_the_summary_tells_what_is_ranked(benched: tuple[Bench, Path]) -> None:
    done = benched[0]
    document = json.loads(json.dumps(done.to_dict(), allow_nan=False))
    assert document["schema"] == "volest/bench-sensor/1"
    assert [entry["rank"] for entry in document["ranking"]] == [1, 2, 3]
    assert {entry["mount"] for entry in document["ranking"]} == {"overhead", "front", "recorded"}
    assert isinstance(done.summary, Summary)
    first = done.summary.entries[0]
    assert first.rms_percent is not None
    assert first.rms_percent.value < 3.0
    assert set(first.budget_percent) == {"hidden", "pose", "reference", "range", "surface"}


# --- the verb ---------------------------------------------------------------------------------------------------------


def test_the_catalogue_is_listed(capsys: Capture) -> None:
    assert main(["bench-sensor", "--list"]) == 0
    listed = [line.split()[0] for line in capsys.readouterr().out.splitlines()[1:]]
    assert listed == sensor_names()


def test_json_is_one_line_and_nothing_else(tiny: Path, tmp_path: Path, capsys: Capture) -> None:
    where = ["--mounts", "overhead", "--loads", "1", "--jobs", "1", "--json", "-o", str(tmp_path / "out")]
    assert main(["bench-sensor", str(tiny), *where]) == 0
    (line,) = capsys.readouterr().out.splitlines()
    assert json.loads(line)["ranking"][0]["sensor"] == "tiny"
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["report.html", "results.parquet"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "expected SENSOR... and -o DIR, or --list"),
        (["ouster-os9-128", "-o", "DIR"], "ouster-os9-128: found no such sensor"),
        (["sick-lms511", "-o", "DIR"], "sick-lms511: a scanner of one line sees a bed only while it drives past"),
        (["livox-avia", "livox-avia", "-o", "DIR"], "found a second sensor 'livox-avia'"),
        (["livox-avia", "--mounts", "top", "-o", "DIR"], "mounts: found 'top', expected"),
        (["livox-avia", "--mounts", "front,front", "-o", "DIR"], "expected each name once"),
        (["livox-avia", "--mounts", "truck", "-o", "DIR"], "expected --truck"),
        (["livox-avia", "--frames", "99", "-o", "DIR"], "frames: found 99, expected 1 to 16"),
        (["livox-avia", "--limits", "w=1..2", "-o", "DIR"], "limits: found 'w'"),
        (["livox-avia", "--truck", "none.toml", "-o", "DIR"], "none.toml: cannot be read"),
        (["livox-avia", "-o", "FILE"], "cannot be written"),
        (["EMPTY", "-o", "DIR"], "found no case"),
    ],
)
def test_what_cannot_be_benched_is_told_before_the_work(
    arguments: list[str], words: str, tmp_path: Path, capsys: Capture
) -> None:
    (tmp_path / "FILE").write_text("", "utf-8")
    (tmp_path / "EMPTY").mkdir()
    placed = [str(tmp_path / word) if word in ("DIR", "FILE", "EMPTY") else word for word in arguments]
    assert main(["bench-sensor", *placed]) == 2
    assert words in capsys.readouterr().err
