"""Early stopping: the weights that best predict pixels whose targets the training never saw.

A network that is trained long enough on one picture learns the noise of that picture, which is in
the target of every pair: fresh noise on top does not tell. So a share of a picture's pixels
(`withheld`) is nobody's target. Now and then the network restores fresh copies of the picture, and
what its two pictures predict there is compared with the independent partners (an unbiased estimate
of their error, but for a constant); the weights that did best are the ones that are used.
"""

from __future__ import annotations

import time

import numpy as np
import torch

from zsdeconv.recorrupt import recorrupt
from zsdeconv.restore import Views
from zsdeconv.training import Training

LOOKS = 12
"""Times that a training is looked at."""
LEAST_STEPS = 20
"""Steps between two looks."""
_DRAWS, _ALPHA = 2, 0.5


class Watch:
    """What a training is looked at with: copies of the picture and their partners.

    Parameters
    ----------
    run
        A training whose bank withholds pixels.
    """

    def __init__(self, run: Training) -> None:
        m, rng = run.measurement, np.random.default_rng([run.settings.seed, 1])
        self._pairs = []
        for _ in range(_DRAWS):
            noise = m.draw_noise(rng)
            for sign in (1, -1):
                copy, partner = recorrupt(m.frames_e, noise, _ALPHA, sign)
                self._pairs.append((run.sampler.inputs(m, copy), partner))
        self._last = run.iteration

    def due(self, run: Training, before: float) -> bool:
        """Whether it is time, when `before` was the fraction one step ago."""
        if run.fraction >= 1.0:
            return True
        enough = run.iteration - self._last >= LEAST_STEPS
        return enough and int(LOOKS * run.fraction) > int(LOOKS * before)

    def look(self, run: Training) -> None:
        """Keep the present weights if none did better before; the time counts."""
        started = time.perf_counter()
        self._last = run.iteration
        score = self.score(run)
        run.looks.append((run.iteration, score))
        if run.best is None or score < min(s for _, s in run.looks[:-1]):
            run.best = {k: v.clone() for k, v in run.mean.state_dict().items()}
        run.elapsed_s += time.perf_counter() - started

    def score(self, run: Training) -> float:
        """Mean squared errors of the predictions of both pictures at the withheld pixels, in units
        of the frames' noise.
        """
        m, withheld = run.measurement, run.bank.withheld
        assert withheld is not None
        plain = run.settings.model_copy(update={"self_ensemble": False})
        views = Views(run.mean, plain, run.bank.scale, run.sampler.operations)
        scores = []
        for inputs, partner in self._pairs:
            denoised, objects = views(inputs, run.bank.padding)
            variance = m.variance_e2[:, withheld]
            target = partner[:, withheld]
            expected = m.predict(objects)[:, withheld]
            scores.append(float(np.mean((expected - target) ** 2 / variance)))
            if m.zoom == 1:
                scores[-1] += float(np.mean((denoised[withheld] - target) ** 2 / variance))
        return float(np.mean(scores))


def take_best(run: Training) -> None:
    """The mean network gets the weights that did best."""
    if run.best is not None:
        with torch.no_grad():
            run.mean.load_state_dict(run.best)


def sentences(run: Training) -> list[str]:
    """Which step was taken, for people; empty where nothing was withheld."""
    if not run.looks:
        return []
    step = min(run.looks, key=lambda look: look[1])[0]
    return [f"training: step {step} of {run.iteration} predicts the withheld pixels best"]
