"""What the fit of one direction of a volume is given."""

from __future__ import annotations

from dataclasses import dataclass

from simrecon.estimate.volume.field import VolumeField
from simrecon.estimate.volume.sheet import SEARCHED_UM, OTFAt
from simrecon.model.psf import VolumeOTF


@dataclass(frozen=True)
class VolumeTask:
    """What the steps of the fit of one direction share."""

    field: VolumeField
    projected: VolumeField
    otf: VolumeOTF
    orders: int
    coverage: float
    otf_at: OTFAt | None = None
    sheet_offset_um: float | None = None
    phase_step_um: float | None = None

    def possible(self) -> list[VolumeOTF]:
        """OTFs that the light may have before the distance of a sheet is known."""
        if self.otf_at is None:
            return [self.otf]
        if self.sheet_offset_um is not None:
            return [self.otf_at(self.sheet_offset_um)]
        return [self.otf_at(d) for d in SEARCHED_UM]
