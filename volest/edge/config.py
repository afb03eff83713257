"""edge.toml: what the agent on the truck reads, keeps and delivers; secrets stand in other files or the environment."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

import msgspec
from msgspec import Meta

from volest.errors import InputError
from volest.schema import check, read_toml

__all__ = ["CanTable", "EdgeConfig", "EdgeError", "HttpTable", "LidarTable", "MqttTable", "secret"]

TEXT = r"^[^\x00-\x1f\x7f-\x9f]{1,200}\Z"
TOPIC = r"^[^\x00-\x1f\x7f-\x9f+#]{1,200}\Z"
LOOPBACK = ("127.0.0.1", "::1", "localhost")
MOST_SECRET_BYTES = 4096

_File = Annotated[str, Meta(pattern=TEXT, description="a file name")]
_Folder = Annotated[str, Meta(pattern=TEXT, description="a folder's name")]
_Name = Annotated[str, Meta(pattern=r"^[A-Za-z_][A-Za-z0-9_]{0,99}\Z", description="an environment variable's name")]
_Host = Annotated[str, Meta(pattern=r"^[A-Za-z0-9._:-]{1,253}\Z", description="a host's name or address")]
_Port = Annotated[int, Meta(ge=1, le=65535, description="a port, 1 to 65535")]
_Bool = Annotated[bool, Meta(description="true or false")]
_Topic = Annotated[str, Meta(pattern=TOPIC, description="an MQTT topic without + and #")]
_Timeout = Annotated[float, Meta(ge=0.1, le=600, description="seconds, 0.1 to 600")]


class EdgeError(InputError):
    """An edge.toml, or what it names, that cannot be used."""


class _Table(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    pass


class ReplayTable(_Table, frozen=True):
    """A day's folder in the place of sensors."""

    day: _Folder
    speed: (
        Annotated[float, Meta(ge=0.1, le=1e6, description="how many times as fast as it was, 0.1 to 1000000")] | None
    ) = None  # as fast as it goes


class LidarTable(_Table, frozen=True):
    """A sensor whose UDP packets come to this computer."""

    kind: Annotated[Literal["velodyne", "ouster"], Meta(description='"velodyne" or "ouster"')]
    port: _Port
    sensor: Annotated[str, Meta(pattern=r"^[A-Za-z0-9_-]{0,64}\Z", description="the id of a sensor of the truck")] = ""
    address: Annotated[str, Meta(pattern=r"^[0-9.]{7,15}\Z", description="an IPv4 address to listen at")] = "0.0.0.0"  # noqa: S104
    metadata: _File | None = None  # an Ouster's description of itself
    every_s: Annotated[float, Meta(ge=0.1, le=3600, description="seconds from scan to scan, 0.1 to 3600")] = 2.0


class CanTable(_Table, frozen=True):
    """A CAN interface with the truck's weights; [scale.can] of the truck file tells which."""

    channel: Annotated[str, Meta(pattern=TEXT, description="a CAN channel, such as can0")]
    interface: Annotated[str, Meta(pattern=TEXT, description="an interface of python-can")] = "socketcan"


class OutboxTable(_Table, frozen=True):
    """Where results wait until they are delivered."""

    path: _File = "outbox.sqlite"
    most_mb: Annotated[float, Meta(ge=0.1, le=100_000, description="megabytes, 0.1 to 100000")] = 64.0
    scan_voxel_m: Annotated[float, Meta(ge=0.001, le=1, description="metres, 0.001 to 1")] | None = None  # no scans
    scan_every_s: Annotated[float, Meta(ge=0, le=86_400, description="seconds, 0 to 86400")] = 60.0


class HttpTable(_Table, frozen=True):
    """Delivery by HTTPS POST."""

    url: Annotated[str, Meta(pattern=r"^https?://[!-~]{1,500}\Z", description="https://HOST/v1/events")]
    token_file: _File | None = None
    token_env: _Name | None = None
    ca_file: _File | None = None
    client_cert_file: _File | None = None
    client_key_file: _File | None = None
    batch: Annotated[int, Meta(ge=1, le=1000, description="documents a request, 1 to 1000")] = 20
    timeout_s: _Timeout = 10.0


class MqttTable(_Table, frozen=True):
    """Delivery to an MQTT broker, with the receiver's own acknowledgements."""

    host: _Host
    port: _Port = 8883
    tls: _Bool = True
    username: Annotated[str, Meta(pattern=TEXT, description="a user's name")] | None = None
    password_file: _File | None = None
    password_env: _Name | None = None
    ca_file: _File | None = None
    client_cert_file: _File | None = None
    client_key_file: _File | None = None
    events_topic: _Topic | None = None  # volest/TRUCK/events
    acks_topic: _Topic | None = None  # volest/TRUCK/acks
    window: Annotated[int, Meta(ge=1, le=1000, description="documents under way at a time, 1 to 1000")] = 20
    ack_timeout_s: _Timeout = 10.0


class HealthTable(_Table, frozen=True):
    """What the agent tells of itself."""

    every_s: Annotated[float, Meta(ge=1, le=86_400, description="seconds, 1 to 86400")] = 300.0
    status_file: _File | None = None
    status_every_s: Annotated[float, Meta(ge=0.1, le=3600, description="seconds, 0.1 to 3600")] = 5.0
    thermal_zone_file: _File | None = None
    hot_c: Annotated[float, Meta(ge=0, le=150, description="degrees Celsius, 0 to 150")] = 85.0
    disk_low_mb: Annotated[float, Meta(ge=0, le=1e6, description="megabytes, 0 to 1000000")] = 50.0


_Lidars = Annotated[list[LidarTable], Meta(max_length=16, description="an array of tables")]


class EdgeConfig(_Table, frozen=True):
    """An edge.toml with its files' names made paths; `load` reads it."""

    schema: Annotated[Literal[1], Meta(description="1")]
    truck: _File | None = None
    replay: ReplayTable | None = None
    lidar: _Lidars = []
    can: CanTable | None = None
    outbox: OutboxTable = OutboxTable()
    http: HttpTable | None = None
    mqtt: MqttTable | None = None
    health: HealthTable = HealthTable()

    @classmethod
    def load(cls, path: str | Path) -> EdgeConfig:
        """Read an edge.toml; raises EdgeError naming file, key, what was found and what was expected."""
        path = Path(path)
        config = check(read_toml(path, EdgeError), cls, str(path), EdgeError)
        wrong = _contradiction(config)
        if wrong is not None:
            raise EdgeError(f"{path}: {wrong}")
        resolved: EdgeConfig = _resolved(config, path.parent)
        return resolved


def secret(file: str | None, variable: str | None, key: str) -> str | None:
    """What stands in a file, or else in the environment; raises EdgeError naming `key`, never the secret itself."""
    if variable is not None:
        value = os.environ.get(variable, "")
        found = f"the environment variable {variable} is not set" if variable not in os.environ else ""
    elif file is not None:
        try:
            with Path(file).open("rb") as content:
                raw = content.read(MOST_SECRET_BYTES + 1)
            value, found = raw.decode("ascii").strip(), ""
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "not ASCII"
            raise EdgeError(f"{key}: {file}: cannot be read ({reason}), expected a file with the secret") from None
    else:
        return None
    if not re.fullmatch(r"[!-~]{1,4096}", value):
        raise EdgeError(f"{key}: {found or 'found something else'}, expected 1 to 4096 visible ASCII characters")
    return value


def _contradiction(config: EdgeConfig) -> str | None:
    """What the file says against itself, as KEY: FOUND, EXPECTED; None when nothing."""
    if (config.http is None) == (config.mqtt is None):
        found = "both [http] and [mqtt]" if config.http else "neither [http] nor [mqtt]"
        return f"document: found {found}, expected one of the two"
    if config.replay is not None and (config.lidar or config.can or config.truck):
        return "replay: found it beside truck, [[lidar]] or [can], expected it alone: a day's folder has its own truck"
    if config.replay is None and not (config.truck and config.lidar):
        return "document: found no sensor, expected truck and [[lidar]], or [replay]"
    sensors = [lidar.sensor for lidar in config.lidar]
    for i, lidar in enumerate(config.lidar):
        if lidar.sensor in sensors[:i]:
            return f"lidar[{i}].sensor: found {lidar.sensor!r} a second time, expected unique ids"
        if (lidar.kind == "ouster") != (lidar.metadata is not None):
            expected = "a file with the sensor's metadata" if lidar.kind == "ouster" else "none for a velodyne"
            return f"lidar[{i}].metadata: found {lidar.metadata!r}, expected {expected}"
    return _http_contradiction(config.http) if config.http else _mqtt_contradiction(config.mqtt)


def _http_contradiction(http: HttpTable) -> str | None:
    try:
        url = urlsplit(http.url)
        host, plain = url.hostname or "", url.scheme == "http"
        _ = url.port
    except ValueError as error:
        return f"http.url: found {http.url!r} ({error}), expected https://HOST/v1/events"
    if not host or url.username or url.password or url.query or url.fragment:
        return "http.url: found no host, or more than scheme, host, port and path, expected https://HOST/v1/events"
    if plain and host not in LOOPBACK:
        return f"http.url: found http to {host}, expected https; http is for this computer alone"
    if http.token_file and http.token_env:
        return "http.token_env: found it beside token_file, expected one of the two"
    if plain and (http.ca_file or http.client_cert_file):
        return "http.ca_file: found certificates for http, expected https"
    return _key_without_certificate("http", http)


def _mqtt_contradiction(mqtt: MqttTable | None) -> str | None:
    assert mqtt is not None
    if mqtt.password_file and mqtt.password_env:
        return "mqtt.password_env: found it beside password_file, expected one of the two"
    has_password = bool(mqtt.password_file or mqtt.password_env)
    if has_password and mqtt.username is None:
        return "mqtt.username: missing, expected a user's name beside the password"
    if not mqtt.tls and has_password and mqtt.host not in LOOPBACK:
        return f"mqtt.tls: found false and a password for {mqtt.host}, expected true"
    if not mqtt.tls and (mqtt.ca_file or mqtt.client_cert_file):
        return "mqtt.tls: found false beside certificates, expected true"
    if mqtt.events_topic is not None and mqtt.events_topic == mqtt.acks_topic:
        return "mqtt.acks_topic: found the events' topic, expected another"
    return _key_without_certificate("mqtt", mqtt)


def _key_without_certificate(name: str, table: HttpTable | MqttTable) -> str | None:
    if table.client_key_file is not None and table.client_cert_file is None:
        return f"{name}.client_cert_file: missing, expected one beside client_key_file"
    return None


def _resolved(table: Any, folder: Path) -> Any:
    """Files' names, relative to the file's folder, made paths from the working folder.

    Secrets are looked up first where systemd hands them over (LoadCredential=).
    """
    changed: dict[str, Any] = {}
    for name in table.__struct_fields__:
        value = getattr(table, name)
        if isinstance(value, msgspec.Struct):
            changed[name] = _resolved(value, folder)
        elif isinstance(value, list):
            changed[name] = [_resolved(entry, folder) for entry in value]
        elif value is not None and (name.endswith("_file") or name in ("truck", "day", "path", "metadata")):
            handed = Path(os.environ.get("CREDENTIALS_DIRECTORY", "/nonexistent"), value)
            is_secret = name in ("token_file", "password_file", "client_key_file")
            changed[name] = str(handed if is_secret and handed.is_file() else folder / value)
    return msgspec.structs.replace(table, **changed)
