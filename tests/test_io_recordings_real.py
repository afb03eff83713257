"""Recordings that others made, of real sensors: read, counted, and compared with what independent readers say."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from volest.errors import ScanError
from volest.io import read_frames, read_points

pytest.importorskip("rosbags")
pytest.importorskip("mcap")
pytest.importorskip("ouster")
pytest.importorskip("velodyne_decoder")

VELODYNE = Path("tier4+nebula/src/nebula_velodyne/nebula_velodyne/test_resources/decoder_ground_truth")
OUSTER = Path("ouster-lidar+ouster-sdk/tests")
ROSBAG2 = Path("ros2+rosbag2")
SICK = Path("SICKAG+sick_scan_xd/doc/combination_rms_1xxx_lms_1xx/rms_1xxx_lms_1xx_movement_off.bag")
VLP16 = VELODYNE / "vlp16/1673400471837873222"
VLP32 = VELODYNE / "vlp32/1713492677464078412"


def nearest(found: np.ndarray, expected: np.ndarray) -> np.ndarray:
    """From each expected point to the one that was found straight above or below it, or almost (N, 3)."""
    from scipy.spatial import cKDTree

    flat = np.array([1.0, 1.0, 0.1])
    _, places = cKDTree(found * flat).query(expected * flat)
    offsets: np.ndarray = found[places] - expected
    return offsets


def all_points(path: Path) -> np.ndarray:
    return np.concatenate([cloud.xyz for _, cloud in read_frames(path)])


def test_velodyne_capture_has_the_turns_that_an_independent_decoder_counts(real: Path, tmp_path: Path) -> None:
    path = real / "tier4+nebula/derived/nebula_vlp16_real_packets.pcap"
    frames = list(read_frames(path))
    assert [len(cloud) for _, cloud in frames] == [14_981, 14_845, 14_868, 14_720]
    # The list says 14,415 for the last turn: that is without the last three packets.
    shorter = tmp_path / "shorter.pcap"
    shorter.write_bytes(path.read_bytes()[: -3 * (16 + 42 + 1206)])
    assert len(read_points(f"{shorter}#frame=3")) == 14_415
    times = np.array([time_s for time_s, _ in frames])
    assert np.diff(times) == pytest.approx(0.1, abs=2e-3)  # 600 turns a minute
    for _, cloud in frames:
        assert cloud.timestamp is not None
        assert np.ptp(cloud.timestamp) == pytest.approx(0.1, abs=2e-3)


def test_velodyne_packets_in_a_ros2_bag_are_those_of_the_capture(real: Path) -> None:
    capture = all_points(real / "tier4+nebula/derived/nebula_vlp16_real_packets.pcap")
    bag = all_points(real / VLP16)
    assert len(bag) == len(capture) == 59_414
    assert np.mean(np.linalg.norm(nearest(capture, bag), axis=1) < 1e-3) > 0.999


@pytest.mark.parametrize(
    ("bag", "sweep", "points", "aside_m"),
    [(VLP16, "vlp16/1673400472138016708.pcd", 14_831, 1e-4), (VLP32, "vlp32/1713492677464078412.pcd", 26_216, 0.004)],
)
def test_velodyne_points_lie_where_nebula_puts_them(
    real: Path, bag: Path, sweep: str, points: int, aside_m: float
) -> None:
    """But for the lasers' heights within the sensor, up to 11 mm in a VLP-16, which nebula leaves out."""
    expected = read_points(real / VELODYNE / sweep).xyz
    counts = [len(cloud) for _, cloud in read_frames(real / bag)]
    assert len(expected) == points
    assert np.array(counts) == pytest.approx(points, rel=0.012)
    # Of all turns, as nebula cuts them at another angle.
    offsets = nearest(all_points(real / bag), expected)
    aside = np.hypot(offsets[:, 0], offsets[:, 1])
    assert np.median(aside) < aside_m
    assert np.quantile(aside, 0.99) < 0.025
    assert np.quantile(np.abs(offsets[:, 2]), 0.9) < 0.015
    assert np.abs(np.median(offsets, axis=0)).max() < 0.005


def test_ouster_packets_in_a_ros1_bag_are_one_turn(real: Path) -> None:
    (frame,) = read_frames(real / OUSTER / "bags/512x10_raw.bag")
    time_s, cloud = frame
    assert time_s == pytest.approx(1723828414.279578824, abs=1e-6)
    assert len(cloud) == 128 * 512
    assert np.count_nonzero(cloud.xyz.any(axis=1)) == 28_751  # as ouster-sdk's own source of this bag
    assert cloud.ring is not None
    assert cloud.timestamp is not None
    assert np.array_equal(np.unique(cloud.ring), np.arange(128))
    assert np.ptp(cloud.timestamp) == pytest.approx(0.1 * 511 / 512, abs=1e-3)


@pytest.mark.parametrize(
    ("name", "pixels", "returns"),
    [
        ("OS-1-128_v2.3.0_1024x10_lb_n3", 128 * 1024, [107_647, 107_357, 107_532]),
        ("osf_fw_3.2_10scans", 8 * 2048, [6156, 6145, 6180, 6173, 6186, 6151, 6079, 6097, 6085, 6104]),
    ],
)
def test_osf_has_the_returns_that_the_vendor_counts(real: Path, name: str, pixels: int, returns: list[int]) -> None:
    frames = list(read_frames(real / OUSTER / f"osfs/{name}.osf"))
    assert [len(cloud) for _, cloud in frames] == [pixels] * len(returns)
    assert [int(np.count_nonzero(cloud.xyz.any(axis=1))) for _, cloud in frames] == returns
    assert np.diff([time_s for time_s, _ in frames]) == pytest.approx(0.1, abs=2e-3)


@pytest.mark.parametrize(("name", "told"), [("empty_osf", "found no frames"), ("bad_crc32", "damaged: Invalid chunk")])
def test_osf_without_frames_or_with_a_wrong_checksum_is_told(real: Path, name: str, told: str) -> None:
    with pytest.raises(ScanError, match=told):
        read_points(real / OUSTER / f"osfs/{name}.osf")


def test_profiles_of_a_gate_scanner_are_read_from_the_topic_that_is_named(real: Path) -> None:
    with pytest.raises(
        ScanError, match=r"several topics .*#topic=: /cloud \(.*\), /cloud_radar_track \(.*, /cloud_radar_raw"
    ):
        read_points(real / SICK)
    frames = list(read_frames(real / SICK, topic="/cloud"))
    assert len(frames) == 89
    assert {len(cloud) for _, cloud in frames} == {541}  # 270 degrees in steps of 0.5
    assert all((cloud.xyz[:, 2] == 0).all() for _, cloud in frames)
    assert np.median(np.diff([time_s for time_s, _ in frames])) == pytest.approx(0.02, abs=2e-3)  # 50 Hz
    with pytest.raises(ScanError, match="found 89 frames of /cloud, expected frame=89"):
        read_points(f"{real / SICK}#topic=/cloud,frame=89")
    with pytest.raises(ScanError, match=r"/sick_lms_1xx/scan with sensor_msgs/msg/LaserScan, expected one with points"):
        read_points(f"{real / SICK}#topic=/sick_lms_1xx/scan")


def test_pcapng_is_refused_with_the_way_out(real: Path) -> None:
    with pytest.raises(ScanError, match="editcap -F pcap"):
        read_points(real / "SICKAG+sick_scan_xd/test/pcap_json_converter/test.pcapng")


@pytest.mark.parametrize(
    "name",
    [
        "ros2bag/test/resources/empty_bag",
        "rosbag2_cpp/test/rosbag2_cpp/bags/topics_and_services.mcap",
        "rosbag2_py/test/resources/sqlite3/reindex_test_bags/multiple_files",
        "rosbag2_py/test/resources/mcap/wbag",
        "rosbag2_tests/resources/mcap/wrong_rmw_test",
        "rosbag2_tests/resources/sqlite3/wrong_rmw_test",
        "rosbag2_transport/test/resources/sqlite3/test_bag_for_seek",
    ],
)
def test_bags_without_points_tell_what_is_in_them(real: Path, name: str) -> None:
    with pytest.raises(ScanError, match=r"found no topic with points, .*; there are /?\w+.* \(\w+/msg/\w+\)"):
        read_points(real / ROSBAG2 / name)


def test_a_folder_of_pcd_files_is_a_recording_with_the_times_of_their_names(real: Path) -> None:
    folder = real / "PointCloudLibrary+pcl/test/grabber_sequences/pcd"
    frames = list(read_frames(folder))
    assert [len(cloud) for _, cloud in frames] == [640 * 480] * len(list(folder.glob("*.pcd")))
    first = frames[0][0]
    assert first == pytest.approx(1355494975.814212, abs=1e-5)  # 2012-12-14T14:22:55.814212 UTC


def test_each_sensor_description_is_taken_or_told_of(real: Path, tmp_path: Path) -> None:
    """Of the 34 descriptions 25 are complete to ouster-sdk; the others are refused in its words."""
    from recording_goldens import pcap, udp

    (tmp_path / "run.pcap").write_bytes(pcap([udp(bytes(100))]))
    taken = 0
    paths = sorted((real / OUSTER / "metadata").rglob("*.json"))
    for path in paths[::5]:  # each takes a process
        with pytest.raises(
            ScanError, match=r"run\.pcap: (found the UDP packets|the sensor's metadata: ERROR)|beam_alt"
        ) as error:
            read_points(f"{tmp_path / 'run.pcap'}#meta={path}")
        taken += "found the UDP packets" in str(error.value)
    assert len(paths) == 34
    assert 4 <= taken < len(paths[::5])


REASONS = {
    "several topics": "found several topics with points, expected one, named by #topic=",
    "pcapng": "found pcapng",
    "damaged": "damaged: ",
    "empty": "found no frames",
    "no points": "found no topic with points",
}


def test_each_recording_is_read_or_refused_with_its_reason(real: Path) -> None:
    """Of those of several topics the SICK's is read above; a damaged one may be read up to where it is damaged."""
    outcomes: Counter[str] = Counter()
    for line in (real / "manifest.tsv").read_text("utf-8").splitlines():
        name, _, expect, *_ = line.split("\t")
        if expect != "recording":
            continue
        try:
            outcomes["read" if sum(len(cloud) for _, cloud in read_frames(real / name)) else "no point at all"] += 1
        except ScanError as error:
            outcomes[next((reason for reason, words in REASONS.items() if words in str(error)), str(error))] += 1
    refused = {"several topics": 1, "pcapng": 1, "damaged": 1, "empty": 1, "no points": 34}
    assert outcomes == {"read": 8, **refused}
