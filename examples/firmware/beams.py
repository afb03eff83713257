"""What the firmware must know of an Ouster, from its metadata: beams.py METADATA.json > os1.beams"""

import sys

from ouster.sdk import core


def main() -> None:
    """Print a line for each thing that ouster.c wants to know."""
    with open(sys.argv[1], encoding="utf-8") as file:
        info = core.SensorInfo(file.read())
    arm, matrix = info.beam_to_lidar_transform, info.lidar_to_sensor_transform
    print("profile", str(info.format.udp_profile_lidar).rpartition(".")[2])
    print("columns", info.format.columns_per_frame)
    print("columns_per_packet", info.format.columns_per_packet)
    print("first_column", info.format.column_window[0])
    print(f"arm_mm {arm[0, 3]:.17g} {arm[2, 3]:.17g}")
    print("to_sensor_mm", *(f"{number:.17g}" for number in matrix[:3].ravel()))
    for rise, aside in zip(info.beam_altitude_angles, info.beam_azimuth_angles, strict=True):
        print(f"beam_deg {rise:.17g} {aside:.17g}")


if __name__ == "__main__":
    main()
