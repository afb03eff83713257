"""edge.toml: read strictly; what is wrong is told with its key; secrets stand elsewhere and are never shown."""

from __future__ import annotations

from pathlib import Path

import pytest

from volest.edge.config import EdgeConfig, EdgeError, secret

GOOD = """
schema = 1
truck = "truck.toml"
[[lidar]]
sensor = "mast"
kind = "velodyne"
port = 2368
[can]
channel = "can0"
[http]
url = "https://volest.example/v1/events"
token_file = "token"
"""


def config(folder: Path, text: str) -> EdgeConfig:
    (folder / "edge.toml").write_text(text, "utf-8")
    return EdgeConfig.load(folder / "edge.toml")


def test_the_example_is_read() -> None:
    read = EdgeConfig.load(Path(__file__).parents[1] / "examples/edge/edge.toml")
    assert read.lidar
    assert read.http is not None or read.mqtt is not None


def test_names_of_files_are_relative_to_the_file(tmp_path: Path) -> None:
    read = config(tmp_path, GOOD)
    assert read.truck == str(tmp_path / "truck.toml")
    assert read.outbox.path == str(tmp_path / "outbox.sqlite")
    assert read.http is not None
    assert read.http.token_file == str(tmp_path / "token")


def test_a_secret_is_taken_from_where_systemd_hands_it_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    handed = tmp_path / "credentials"
    handed.mkdir()
    (handed / "token").write_text("abc", "ascii")
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(handed))
    read = config(tmp_path, GOOD)
    assert read.http is not None
    assert read.http.token_file == str(handed / "token")
    assert read.truck == str(tmp_path / "truck.toml")


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("schema = 1", "schema = 2", "schema: found 2, expected 1"),
        ('channel = "can0"', "chanel = 'can0'", "can.chanel: unknown key, expected channel perhaps"),
        ("port = 2368", "port = 0", "lidar[0].port: found 0, expected a port, 1 to 65535"),
        ("port = 2368", "port = nan", "lidar[0].port: found nan, expected a port, 1 to 65535"),
        ("port = 2368", "port = 2368\nevery_s = inf", "lidar[0].every_s: found inf, expected seconds"),
        ("port = 2368", "", "lidar[0].port: missing, expected a port"),
        ('"velodyne"', '"hokuyo"', 'lidar[0].kind: found \'hokuyo\', expected "velodyne" or "ouster"'),
        ('"velodyne"', '"ouster"', "lidar[0].metadata: found None, expected a file with the sensor's metadata"),
        ("https://", "http://", "http.url: found http to volest.example, expected https"),
        ("https://", "https://me:secret@", "http.url: found no host, or more than scheme"),
        ("/v1/events", "/v1/events?token=abc", "http.url: found no host, or more than scheme"),
        ("volest.example", "volest.example:99999", "http.url: found"),
        ('token_file = "token"', 'token_file = "a"\ntoken_env = "B"', "http.token_env: found it beside token_file"),
        ('token_file = "token"', 'token = "abc"', "http.token: unknown key, expected token_"),
        ('token_file = "token"', 'client_key_file = "k"', "http.client_cert_file: missing, expected one beside"),
        ("[http]", "[mqtt]\nhost = 'a'\n[http]", "document: found both [http] and [mqtt], expected one of the two"),
        ("[can]", "[replay]\nday = 'day'\n[can]", "replay: found it beside truck, [[lidar]] or [can]"),
        ('truck = "truck.toml"', "", "document: found no sensor, expected truck and [[lidar]], or [replay]"),
        ("[can]", "[[lidar]]\nsensor='mast'\nkind='velodyne'\nport=1\n[can]", "lidar[1].sensor: found 'mast' a second"),
        ("[can]", "[outbox]\nmost_mb = -1\n[can]", "outbox.most_mb: found -1, expected megabytes, 0.1 to 100000"),
    ],
)
def test_what_is_wrong_is_told_with_its_key(tmp_path: Path, old: str, new: str, told: str) -> None:
    assert old in GOOD
    with pytest.raises(EdgeError) as error:
        config(tmp_path, GOOD.replace(old, new, 1))
    assert str(error.value).startswith(f"{tmp_path / 'edge.toml'}: {told}")


@pytest.mark.parametrize(
    ("table", "told"),
    [
        ("host = 'b'\ntls = false\nusername = 'u'\npassword_env = 'P'", "mqtt.tls: found false and a password for b"),
        ("host = 'b'\npassword_env = 'P'", "mqtt.username: missing"),
        ("host = 'b'\ntls = false\nca_file = 'ca.pem'", "mqtt.tls: found false beside certificates"),
        ("host = 'b'\nevents_topic = 'a/+'", "mqtt.events_topic: found 'a/+', expected an MQTT topic without + and #"),
        ("host = 'b'\nevents_topic = 'a'\nacks_topic = 'a'", "mqtt.acks_topic: found the events' topic"),
        ("host = 'b c'", "mqtt.host: found 'b c', expected a host's name or address"),
    ],
)
def test_what_is_wrong_with_a_broker_is_told(tmp_path: Path, table: str, told: str) -> None:
    with pytest.raises(EdgeError) as error:
        config(tmp_path, GOOD.partition("[http]")[0] + f"[mqtt]\n{table}\n")
    assert told in str(error.value)


def test_a_secret_comes_from_a_file_or_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "token").write_text("s3cret\n", "ascii")
    monkeypatch.setenv("VOLEST_TOKEN", "other")
    assert secret(str(tmp_path / "token"), None, "http.token_file") == "s3cret"
    assert secret(None, "VOLEST_TOKEN", "http.token_env") == "other"
    assert secret(None, None, "http.token_env") is None


def test_a_secret_that_cannot_be_used_is_never_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "token").write_text("s3cret\nInjected: header", "ascii")
    with pytest.raises(EdgeError, match=r"http.token_file: found something else, expected 1 to 4096 visible") as error:
        secret(str(tmp_path / "token"), None, "http.token_file")
    assert "s3cret" not in str(error.value)
    with pytest.raises(EdgeError, match="cannot be read"):
        secret(str(tmp_path / "none"), None, "http.token_file")
    monkeypatch.delenv("VOLEST_TOKEN", raising=False)
    with pytest.raises(EdgeError, match="the environment variable VOLEST_TOKEN is not set"):
        secret(None, "VOLEST_TOKEN", "http.token_env")
