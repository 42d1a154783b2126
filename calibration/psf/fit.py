"""Fit a pupil to an averaged bead: aberrations with their errors, and a PSF without noise.

Weighted least squares (maximum likelihood for Gaussian noise of known variance) of

    flux · bead_image(z, y, x, W, a, NA, depth) + background of the plane

with the derivatives of :mod:`simrecon.physics.bead_image`; NA and depth by differences. Each plane
has its background, for the light of beads around, which differs from plane to plane. Standard
deviations are those of the Fisher information, times the root of the reduced χ² where that
exceeds 1. Phase retrieval from bead stacks: Hanser et al., J. Microsc. 216, 32 (2004).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy.optimize import OptimizeResult, least_squares

from calibration.psf.settings import BeadSetup, PsfSettings
from simrecon.model.pattern import Verdict
from simrecon.physics.bead_image import Camera3D
from simrecon.physics.pupil import PupilModel
from simrecon.physics.zernike import NAMES, noll_to_nm

CHI2_OK = 1.3
"""Reduced χ² up to which the pupil explains the beads. Nine simulated beads of 1000 photo-electrons
at the peak give 0.86 to 1.07, and 43 where 0.1 wave of spherical aberration is not fitted
(benchmarks/results/psf.json)."""
LEAST_EXPLAINED = 0.95
NOTABLE = 25.0
"""Fall of χ², in units of the reduced χ², for which apodisation and blur are kept: noise alone
gives more than that in 1 of 10⁵ fits (two parameters)."""
_NA_STEP, _DEPTH_STEP_UM = 1e-3, 0.02


@dataclass(frozen=True)
class PupilFit:
    """What the pupil is.

    Attributes
    ----------
    values, sd : dict of str to float
        flux (counts), z_um, y_um, x_um (of the bead against the window's middle),
        and where fitted apodisation, blur_um2, na, depth_um.
    aberrations_nm, aberrations_sd_nm : dict of int to float
        Noll index → rms wavefront, nm.
    background : ndarray, shape (Z,)
        What the mean still had, per plane, counts.
    chi2 : float
        Reduced χ².
    explained : float
        Part of the variance of the voxels that the model explains.
    model : ndarray, shape (Z, Y, X)
        The fitted picture (bead and pixel included, background not), counts.
    setup : BeadSetup
        With the fitted NA and depth.
    verdict, note
        `ok`, `weak` or `failed`, and why.
    """

    values: dict[str, float]
    sd: dict[str, float]
    aberrations_nm: dict[int, float]
    aberrations_sd_nm: dict[int, float]
    background: np.ndarray
    chi2: float
    explained: float
    model: np.ndarray
    setup: BeadSetup
    verdict: Verdict
    note: str

    @property
    def rms_nm(self) -> float:
        """Rms of the fitted wavefront, nm."""
        return float(np.sqrt(sum(v**2 for v in self.aberrations_nm.values())))

    def named(self) -> dict[str, dict[str, float]]:
        """Aberrations by name, in nm and rad rms."""
        turn = 2.0 * np.pi / self.setup.optics.emission_nm
        return {
            NAMES.get(j, f"Noll {j}"): {
                "noll": j,
                "rms_nm": v,
                "sd_nm": self.aberrations_sd_nm[j],
                "rms_rad": v * turn,
                "sd_rad": self.aberrations_sd_nm[j] * turn,
            }
            for j, v in self.aberrations_nm.items()
        }

    def psf(
        self, shape: tuple[int, int], z_um: tuple[float, ...], model: PupilModel = "auto"
    ) -> np.ndarray:
        """The PSF of a point in the camera's pixels, centred, without noise or background.

        Parameters
        ----------
        shape, z_um
            Window and planes; z_um = 0 is the plane of the fitted focus.

        Returns
        -------
        ndarray, shape (Z, Y, X)
            Each plane sums to 1 over an infinite window.
        """
        camera = Camera3D(shape, self.setup.pixel_um, _directed(z_um, self.setup),
                          self.setup.optics.pixel_integration)  # fmt: skip
        return camera.image(
            self.setup.optics, aberrations_nm=self.aberrations_nm,
            apodisation=self.values.get("apodisation", 0.0),
            blur_um2=self.values.get("blur_um2", 0.0), model=model,
        )  # fmt: skip


def _directed(z_um: tuple[float, ...], setup: BeadSetup) -> tuple[float, ...]:
    return tuple(-z for z in z_um) if setup.reverse_z else tuple(z_um)


def planes_um(count: int, setup: BeadSetup) -> tuple[float, ...]:
    """Height of each plane of a window above its middle one, in the order of the file."""
    return tuple((np.arange(count) - count // 2) * float(setup.dz_um or 0.0))


@dataclass(frozen=True)
class _Problem:
    data: np.ndarray
    error: np.ndarray
    setup: BeadSetup
    settings: PsfSettings
    extra: tuple[str, ...]

    @property
    def names(self) -> tuple[str, ...]:
        return ("flux", "z_um", "y_um", "x_um", *self.extra)

    def start(self) -> np.ndarray:
        optics = self.setup.optics
        first = {"flux": float(self.data[self.data.shape[0] // 2].sum()),
                 "na": optics.na, "depth_um": optics.depth_um}  # fmt: skip
        values = [first.get(name, 0.0) for name in self.names]
        return np.array(values + [0.0] * (len(self.settings.terms) + len(self.data)))

    def scale(self) -> np.ndarray:
        sizes = {"flux": float(np.abs(self.start()[0])), "z_um": 0.1, "y_um": 0.02,
                 "x_um": 0.02, "apodisation": 0.3, "blur_um2": 1e-3, "na": 0.03,
                 "depth_um": 1.0}  # fmt: skip
        named = [sizes[n] for n in self.names] + [20.0] * len(self.settings.terms)
        return np.array(named + [float(self.error.mean())] * len(self.data))

    def unpack(self, p: np.ndarray) -> tuple[dict[str, float], dict[int, float], np.ndarray]:
        """Named values, aberrations by Noll index, background per plane."""
        n, m = len(self.names), len(self.names) + len(self.settings.terms)
        values = dict(zip(self.names, map(float, p[:n]), strict=True))
        return values, dict(zip(self.settings.terms, map(float, p[n:m]), strict=True)), p[m:]

    def tuned(self, values: dict[str, float]) -> BeadSetup:
        """The set-up with NA and depth of `values`, kept within what optics allow."""
        optics = self.setup.optics
        na = float(np.clip(values.get("na", optics.na), 0.1, 0.999 * optics.immersion_index))
        depth = max(values.get("depth_um", optics.depth_um), 0.0)
        return replace(self.setup, optics=replace(optics, na=na, depth_um=depth))

    def picture(self, p: np.ndarray, slopes: bool) -> tuple[np.ndarray, np.ndarray]:
        values, waves, _ = self.unpack(p)
        setup = self.tuned(values)
        camera = Camera3D(
            (self.data.shape[1], self.data.shape[2]), setup.pixel_um,
            _directed(planes_um(self.data.shape[0], setup), setup),
            setup.optics.pixel_integration, setup.bead_um,
        )  # fmt: skip
        given = {"position_um": (values["z_um"], values["y_um"], values["x_um"]),
                 "aberrations_nm": waves, "apodisation": values.get("apodisation", 0.0),
                 "blur_um2": values.get("blur_um2", 0.0),
                 "model": self.settings.model}  # fmt: skip
        if not slopes:
            return camera.image(setup.optics, **given), np.empty(0)  # type: ignore[arg-type]
        return camera.image_and_slopes(setup.optics, self.settings.terms, **given)  # type: ignore[arg-type]

    def residual(self, p: np.ndarray) -> np.ndarray:
        image, _ = self.picture(p, slopes=False)
        level = self.unpack(p)[2][:, None, None]
        return np.asarray((p[0] * image + level - self.data) / self.error).ravel()

    def jacobian(self, p: np.ndarray) -> np.ndarray:
        image, slopes = self.picture(p, slopes=True)
        flux = p[0]
        by_name = {"flux": image, "z_um": flux * slopes[0],
                   "y_um": flux * slopes[1], "x_um": flux * slopes[2],
                   "apodisation": flux * slopes[3], "blur_um2": flux * slopes[4]}  # fmt: skip
        for name, step in (("na", _NA_STEP), ("depth_um", _DEPTH_STEP_UM)):
            if name in self.extra:
                moved = p.copy()
                moved[self.names.index(name)] += step
                by_name[name] = flux * (self.picture(moved, slopes=False)[0] - image) / step
        columns = [by_name[n] for n in self.names] + list(flux * slopes[5:])
        planes = np.eye(len(image))[:, :, None, None] / self.error
        rows = [(c / self.error).ravel() for c in columns] + [p.ravel() for p in planes]
        return np.stack(rows, axis=1)


def fit_pupil(
    mean: np.ndarray, error: np.ndarray, setup: BeadSetup, settings: PsfSettings
) -> PupilFit:
    """Fit a pupil to the mean bead.

    Parameters
    ----------
    mean, error : ndarray, shape (Z, Y, X)
        Background-free mean and its standard error, Z ≥ 3.
    setup, settings
        Optics to start from; terms and what else is fitted.

    Returns
    -------
    PupilFit
        Where χ² stays bad, an apodised amplitude with a Gaussian blur, and then the start with
        even aberrations turned over, have been tried, and kept when they lower χ².
    """
    extra = (*(("na",) if settings.fit_na else ()), *(("depth_um",) if settings.fit_depth else ()))
    problem = _Problem(mean, error, setup, settings, extra)
    best = _solve(problem, problem.start())
    if _reduced(best, problem) > CHI2_OK:
        wider = replace(problem, extra=("apodisation", "blur_um2", *extra))
        freer = _solve(wider, np.insert(best.x, 4, [0.0, 0.0]))
        if 2.0 * (best.cost - freer.cost) > NOTABLE * _reduced(best, problem):
            problem, best = wider, freer
    if _reduced(best, problem) > CHI2_OK:
        other = _solve(problem, _turned(problem, best.x))
        best = other if other.cost < best.cost else best
    return _finish(problem, best.x, best.jac)


def _turned(problem: _Problem, p: np.ndarray) -> np.ndarray:
    """The same start with all even aberrations (those a reversed z would turn) of other sign."""
    odd = [noll_to_nm(j)[1] % 2 == 1 for j in problem.settings.terms]
    before, after = len(problem.names), len(problem.data)
    sign = np.where(np.pad(odd, (before, after), constant_values=True), 1.0, -1.0)
    return np.asarray(sign * p)


def _solve(problem: _Problem, start: np.ndarray) -> OptimizeResult:
    return least_squares(
        problem.residual, start, jac=problem.jacobian, x_scale=problem.scale(), max_nfev=40,
        ftol=1e-6, xtol=1e-6, gtol=1e-10,
    )  # fmt: skip


def _reduced(found: OptimizeResult, problem: _Problem) -> float:
    return 2.0 * float(found.cost) / float(problem.data.size - found.x.size)


def _finish(problem: _Problem, p: np.ndarray, jacobian: np.ndarray) -> PupilFit:
    values, waves, level = problem.unpack(p)
    model = p[0] * problem.picture(p, slopes=False)[0]
    data = problem.data - level[:, None, None]
    residual = (data - model) / problem.error
    chi2 = float(np.sum(residual**2) / (residual.size - p.size))
    scaled = jacobian * problem.scale()
    sd = problem.scale() * np.sqrt(np.diag(np.linalg.pinv(scaled.T @ scaled)) * max(1.0, chi2))
    explained = 1.0 - float(np.sum((data - model) ** 2) / np.sum((data - data.mean()) ** 2))
    verdict, note = judge_fit(chi2, explained)
    named_sd, waves_sd, _ = problem.unpack(sd)
    return PupilFit(values, named_sd, waves, waves_sd, level, chi2, explained, model,
                    problem.tuned(values), verdict, note)  # fmt: skip


def judge_fit(chi2: float, explained: float) -> tuple[Verdict, str]:
    """Verdict on a fit of this reduced χ² and explained share, and why."""
    if explained < LEAST_EXPLAINED:
        return "failed", (
            f"The pupil explains only {100 * explained:.0f} % of the beads' structure "
            f"(χ² {chi2:.1f}): check NA, wavelength, index, pixel size and plane spacing."
        )
    if chi2 > CHI2_OK:
        return "weak", (
            f"χ² {chi2:.2f}: the beads have structure beyond the fitted pupil "
            f"({100 * explained:.1f} % explained); errors are widened by its root. More --terms "
            "(12 to 15, 22) or another --bead-nm may explain it."
        )
    return "ok", f"χ² {chi2:.2f}, {100 * explained:.1f} % of the structure explained."
