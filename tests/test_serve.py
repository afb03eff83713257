"""The service as its clients see it: loads, trucks, figures, the stream, tokens, jobs."""

from __future__ import annotations

import csv
import io
import json
import struct
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import jsonschema
import numpy as np
import pyarrow.parquet as pq
import pytest
from serving import DATASETS, OTHER, TRUCK, Served, post_load, put_truck, served


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with served(tmp_path_factory.mktemp("serve") / "data", "--timezone", "Asia/Makassar") as running:
        yield running


@pytest.fixture(scope="module")
def operator(server: Served) -> Iterator[httpx.Client]:
    with server.operator() as client:
        assert put_truck(client).status_code == 201
        assert put_truck(client, OTHER).status_code == 201
        yield client


def token(operator: httpx.Client, role: str) -> str:
    answer = operator.post("/v1/tokens", json={"name": f"a {role}", "role": role})
    assert answer.status_code == 201
    secret: str = answer.json()["secret"]
    return secret


def test_a_load_is_what_the_command_line_makes_of_it(operator: httpx.Client) -> None:
    folder = DATASETS / "half-full-overhead"
    files = {"scan": ("top.npz", (folder / "top.npz").read_bytes())}
    files["weight"] = ("weight.csv", (folder / "weight.csv").read_bytes())
    answer = operator.post("/v1/loads", data={"truck_id": TRUCK}, files=files)
    assert answer.status_code == 201
    told = answer.json()
    command = [sys.executable, "-m", "volest", "estimate", "top.npz", "--truck", "truck.toml", "--weight", "weight.csv"]
    done = subprocess.run([*command, "--json"], cwd=folder, capture_output=True, text=True, check=True)
    expected = json.loads(done.stdout)
    assert told["load_id"] == expected["load_id"]
    for part in (told["result"], expected):
        del part["timing_ms"]
    assert told["result"] == expected
    assert operator.get(answer.headers["location"]).json()["result"] | {"timing_ms": 0} == expected | {"timing_ms": 0}


def test_the_same_load_again_is_told_again_and_stored_once(operator: httpx.Client) -> None:
    first = post_load(operator, load_id="twice", district="Kota")
    again = post_load(operator, load_id="twice", district="Kota")
    assert (first.status_code, again.status_code) == (201, 200)
    assert again.json() == first.json()
    other = post_load(operator, load_id="twice", district="Utara")
    assert other.status_code == 409
    assert other.json()["place"] == "load_id"
    items = operator.get("/v1/loads", params={"limit": 500}).json()["items"]
    assert [item["load_id"] for item in items].count("twice") == 1


def test_a_scan_of_nothing_is_stored_as_rejected(operator: httpx.Client) -> None:
    content = io.BytesIO()
    np.savez(content, xyz=np.zeros((100, 3), dtype=np.float32))
    answer = post_load(operator, scan=content.getvalue(), load_id="nothing")
    assert answer.status_code == 201
    result = answer.json()["result"]
    assert (result["status"], result["flags"], result["volume_m3"]) == ("rejected", ["no_points"], None)
    assert operator.get("/v1/loads/nothing/scene").status_code == 404


@pytest.mark.parametrize(
    ("told", "place", "words"),
    [
        ({"truck_id": "nobody"}, "truck_id", "no truck"),
        ({"time": "yesterday"}, "time", "RFC 3339"),
        ({"time": "2026-03-01T10:00:00"}, "time", "RFC 3339"),
        ({"lat": "91"}, "lat", "-90 to 90"),
        ({"lon": "nan"}, "lon", "-180 to 180"),
        ({"gross_kg": "heavy"}, "gross_kg", "a number"),
        ({"load_id": "../../etc/passwd"}, "load_id", "1 to 100"),
        ({"district": "a\x00b"}, "district", "printable"),
        ({"colour": "red"}, "colour", "not known"),
    ],
)
def test_what_is_told_wrongly_is_named(operator: httpx.Client, told: dict[str, str], place: str, words: str) -> None:
    answer = (
        post_load(operator, **told)
        if "truck_id" not in told
        else operator.post("/v1/loads", data=told, files={"scan": ("a.npz", b"x")})
    )
    problem = answer.json()
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    assert (problem["status"], problem["place"]) == (422, place)
    assert words in problem["detail"]


def test_a_scan_cut_short_is_told_in_the_command_lines_words(operator: httpx.Client, tmp_path: Path) -> None:
    scan = (DATASETS / "half-full-overhead" / "top.npz").read_bytes()[:50_000]
    answer = post_load(operator, scan=scan)
    (tmp_path / "top.npz").write_bytes(scan)
    command = ["estimate", str(tmp_path / "top.npz"), "--truck", str(DATASETS / "half-full-overhead" / "truck.toml")]
    done = subprocess.run([sys.executable, "-m", "volest", *command, "--json"], capture_output=True, text=True)
    assert done.returncode == 3
    (reason,) = json.loads(done.stdout)["reasons"]
    assert answer.status_code == 422
    assert answer.json()["detail"] == reason.replace(f"{tmp_path}/", "")


def test_lists_are_in_order_and_go_on(operator: httpx.Client) -> None:
    begun = datetime(2026, 3, 1, tzinfo=UTC)
    for number in range(5):
        when = (begun + timedelta(hours=number)).isoformat()
        assert post_load(operator, OTHER, load_id=f"list-{number}", time=when, district="Barat").status_code == 201
    found: list[str] = []
    params = {"truck_id": OTHER, "district": "Barat", "limit": "2", "since": "2026-03-01T01:00:00Z"}
    while True:
        answer = operator.get("/v1/loads", params=params).json()
        found += [item["load_id"] for item in answer["items"]]
        if answer["next"] is None:
            break
        params["cursor"] = answer["next"]
    assert found == [f"list-{number}" for number in (4, 3, 2, 1)]
    assert operator.get("/v1/loads", params={"cursor": "x"}).status_code == 422


def test_exports_hold_the_rows_of_a_dataset(operator: httpx.Client) -> None:
    post_load(operator, load_id="export", district="=1+1")
    items = operator.get("/v1/loads", params={"limit": 500}).json()["items"]
    text = operator.get("/v1/loads", headers={"Accept": "text/csv"}).text
    rows = {row["load_id"]: row for row in csv.DictReader(io.StringIO(text))}
    assert rows.keys() == {item["load_id"] for item in items}
    assert rows["export"]["district"] == "'=1+1"  # no spreadsheet runs it
    content = operator.get("/v1/loads", headers={"Accept": "application/vnd.apache.parquet"}).content
    table = pq.read_table(io.BytesIO(content)).to_pylist()
    volumes = {row["load_id"]: row["volume_m3"] for row in table}
    assert volumes == {i["load_id"]: (i["result"]["volume_m3"] or {"value": None})["value"] for i in items}


def test_entities_follow_their_schemas(operator: httpx.Client) -> None:
    post_load(operator, load_id="entity", lat="-1.25", lon="116.85")
    entities = operator.get("/v1/ngsi-ld/entities", params={"limit": 1000}).json()
    kinds = {"WasteObserved": 0, "WasteContainer": 0}
    for entity in entities:
        kinds[entity["type"]] += 1
    assert min(kinds.values()) > 0
    assert operator.get("/v1/ngsi-ld/entities", params={"type": "WasteContainer"}).json()[0]["type"] == "WasteContainer"


def test_totals_are_those_of_the_report(operator: httpx.Client) -> None:
    for number in range(3):
        answer = post_load(
            operator, OTHER, load_id=f"sum-{number}", time=f"2026-04-0{number + 1}T20:00:00Z", district="Sum"
        )
        assert answer.status_code == 201
    since = {"since": "2026-04-01T00:00:00Z", "until": "2026-05-01T00:00:00Z"}
    (item,) = operator.get("/v1/summaries", params={"by": "truck", **since}).json()["items"]
    one = operator.get("/v1/loads/sum-0").json()["result"]["volume_m3"]
    assert (item["key"], item["loads"], item["rejected"]) == (OTHER, 3, 0)
    assert item["volume_m3"]["value"] == pytest.approx(3 * one["value"])
    # What the loads of one truck have in common adds up straight, the rest as squares.
    assert 3**0.5 * one["std"] < item["volume_m3"]["std"] < 3 * one["std"]
    days = operator.get("/v1/summaries", params={"by": "day", **since}).json()["items"]
    assert [day["key"] for day in days] == ["2026-04-02", "2026-04-03", "2026-04-04"]  # in Balikpapan it is morning
    (district,) = [d for d in operator.get("/v1/districts").json()["items"] if d["district"] == "Sum"]
    assert district["loads"] == 3


def test_today_counts_what_came_today(operator: httpx.Client) -> None:
    before = operator.get("/v1/today").json()
    post_load(operator, load_id="today")
    after = operator.get("/v1/today").json()
    assert after["loads"] == before["loads"] + 1
    assert sum(after["hours"]) == pytest.approx(after["volume_m3"]["value"])
    assert after["flags"]["weight_missing"] >= 1


def test_a_scene_has_the_loads_volume(operator: httpx.Client) -> None:
    result = post_load(operator, load_id="scene").json()["result"]
    content = operator.get("/v1/loads/scene/scene").content
    assert content[:4] == b"VSC1"
    size = struct.unpack_from("<I", content, 4)[0]
    header = json.loads(content[8 : 8 + size])
    cells = header["rows"] * header["cols"]
    bed, surface = (np.frombuffer(content, "<f4", cells, 8 + size + 4 * cells * part) for part in (0, 1))
    kind = np.frombuffer(content, np.uint8, cells, 8 + size + 8 * cells)
    points = np.frombuffer(content, "<i2", 3 * header["points"], 8 + size + 9 * cells)
    assert len(content) == 8 + size + 9 * cells + points.nbytes
    assert np.array_equal(kind == 0, np.isnan(surface))
    volume = np.nansum(surface - bed) * header["cell_m"] ** 2
    # The cells at the walls count as a whole here.
    assert volume == pytest.approx(result["volume_m3"]["value"], rel=0.1)
    assert len(header["bed_outline"]) == 4
    assert 0 < header["points"] <= 40_000


def test_the_stream_tells_each_new_load_and_goes_on(server: Served, operator: httpx.Client) -> None:
    with server.client(token(operator, "reader")) as reader, reader.stream("GET", "/v1/stream") as stream:
        lines = stream.iter_lines()
        assert next(lines).startswith("retry:")
        post_load(operator, load_id="live-1")
        post_load(operator, load_id="live-2")
        told = [json.loads(line[6:]) for line in _until(lines, 'data: {"load_id":"live-', 2)]
    assert [load["load_id"] for load in told] == ["live-1", "live-2"]
    assert "provenance" not in told[0]["result"]
    with operator.stream("GET", "/v1/stream", headers={"Last-Event-ID": "0"}) as stream:
        first = _until(stream.iter_lines(), "id: ", 2)
    assert first == ["id: 1", "id: 2"]
    assert operator.get("/v1/stream", headers={"Last-Event-ID": "no"}).status_code == 422


def _until(lines: Iterator[str], prefix: str, count: int) -> list[str]:
    found: list[str] = []
    for line in lines:
        if line.startswith(prefix):
            found.append(line)
        if len(found) == count:
            break
    return found


def test_each_role_may_do_its_own(server: Served, operator: httpx.Client) -> None:
    with server.client(token(operator, "edge")) as edge, server.client(token(operator, "reader")) as reader:
        assert post_load(edge, load_id="by-edge").status_code == 201
        assert edge.get("/v1/loads").status_code == 403
        assert edge.get("/v1/me").json()["role"] == "edge"
        assert reader.get("/v1/loads").status_code == 200
        for refused in (post_load(reader), put_truck(reader), reader.get("/v1/tokens"), put_truck(edge)):
            assert refused.status_code == 403
            assert "role" in refused.json()["detail"]
    with server.client() as nobody, server.client("volest_wrong") as stranger:
        assert nobody.get("/v1/loads").status_code == 401
        assert stranger.get("/v1/loads").status_code == 401
        assert "Bearer" in nobody.get("/v1/loads").headers["www-authenticate"]
        assert nobody.get("/v1/health").json()["status"] == "ok"


def test_a_token_is_kept_as_a_hash_and_can_be_taken_back(server: Served, operator: httpx.Client) -> None:
    made = operator.post("/v1/tokens", json={"name": "short", "role": "reader"}).json()
    for path in server.data.glob("volest.sqlite*"):
        assert made["secret"].encode() not in path.read_bytes()
    with server.client(made["secret"]) as short:
        assert short.get("/v1/me").status_code == 200
        assert operator.delete(f"/v1/tokens/{made['token_id']}").status_code == 204
        assert short.get("/v1/me").status_code == 401
    last = [t for t in operator.get("/v1/tokens").json()["items"] if t["role"] == "operator"]
    assert operator.delete(f"/v1/tokens/{last[0]['token_id']}").status_code == 409
    actions = [entry["action"] for entry in operator.get("/v1/audit").json()["items"]]
    assert {"create token", "delete token", "put truck"} <= set(actions)


def test_a_truck_may_name_only_what_is_sent_with_it(operator: httpx.Client) -> None:
    text = (DATASETS / "half-full-overhead" / "truck.toml").read_text()
    for name in ("../../../etc/passwd", "/etc/passwd", "top=/etc/hostname", "other.npz"):
        hostile = text.replace("empty.npz", name)
        answer = operator.put(f"/v1/trucks/{TRUCK}", files={"truck": ("truck.toml", hostile.encode())})
        assert answer.status_code == 422, name
        assert "of the same request" in answer.json()["detail"]
    dbc = text + '\n[scale.can]\ndbc = "/etc/passwd"\n'
    assert operator.put(f"/v1/trucks/{TRUCK}", files={"truck": ("truck.toml", dbc.encode())}).status_code == 422
    wrong = operator.put(
        "/v1/trucks/OTHER", files={"truck": ("t.toml", text.replace('reference = "empty.npz"', "").encode())}
    )
    assert "that of the address" in wrong.json()["detail"]
    unknown = text.replace("length_m", "lenght_m").replace('reference = "empty.npz"', "")
    answer = operator.put(f"/v1/trucks/{TRUCK}", files={"truck": ("t.toml", unknown.encode())})
    assert "lenght_m" in answer.json()["detail"]
    assert "/" not in answer.json()["detail"].partition(":")[0]


def test_trucks_tell_how_they_are(operator: httpx.Client) -> None:
    post_load(operator, load_id="seen")
    trucks = {truck["truck_id"]: truck for truck in operator.get("/v1/trucks").json()["items"]}
    truck = trucks[TRUCK]
    assert truck["struck_capacity_m3"] == pytest.approx(10.99, abs=0.1)
    assert (truck["commissioned"], truck["tare_kg"], truck["flags"]) == (False, 4500.0, [])
    assert truck["last_seen"] is not None
    assert 0.0 <= truck["reference_age_days"] < 1.0


def test_many_loads_are_a_job(operator: httpx.Client) -> None:
    folder = DATASETS / "half-full-overhead"
    manifest = (
        f"load_id,truck,scans,weight,time\njob-1,{TRUCK},top.npz,6000,2026-02-01T00:00:00Z\njob-2,{TRUCK},bad.npz,,\n"
    )
    files = [("manifest", ("manifest.csv", manifest.encode())), ("scan", ("bad.npz", b"junk"))]
    files.append(("scan", ("top.npz", (folder / "top.npz").read_bytes())))
    answer = operator.post("/v1/jobs/loads", files=files)
    assert answer.status_code == 202
    job = finished(operator, answer.headers["location"])
    assert (job["state"], job["done"], job["total"]) == ("done", 2, 2)
    good, bad = job["result"]
    assert good == {"load_id": "job-1", "status": "ok", "new": True}
    assert bad["problem"]["detail"].startswith("bad.npz: ")
    assert operator.get("/v1/loads/job-1").json()["result"]["net_mass_kg"] is not None
    wrong = [("manifest", ("m.csv", b"load_id,truck,scans\nx,KT-1101-AA,no.npz\n"))]
    assert "line 2" in operator.post("/v1/jobs/loads", files=wrong).json()["detail"]


def test_a_truck_is_commissioned_beside_other_work(operator: httpx.Client) -> None:
    folder = DATASETS / "heaped-front-mast"
    files = {"scan": ("empty.npz", (folder / "empty.npz").read_bytes())}
    answer = operator.post(f"/v1/trucks/{OTHER}/commissions", data={"loads": "160"}, files=files)
    assert answer.status_code == 202
    assert post_load(operator, load_id="meanwhile").status_code == 201
    job = finished(operator, answer.headers["location"])
    assert (job["state"], job["done"]) == ("done", 160), job
    assert job["result"]["coverage"] > 0.8
    trucks = {truck["truck_id"]: truck for truck in operator.get("/v1/trucks").json()["items"]}
    assert trucks[OTHER]["commissioned"]
    assert post_load(operator, OTHER, load_id="after").json()["result"]["status"] == "ok"
    put_truck(operator, OTHER)


def finished(client: httpx.Client, location: str) -> dict[str, object]:
    until = time.monotonic() + 60.0
    while True:
        job: dict[str, object] = client.get(location).json()
        if job["state"] in ("done", "failed"):
            return job
        assert time.monotonic() < until, job
        time.sleep(0.1)


def test_a_ticket_can_be_checked_by_anyone(server: Served, operator: httpx.Client) -> None:
    load = post_load(operator, load_id="ticket").json()
    code = load["ticket_code"]
    with server.client() as anyone:
        told = anyone.get(f"/v1/tickets/{code[:8].lower()}-{code[8:]}").json()
        assert told["valid"]
        assert (told["load_id"], told["volume_m3"]) == ("ticket", load["result"]["volume_m3"])
        assert anyone.get("/v1/tickets/0000000000000000").status_code == 404
        answers = {anyone.get("/v1/tickets/0000000000000000").status_code for _ in range(40)}
        assert 429 in answers  # nobody tries codes out


def test_counts_are_told_to_prometheus(operator: httpx.Client) -> None:
    post_load(operator, load_id="counted")
    text = operator.get("/metrics").text
    assert 'volest_loads_total{origin="upload",status="ok"}' in text
    assert 'volest_requests_total{method="POST",route="/v1/loads",status="201"}' in text


def test_every_answer_has_its_headers(operator: httpx.Client) -> None:
    for path in ("/v1/health", "/v1/loads", "/nowhere", "/metrics"):
        headers = operator.get(path).headers
        assert headers["content-security-policy"].startswith("default-src 'self';")
        assert headers["x-content-type-options"] == "nosniff"
        assert "server" not in headers


def test_the_openapi_document_is_one(operator: httpx.Client) -> None:
    document = operator.get("/openapi.json").json()
    assert document["openapi"].startswith("3.1")
    assert {"/v1/loads", "/v1/events", "/v1/stream"} <= document["paths"].keys()
    for path, methods in document["paths"].items():
        for operation in methods.values():
            assert operation["summary"], path
            for answer in operation["responses"].values():
                for media in answer.get("content", {}).values():
                    jsonschema.Draft202012Validator.check_schema(media.get("schema", {}))
