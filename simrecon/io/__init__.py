"""Files to values and back."""

from __future__ import annotations

from simrecon.io.atomic import atomic_path, read_json, write_json
from simrecon.io.calibration_record import CalibrationRecord, Quantity, read_record, write_record
from simrecon.io.camera_record import CameraRecord, read_camera_record, write_camera_record
from simrecon.io.movie import movie_writer
from simrecon.io.ome_tiff import read_provenance, write_image, write_raw
from simrecon.io.otf_files import read_otf
from simrecon.io.otf_record import OtfRecord, otf_doubts, read_otf_record
from simrecon.io.otf_volume_files import holds_volume_otf, read_volume_otf
from simrecon.io.otf_write import write_fairsim_otf, write_otf_tiff, write_priism_otf
from simrecon.io.overwrite import check_overwrite
from simrecon.io.pattern_file import read_pattern, read_patterns, write_pattern
from simrecon.io.pattern_record import PatternRecord, read_pattern_record
from simrecon.io.reader import read, read_raw
from simrecon.io.registration_record import RegistrationRecord, read_registration_record

__all__ = [
    "CalibrationRecord",
    "CameraRecord",
    "OtfRecord",
    "PatternRecord",
    "Quantity",
    "RegistrationRecord",
    "atomic_path",
    "check_overwrite",
    "holds_volume_otf",
    "movie_writer",
    "otf_doubts",
    "read",
    "read_camera_record",
    "read_json",
    "read_otf",
    "read_otf_record",
    "read_pattern",
    "read_pattern_record",
    "read_patterns",
    "read_provenance",
    "read_raw",
    "read_record",
    "read_registration_record",
    "read_volume_otf",
    "write_camera_record",
    "write_fairsim_otf",
    "write_image",
    "write_json",
    "write_otf_tiff",
    "write_pattern",
    "write_priism_otf",
    "write_raw",
    "write_record",
]
