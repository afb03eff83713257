from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

class Registration:
    pose: NDArray[np.float64]
    correction: NDArray[np.float64]
    covariance: NDArray[np.float64]
    score: float
    evidence: float
    agreement: float
    tops: float
    residual: float
    above: float
    walls_off: bool
    inliers: int
    candidates: int

class PassCounts:
    load: int
    wall: int
    fixture: int
    stray: int
    inside: int
    beside: int
    through: int

class SurfaceCounts:
    used: int
    rejected: int
    hanging: int
    unresolved: int

class Integral:
    volume: float
    heaped: float
    struck_capacity: float
    footprint: float
    moment: tuple[float, float, float]
    area: tuple[float, float, float, float]
    lever: tuple[float, float, float, float, float, float]
    hidden_distance: float
    gap: float
    roughness: float
    surface_variance: float
    def pose_variance(self, found: Registration, covariance: NDArray[np.float64]) -> float: ...

class RayReach: ...

class Ranges:
    def __init__(
        self, range_mm: NDArray[Any], directions: NDArray[np.float32], reach: RayReach | None = None
    ) -> None: ...

Points = NDArray[np.float32] | NDArray[np.int16] | Ranges

class Engine:
    def __init__(
        self,
        *,
        x0: float,
        y0: float,
        cell: float,
        nx: int,
        ny: int,
        z0: float,
        dz: float,
        nz: int,
        scale: float,
        walls: NDArray[np.float64],
        rim: NDArray[np.float64],
        floor_std: float,
        wall_std: NDArray[np.float64],
        skin: NDArray[np.float64],
        liner: NDArray[np.float64],
        covered: NDArray[np.bool_],
        floor: NDArray[np.float32],
        fixtures: NDArray[np.uint64],
        isa: str = "",
    ) -> None: ...
    def find_bed(
        self,
        points: Points,
        prior: NDArray[np.float64],
        std: NDArray[np.float64],
        rays: bool,
        reach: float,
        starts: NDArray[np.float64] | None = None,
    ) -> Registration: ...
    def look_along(self, directions: NDArray[np.float32], prior: NDArray[np.float64], reach: float) -> RayReach: ...
    @staticmethod
    def told(pose: NDArray[np.float64], std: NDArray[np.float64]) -> Registration: ...
    def pass_over(self, points: Points, found: Registration, rays: bool) -> PassCounts: ...
    def keep(self) -> None: ...
    def drop(self) -> None: ...
    def clear(self) -> None: ...
    def add(self, points: Points, pose: NDArray[np.float64], rays: bool) -> PassCounts: ...
    def finish(self, prior_height: float = 0.0, prior_reach: float = 0.0) -> SurfaceCounts: ...
    def lower_hidden(self, weights: NDArray[np.float32]) -> None: ...
    def hidden_features(self) -> tuple[NDArray[np.int32], NDArray[np.float32]]: ...
    def cover(self) -> Literal["none", "likely", "sure"]: ...
    def blind_m2(self, sensors: Sequence[tuple[Registration, Sequence[Points]]]) -> float: ...
    def integral(self) -> Integral: ...
    occupied: NDArray[np.uint64]
    height: NDArray[np.float32]
    variance: NDArray[np.float32]
    count: NDArray[np.uint32]
    bound: NDArray[np.float32]
    distance: NDArray[np.float32]
    state: NDArray[np.uint8]

class SensorPrior:
    std_m: float
    relative_std: NDArray[np.float64]
    def __init__(self, pose: NDArray[np.float64], std: NDArray[np.float64], rays: bool) -> None: ...
    def reach_m(self, engine: Engine) -> float: ...

class Placement:
    found: Registration
    counts: PassCounts
    rays: bool
    moved: bool

class Sight:
    used: int
    rejected: float
    hanging: float

class Knowledge:
    def __init__(
        self, weights: NDArray[np.float32] | None, calibration: NDArray[np.float64], own_bed: bool
    ) -> None: ...

class Assessment:
    verdict: Literal["ok", "degraded", "nothing_inside", "covered", "dust"]
    flags: tuple[str, ...]
    sight: Sight
    integral: Integral
    terms: NDArray[np.float64]
    budget_m3: dict[str, float]
    volume_m3: tuple[float, float, float, float]
    fill_ratio: float
    seen_fraction: float
    centroid_m: tuple[float, float, float] | None

GENERIC_CALIBRATION: tuple[float, ...]
UNITS_M: tuple[float, ...]
FLIPS: tuple[tuple[float, float, float], ...]
Scans = Sequence[tuple[Points, Placement, int]]

def place(engine: Engine, points: Points, prior: SensorPrior, find_bed: bool) -> tuple[str, int, Placement]: ...
def check_reference(
    engine: Engine, points: Points, pose: NDArray[np.float64], rays: bool
) -> tuple[str, int, Placement]: ...
def complete(engine: Engine, scans: Scans, known: Knowledge) -> Sight: ...
def assess(
    engine: Engine,
    scans: Scans,
    known: Knowledge,
    range_noise_m: float,
    changes: Sequence[tuple[float, float, float]],
) -> Assessment: ...
def budgets(
    calibration: NDArray[np.float64], terms: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]: ...

class Fused:
    net_mass_kg: tuple[float, float, float, float]
    density_kg_m3: tuple[float, float, float, float] | None
    wet_fraction: tuple[float, float, float, float] | None
    probabilities: tuple[float, float, float]
    waste_class: str | None
    too_heavy: bool
    too_light: bool

class Mixture:
    least_kg_m3: float
    most_kg_m3: float
    def __init__(
        self,
        dry_kg_m3: float,
        dry_log_std: float,
        wet_kg_m3: float,
        wet_log_std: float,
        prior_a: float = 1.0,
        prior_b: float = 1.0,
    ) -> None: ...
    def fuse(
        self,
        volume_m3: float,
        std_m3: float,
        lower95_m3: float,
        upper95_m3: float,
        mass_kg: float,
        mass_std_kg: float,
        fraction: float = 0.5,
        fraction_inverse_std: float = 0.0,
    ) -> Fused: ...

class WetnessTable:
    def __init__(self, mixture: Mixture) -> None: ...

def fuse_many(
    mixture: Mixture,
    table: WetnessTable,
    loads: Sequence[NDArray[np.float64]],
    begin: int,
    end: int,
    net_mass_kg: Sequence[NDArray[np.float64]],
    density_kg_m3: Sequence[NDArray[np.float64]],
    wet_fraction: Sequence[NDArray[np.float64]],
    waste_class: NDArray[np.int8],
    mismatch: NDArray[np.int8],
) -> int: ...
def net_mass_kg(
    gross_kg: float, gross_std_kg: float, tare_kg: float, tare_std_kg: float, gain_std: float
) -> tuple[float, float]: ...
def lzf_decompress(data: bytes, size: int) -> bytes: ...
def voxel_centroids(points: NDArray[np.float32], size_m: float, *, portable: bool = False) -> NDArray[np.float32]: ...
def read_truck_file(bytes: NDArray[np.uint8]) -> dict[str, Any]: ...
def has_return(points: Points) -> bool: ...
def instruction_sets() -> list[str]: ...

WEIGHT_MISSING: int
WEIGHT_MOVING: int
WEIGHT_DRIFTS: int
WEIGHT_LOST: int
WEIGHT_STUCK: int
WEIGHT_SATURATED: int
WEIGHT_SHORT: int
WEIGHT_CLOCK: int
WEIGHT_SWINGS: int
WEIGHT_WIDE: int

def settle(
    time_s: NDArray[np.float64],
    gross_kg: NDArray[np.float64],
    resolution_kg: float,
    moving: NDArray[np.bool_] | None = None,
) -> tuple[float, float, float, int, int, int]: ...
def settle_many(
    time_s: NDArray[np.float64],
    gross_kg: NDArray[np.float64],
    offsets: NDArray[np.int64],
    resolution_kg: float,
    moving: NDArray[np.bool_] | None = None,
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64], NDArray[np.int64], NDArray[np.uint32]]: ...
def outlive(object: object) -> None: ...
