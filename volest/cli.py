"""The command line: one function a verb."""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
import tempfile
from pathlib import Path
from typing import NoReturn

from volest._version import __version__
from volest.errors import InputError, MissingExtraError

__all__ = ["main", "parser"]

USAGE, REJECTED, UNFORESEEN = 2, 3, 1


def main(argv: list[str] | None = None) -> int:
    """Run `volest` and return its exit status: 0 done, 2 usage or bad truck file, 3 input rejected, 1 unforeseen."""
    try:
        arguments = parser().parse_args(argv)
    except SystemExit as stop:
        return int(stop.code or 0)
    try:
        status: int = arguments.run(arguments)
        sys.stdout.flush()
        return status
    except InputError as error:
        return _complain(str(error), USAGE)
    except BrokenPipeError:
        _die(signal.SIGPIPE)
    except KeyboardInterrupt:
        _die(signal.SIGINT)
    except Exception as error:
        if arguments.debug:
            import traceback

            traceback.print_exc()
        return _complain(f"unforeseen: {type(error).__name__}: {error}; --debug tells where", UNFORESEEN)


def parser() -> argparse.ArgumentParser:
    """The parser of all verbs."""
    root = argparse.ArgumentParser(
        prog="volest", description="How much is in the truck: volume, mass, density, wetness."
    )
    root.add_argument("--version", action="version", version=f"volest {__version__}")
    verbs = root.add_subparsers(title="verbs", metavar="VERB", required=True)

    estimate = verbs.add_parser("estimate", help="estimate one load", allow_abbrev=False)
    estimate.add_argument(
        "scans", nargs="+", metavar="SCAN", help="PATH, or SENSOR=PATH; again for more sensors or frames"
    )
    estimate.add_argument("--truck", required=True, type=Path, metavar="TRUCK", help="the truck's truck.toml")
    estimate.add_argument(
        "--weight", metavar="W", help="gross mass in kg, or a file of weights: CSV, CAN log, lines of an indicator"
    )
    estimate.add_argument(
        "--rain-mm", type=float, metavar="MM", help="rain that the load took up since it lay open, 0 to 500"
    )
    estimate.add_argument("--json", action="store_true", help="print one line of JSON and nothing else")
    estimate.add_argument("--picture", type=Path, metavar="FILE", help="draw the load as .png, .svg or .pdf")
    estimate.set_defaults(run=_estimate)

    commission = verbs.add_parser(
        "commission", help="learn ahead all that can be known of one truck", allow_abbrev=False
    )
    commission.add_argument(
        "scans", nargs="+", metavar="SCAN", help="of the empty bed: PATH, or SENSOR=PATH; one or more of each sensor"
    )
    commission.add_argument("--truck", required=True, type=Path, metavar="TRUCK", help="the truck's truck.toml")
    commission.add_argument("-o", "--output", required=True, type=Path, metavar="FILE", help="truck.volest to write")
    commission.add_argument("--loads", type=_count, default=1600, metavar="N", help="how many to rehearse; 1600")
    commission.add_argument("--seed", type=int, default=0, metavar="N", help="the same seed gives the same file")
    commission.add_argument("--jobs", type=_count, metavar="N", help="how many loads side by side; else one a core")
    commission.set_defaults(run=_commission)

    simulate = verbs.add_parser("simulate", help="make a scan whose true volume is known", allow_abbrev=False)
    simulate.add_argument("scene", type=Path, metavar="SCENE.toml", help="what to simulate")
    simulate.add_argument("-o", "--output", required=True, type=Path, metavar="DIR", help="folder to write to")
    simulate.set_defaults(run=_simulate)

    track = verbs.add_parser("track", help="follow a truck through a day: stops, added loads, tips", allow_abbrev=False)
    track.add_argument("day", type=Path, metavar="DAY", help="folder with truck.toml, scans.csv, weight.csv, gps.csv")
    track.add_argument("-o", "--output", required=True, type=Path, metavar="LEDGER", help="log to append to")
    track.add_argument("--json", action="store_true", help="print a line of JSON for each entry and nothing else")
    track.add_argument("--picture", type=Path, metavar="FILE", help="draw the day as .png, .svg or .pdf")
    track.set_defaults(run=_track)

    sensors = verbs.add_parser(
        "bench-sensor", help="how good a sensor is for this job, as a report", allow_abbrev=False
    )
    sensors.add_argument(
        "sensors",
        nargs="*",
        metavar="SENSOR",
        help="a name of the catalogue, a sensor's .toml, or scans with known truth",
    )
    sensors.add_argument("--list", action="store_true", help="list the catalogue")
    sensors.add_argument(
        "--truck", type=Path, metavar="TRUCK", help="try them on this truck; else on trucks of all sizes"
    )
    sensors.add_argument("-o", "--output", type=Path, metavar="DIR", help="folder for report.html and results.parquet")
    sensors.add_argument("--mounts", metavar="A,B", help="overhead, front, both-ends, side, truck; else all")
    sensors.add_argument("--loads", type=_count, default=40, metavar="N", help="how many, the same for all; 40")
    sensors.add_argument("--frames", type=_count, default=1, metavar="N", help="fused in one estimate; 1")
    sensors.add_argument("--seed", type=_seed, default=0, metavar="N", help="the same seed draws the same loads")
    sensors.add_argument("--jobs", type=_count, metavar="N", help="how many trials side by side; else one a core")
    sensors.add_argument("--optimise-mount", action="store_true", help="search the pose with the smallest interval")
    sensors.add_argument("--limits", metavar="L", help="of that search: x=-2..2,z=2..5,pitch=30..90, or a .toml file")
    sensors.add_argument("--json", action="store_true", help="print one line of JSON and nothing else")
    sensors.set_defaults(run=_bench_sensor)

    edge = verbs.add_parser("edge", help="the agent on the truck: follow it, keep, deliver", allow_abbrev=False)
    edge.add_argument("--config", required=True, type=Path, metavar="FILE", help="the agent's edge.toml")
    edge.set_defaults(run=_edge)

    batch = verbs.add_parser("batch", help="estimate many loads, resumable", allow_abbrev=False)
    batch.add_argument("manifest", metavar="MANIFEST", help="CSV or Parquet, a row a load; local or s3://...")
    batch.add_argument("-o", "--output", required=True, type=Path, metavar="DIR", help="dataset to write or go on with")
    batch.add_argument("--engine", choices=["local", "dask"], default="local", help="where the work is done; local")
    batch.add_argument("--scheduler", metavar="A", help="address of a Dask scheduler; else a cluster of this machine")
    batch.add_argument("--jobs", type=_count, metavar="N", help="how many loads side by side; else one a core")
    batch.add_argument("--timeout", type=_count, default=120, metavar="S", help="when a load is given up; 120 s")
    batch.add_argument("--json", action="store_true", help="print one line of JSON and nothing else")
    batch.set_defaults(run=_batch)

    verify = verbs.add_parser("verify", help="re-run stored results, bit for bit", allow_abbrev=False)
    verify.add_argument("results", type=Path, metavar="RESULTS", help="dataset of volest batch")
    verify.add_argument("--load", action="append", metavar="ID", help="this load only; again for more")
    verify.add_argument("--chain", metavar="SHA256", help="the chain that volest batch told when it was done")
    verify.add_argument("--jobs", type=_count, metavar="N", help="how many loads side by side; else one a core")
    verify.add_argument("--json", action="store_true", help="print a line of JSON for each load and nothing else")
    verify.set_defaults(run=_verify)

    evaluate = verbs.add_parser("evaluate", help="score against cases with known truth", allow_abbrev=False)
    evaluate.add_argument("cases", type=Path, metavar="DIR", help="directory of folders with a truth.json each")
    evaluate.add_argument(
        "-o", "--output", type=Path, metavar="DIR", help="folder for score.json, loads.csv, a picture"
    )
    evaluate.add_argument("--jobs", type=_count, metavar="N", help="how many cases side by side; else one a core")
    evaluate.add_argument("--json", action="store_true", help="print one line of JSON and nothing else")
    evaluate.set_defaults(run=_evaluate)

    report = verbs.add_parser("report", help="tables, pictures and indicators from results", allow_abbrev=False)
    report.add_argument("results", type=Path, metavar="DIR", help="dataset that volest batch wrote")
    report.add_argument("-o", "--output", default="volest-report", type=Path, metavar="OUT", help="folder to write to")
    report.add_argument("--language", choices=("en", "id"), default="en", help="en: English; id: Indonesian")
    report.add_argument("--compare", type=Path, metavar="OTHER", help="the same loads by another version")
    report.add_argument("--indicators", type=Path, metavar="FILE", help="more indicators, as TOML")
    report.add_argument("--city", type=Path, metavar="FILE", help="the city's name, districts, composition, as TOML")
    report.add_argument("--ngsi-ld", type=Path, metavar="FILE", help="write FIWARE entities, as JSON")
    report.add_argument("--sipsn", type=Path, metavar="FILE", help="write the national table, as CSV; needs --city")
    report.add_argument("--json", action="store_true", help="print one line of JSON and nothing else")
    report.set_defaults(run=_report)

    serve = verbs.add_parser("serve", help="HTTP API and web page", allow_abbrev=False)
    serve.add_argument("--host", default="127.0.0.1", metavar="ADDRESS", help="where to listen; 127.0.0.1")
    serve.add_argument("--port", type=int, default=8080, metavar="N", help="8080; 0: any that is free")
    serve.add_argument("--demo", action="store_true", help="simulated trucks arrive; nothing is kept")
    serve.add_argument("--data", type=Path, metavar="DIR", help="where all is kept; volest-data")
    serve.add_argument("--database", metavar="URL", help="postgresql://USER@HOST/NAME; else a file in the data folder")
    serve.add_argument("--scans", metavar="PLACE", help="a folder, or s3://BUCKET/PREFIX; else in the data folder")
    serve.add_argument("--no-auth", action="store_true", help="ask for no tokens; on this computer alone")
    serve.add_argument("--proxy", metavar="ADDRESS", help="of the proxy whose X-Forwarded-For is believed")
    serve.add_argument("--mqtt", metavar="URL", help="mqtts://USER@HOST, from which events of volest edge come")
    serve.add_argument("--tls-cert", type=Path, metavar="FILE", help="certificates, PEM")
    serve.add_argument("--tls-key", type=Path, metavar="FILE", help="their key, PEM")
    serve.add_argument("--tls-client-ca", type=Path, metavar="FILE", help="ask clients for certificates of these")
    serve.add_argument("--districts", type=Path, metavar="FILE", help="GeoJSON of the city's districts")
    serve.add_argument("--timezone", metavar="NAME", help="when days begin, such as Asia/Makassar; UTC")
    serve.add_argument("--workers", type=_count, metavar="N", help="processes that estimate; else one a core")
    serve.add_argument("--limit", action="append", default=[], metavar="NAME=N", help="another limit (docs/serve.md)")
    serve.set_defaults(run=_serve)

    demo = verbs.add_parser("demo", help="estimate the loads that come with the package", allow_abbrev=False)
    demo.add_argument("-o", "--output", default="volest-demo", type=Path, metavar="DIR", help="folder to write to")
    demo.set_defaults(run=_demo)

    for verb in (estimate, commission, simulate, sensors, batch, report, track, edge, serve, evaluate, verify, demo):
        verb.add_argument("--debug", action="store_true", help="print a traceback when something unforeseen happens")
    return root


def _estimate(arguments: argparse.Namespace) -> int:
    from volest.load import estimate_files
    from volest.progress import Progress

    with Progress() as progress:
        result = estimate_files(
            arguments.truck, arguments.scans, arguments.weight, rain_mm=arguments.rain_mm, tell=progress.tell
        )
    if arguments.json:
        # The backslash escapes of file names that are no UTF-8 are those of JSON, too.
        sys.stdout.buffer.write(f"{result.to_json()}\n".encode("utf-8", "backslashreplace"))
    else:
        from rich.console import Console

        from volest.table import print_result

        print_result(result, Console(highlight=False))
    if arguments.picture is not None:
        from volest.picture import draw

        with Progress() as progress:
            progress.tell("drawing")
            draw(result, arguments.picture)
    if result.status != "rejected":
        return 0
    return _complain("; ".join(("rejected", *result.flags, *result.reasons)), REJECTED)


def _commission(arguments: argparse.Namespace) -> int:
    from volest.commission import commission
    from volest.progress import Bar
    from volest.truck import Truck

    truck = Truck.load(arguments.truck).with_reference(arguments.scans)
    with Bar("rehearsing loads") as bar:
        summary = commission(
            truck, arguments.output, loads=arguments.loads, seed=arguments.seed, jobs=arguments.jobs, tell=bar.tell
        )
    print(
        f"{arguments.output}: {summary.loads} loads that were not learned from: bias {summary.bias:+.2f}, "
        f"RMS {summary.rms:.2f}, mean width of the 95 % intervals {summary.width:.2f} % of struck capacity; "
        f"{100 * summary.coverage:.1f} % of them hold the truth; {summary.rejected} loads rejected"
    )
    return 0


def _simulate(arguments: argparse.Namespace) -> int:
    from volest.progress import Progress

    try:
        from volest.simulate import Made, run
    except ModuleNotFoundError as error:
        if (error.name or "").startswith("volest"):
            raise
        raise MissingExtraError("volest simulate", "server") from error
    with Progress() as progress:
        progress.tell("simulating")
        made = run(arguments.scene, arguments.output, progress.tell)
    if isinstance(made, Made):
        print(made.summary)
    return 0


def _track(arguments: argparse.Namespace) -> int:
    from volest.progress import Progress
    from volest.track import Day, Ledger, track_day

    day, entries, new = Day.load(arguments.day), [], 0
    with Ledger(arguments.output, day.truck.id) as ledger, Progress() as progress:
        for entry in track_day(day, tell=progress.tell):
            entries.append(entry)
            new += ledger.append(entry.to_dict())
            if arguments.json:
                line = json.dumps(entry.to_dict(), allow_nan=False, ensure_ascii=False)
                sys.stdout.buffer.write(f"{line}\n".encode("utf-8", "backslashreplace"))
    if not arguments.json:
        from rich.console import Console

        from volest.track.table import print_entries

        print_entries(entries, Console(highlight=False))
        print(f"{arguments.output}: {new} new entries, {len(entries) - new} were there")
    if arguments.picture is not None:
        from volest.track.picture import draw_day

        draw_day(entries, arguments.picture, arguments.day / "truth.json")
    return 0


def _bench_sensor(arguments: argparse.Namespace) -> int:
    from rich.console import Console

    from volest.progress import Bar

    try:
        from volest.sensorbench import Options, bench
        from volest.sensorbench.table import print_bench, print_catalogue
    except ModuleNotFoundError as error:
        if (error.name or "").startswith("volest"):
            raise
        raise MissingExtraError("volest bench-sensor", "server,bench") from error
    if arguments.list:
        print_catalogue(Console(highlight=False))
        return 0
    if not arguments.sensors or arguments.output is None:
        raise InputError("bench-sensor: expected SENSOR... and -o DIR, or --list")
    options = Options(
        truck=arguments.truck,
        mounts=None if arguments.mounts is None else tuple(arguments.mounts.split(",")),
        loads=arguments.loads,
        frames=arguments.frames,
        seed=arguments.seed,
        jobs=arguments.jobs,
        optimise=arguments.optimise_mount,
        limits=arguments.limits,
    )
    with Bar("trying sensors") as bar:
        done = bench(arguments.sensors, arguments.output, options, bar.tell)
    if arguments.json:
        line = json.dumps(done.to_dict(), allow_nan=False, ensure_ascii=False)
        sys.stdout.buffer.write(f"{line}\n".encode("utf-8", "backslashreplace"))
        return 0
    print_bench(done, Console(highlight=False))
    return 0


def _edge(arguments: argparse.Namespace) -> int:
    from volest.edge import EdgeConfig, run

    run(EdgeConfig.load(arguments.config))
    return 0


def _batch(arguments: argparse.Namespace) -> int:
    from volest.batch.run import run_batch
    from volest.progress import Bar

    with Bar("planning", "loads") as bar:
        summary = run_batch(
            arguments.manifest,
            arguments.output,
            engine=arguments.engine,
            scheduler=arguments.scheduler,
            jobs=arguments.jobs,
            timeout_s=arguments.timeout,
            tell=lambda step, done, total: bar.tell(done, total, step),
        )
    if arguments.json:
        print(json.dumps(summary.to_dict()))
    else:
        print(
            f"{arguments.output}: {summary.rows} rows: {summary.estimated} estimated now, {summary.skipped} as they "
            f"were; chain {summary.chain_sha256}"
        )
    return 0


def _verify(arguments: argparse.Namespace) -> int:
    from volest.batch.verification import verify
    from volest.progress import Bar

    found = {"same": 0, "other": 0}
    with Bar("verifying", "loads") as bar:
        asked = {"chain": arguments.chain, "jobs": arguments.jobs, "tell": bar.tell}
        for verdict in verify(arguments.results, arguments.load, **asked):
            found["same" if verdict.same else "other"] += 1
            if arguments.json:
                print(json.dumps(verdict.to_dict(), ensure_ascii=True))
            elif not verdict.same or arguments.load:
                print(verdict)
    if not arguments.json:
        print(f"{arguments.results}: {found['same']} the same, bit for bit; {found['other']} not")
    return REJECTED if found["other"] else 0


def _evaluate(arguments: argparse.Namespace) -> int:
    from volest.evaluate import run
    from volest.progress import Progress

    with Progress() as progress:
        score = run(arguments.cases, arguments.output, arguments.jobs, progress.tell)
    if arguments.json:
        line = json.dumps(score.to_dict(), allow_nan=False, ensure_ascii=False)
        sys.stdout.buffer.write(f"{line}\n".encode("utf-8", "backslashreplace"))
        return 0
    from rich.console import Console

    from volest.scoretable import print_score

    print_score(score, Console(highlight=False))
    return 0


def _report(arguments: argparse.Namespace) -> int:
    from volest.progress import Progress
    from volest.report import report

    with Progress() as progress:
        summary = report(
            arguments.results,
            arguments.output,
            language=arguments.language,
            compare=arguments.compare,
            indicators=arguments.indicators,
            city=arguments.city,
            ngsi_ld=arguments.ngsi_ld,
            sipsn=arguments.sipsn,
            tell=progress.tell,
        )
    if arguments.json:
        line = json.dumps(summary.to_dict(), allow_nan=False, ensure_ascii=False)
        sys.stdout.buffer.write(f"{line}\n".encode("utf-8", "backslashreplace"))
    else:
        print(f"{summary.page}: {summary.loads} loads, {summary.rejected} of them rejected")
    return 0


def _serve(arguments: argparse.Namespace) -> int:
    try:
        from volest.serve import Settings, run
    except ModuleNotFoundError as error:
        if (error.name or "").startswith("volest"):
            raise
        raise MissingExtraError("volest serve", "server") from error
    with tempfile.TemporaryDirectory(prefix="volest-demo-") as folder:
        if arguments.demo and arguments.data is None:
            arguments.data = Path(folder)
        run(Settings.of(arguments))
    return 0


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"found {text!r}, expected a number from 1 on")
    return int(text)


def _seed(text: str) -> int:
    if not text.isdecimal() or len(text) > 18:
        raise argparse.ArgumentTypeError(f"found {text!r}, expected a whole number from 0 on")
    return int(text)


def _demo(arguments: argparse.Namespace) -> int:
    from volest.demo import run
    from volest.progress import Progress

    with Progress() as progress:
        run(arguments.output, progress.tell)
    return 0


def _complain(message: str, status: int) -> int:
    line = " ".join(message.split())
    print(f"volest: {line}", file=sys.stderr)
    return status


def _die(number: signal.Signals) -> NoReturn:
    """End as a program does that leaves the signal alone, so that shells and pipes see it."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # what is still buffered goes nowhere
    signal.signal(number, signal.SIG_DFL)
    os.kill(os.getpid(), number)
    os._exit(128 + number)  # not reached, unless the signal is blocked
