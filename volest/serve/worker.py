"""A process that reads scans and estimates, apart from the service: what it is sent may be hostile, and takes long.

Tasks come as lines of JSON on standard input; each is answered by lines on standard output, the last of which has
`done`. It keeps the trucks that it has seen, ready.
"""

from __future__ import annotations

import ctypes
import os
import resource
import signal
import sys
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import msgspec

from volest.errors import InputError
from volest.load import PreparedTruck, estimate_files
from volest.result import Result
from volest.rows import json_text, to_row
from volest.serve.scans import move_in
from volest.truck import Truck

__all__ = ["main"]

MOST_TRUCKS = 64
PR_SET_PDEATHSIG = 1
Answer = dict[str, Any]
Tell = Callable[[int, int], None]


class Bench:
    """Does one task after the other."""

    def __init__(self) -> None:
        self._trucks: OrderedDict[str, PreparedTruck] = OrderedDict()

    def prepared(self, path: Path) -> PreparedTruck:
        """A truck whose file never changes, for its folder is named after what is in it."""
        known = self._trucks.get(str(path))
        if known is None:
            known = self._trucks[str(path)] = PreparedTruck(path)
            if len(self._trucks) > MOST_TRUCKS:
                self._trucks.popitem(last=False)
        self._trucks.move_to_end(str(path))
        return known

    def do(self, task: dict[str, Any], tell: Tell) -> Answer:
        """What a task asks for; InputError where it cannot be."""
        kinds: dict[str, Callable[..., Answer]] = {
            "estimate": self.estimate,
            "truck": self.truck,
            "scene": self.scene,
            "drift": self.drift,
            "commission": self.commission,
            "rehearse": self.rehearse,
        }
        return kinds[task["kind"]](task, tell)

    def estimate(self, task: dict[str, Any], _: Tell) -> Answer:
        """The result of a load, with its row; files are told by their owners' names, and kept where they shall be."""
        result = self._estimated(task)
        if "unreadable" in result.flags:
            raise InputError("; ".join(result.reasons))
        load_id = task["load_id"] or result.load_id
        prepared = self.prepared(Path(task["truck"]))
        plain = replace(result, load_id=load_id, reasons=tuple(_plainly(reason, task) for reason in result.reasons))
        plain = replace(plain, inputs={_plainly(name, task): digest for name, digest in result.inputs.items()})
        told = task["told"] | {"scans": " ".join(name for _, _, name in task["scans"])}
        row = to_row(plain, load_id, told=told, truck=prepared.truck)
        for path, place in task["keep"]:
            move_in(Path(path), Path(place))
        texts = {"result": json_text(plain.to_dict()), "row": json_text(row)}
        return {"load_id": load_id, "status": plain.status} | texts

    def _estimated(self, task: dict[str, Any]) -> Result:
        scans = [f"{sensor}={path}" if sensor else path for sensor, path, _ in task["scans"]]
        return estimate_files(task["truck"], scans, task["weight"], prepare=self.prepared, digests=task["digests"])

    def truck(self, task: dict[str, Any], _: Tell) -> Answer:
        """What a truck's file says that the service wants to know."""
        prepared = self.prepared(Path(task["truck"]))
        truck = prepared.truck
        scale, limits, commissioned = truck.scale, truck.limits, truck.commissioned
        return {
            "truck_id": truck.id,
            "sensors": list(truck.sensor_ids),
            "struck_capacity_m3": _struck_m3(prepared),
            "bed_m": [truck.bed.length_m, truck.bed.width_m, truck.bed.height_m],
            "tare_kg": None if scale is None else scale.tare_kg,
            "max_gross_kg": None if limits is None else limits.max_gross_kg,
            "commissioned": commissioned is not None,
            "has_reference": commissioned is not None or bool(truck.bed.reference),
            "beside": [] if scale is None else [path.name for path in scale.files],
        }

    def scene(self, task: dict[str, Any], _: Tell) -> Answer:
        """The surface and the points of a load, packed for the page."""
        from volest.serve.scene import packed

        return packed(self.prepared(Path(task["truck"])), task["scans"], Path(task["output"]))

    def drift(self, task: dict[str, Any], _: Tell) -> Answer:
        """What drifted over the loads of a truck, columns of numbers; and what of it would still go unseen."""
        from volest.drift import LoadSeries, find_drift

        length_m, width_m, _height_m = task["bed_m"]
        found = find_drift(LoadSeries(**task["series"], area_m2=length_m * width_m))
        mean_kg = sum(task["series"]["net_kg"]) / len(task["series"]["net_kg"])
        height, gain = found.linear["sensor_height"], found.linear["scale"]
        flags = [] if found.kind is None else ["sensor_drift" if found.kind == "sensor_height" else "scale_drift"]
        return {
            "sensor_m": height.to_dict(),
            "scale_kg": {name: mean_kg * value for name, value in gain.to_dict().items()},
            "loads": found.loads,
            "since": found.since_time_s,
            "flags": flags,
        }

    def commission(self, task: dict[str, Any], tell: Tell) -> Answer:
        """A truck.volest from scans of the empty bed."""
        from volest.commission import commission

        scans = [f"{sensor}={path}" if sensor else path for sensor, path, _ in task["scans"]]
        truck = Truck.load(task["truck"]).with_reference(scans)
        summary = commission(truck, task["output"], loads=task["loads"], jobs=task["jobs"], tell=tell)
        return asdict(summary)

    def rehearse(self, task: dict[str, Any], _: Tell) -> Answer:
        """A simulated load."""
        from volest.serve.rehearsal import rehearsed

        return rehearsed(self.prepared(Path(task["truck"])), task["seed"], Path(task["output"]))


def _struck_m3(prepared: PreparedTruck) -> float:
    """By the scans of the empty bed; without them, by its nominal dimensions."""
    from volest.io import read_points
    from volest.io.mesh import is_mesh

    bed, estimator = prepared.truck.bed, prepared.estimator
    clouds: dict[str, list[Any]] = {}
    for sensor, path in bed.reference:
        if not is_mesh(path):
            clouds.setdefault(sensor or "", []).append(read_points(path).xyz)
    found = estimator.estimate(clouds).struck_capacity_m3 if clouds else None
    return found or bed.length_m * bed.width_m * bed.height_m


def _plainly(text: str, task: dict[str, Any]) -> str:
    """A text with the owners' names of files in the place of ours."""
    for path, name in task["names"]:
        text = text.replace(path, name).replace(os.path.basename(path), name)
    return text


def main() -> int:
    """Work until standard input ends."""
    memory, parent = int(sys.argv[1]), int(sys.argv[2])
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it ended before this was asked for
        return 1
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.nice(int(sys.argv[4]))
    resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    output = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what others print is no message
    _limit_points(int(sys.argv[3]))
    bench = Bench()

    def send(message: Answer) -> None:
        output.write(msgspec.json.encode(message) + b"\n")
        output.flush()

    send({"done": True})
    for line in iter(sys.stdin.buffer.readline, b""):
        task: dict[str, Any] = msgspec.json.decode(line)
        try:
            answer = bench.do(task, lambda done, total: send({"at": [done, total]}))
            send({"done": True, "answer": answer})
        except InputError as error:
            send({"done": True, "refused": _plainly(str(error), task)})
        except MemoryError:
            send({"done": True, "refused": f"takes more than {memory >> 20} MB of memory to read, expected less"})
        except Exception as error:
            send({"done": True, "failed": f"{type(error).__name__}: {error}"})
    return 0


def _limit_points(most: int) -> None:
    from volest.io import scanfile

    scanfile.MAX_POINTS = min(scanfile.MAX_POINTS, most)


if __name__ == "__main__":
    status = main()
    sys.stdout.flush()
    os._exit(status)
