"""CAREamics N2V with its defaults on one picture; runs in an environment of its own.

    python benchmarks/careamics_n2v.py NOISY.npy DENOISED.npy

Patch and batch size have no defaults there: 64 × 64 and 8 as in its documentation, 30 epochs.
`bench_images.py --n2v PYTHON` calls this with the interpreter that has careamics.
"""

import sys
import tempfile

import numpy as np
from careamics import CAREamist
from careamics.config import create_n2v_config

if __name__ == "__main__":
    noisy = np.load(sys.argv[1]).astype(np.float32)
    steps = int(sys.argv[3]) if len(sys.argv) > 3 else None
    config = create_n2v_config("n2v", "array", "YX", (64, 64), 8, num_epochs=30, num_steps=steps)
    with tempfile.TemporaryDirectory() as folder:
        model = CAREamist(config, work_dir=folder, enable_progress_bar=False)
        model.train(train_data=noisy)
        made, _ = model.predict(noisy, tile_size=(256, 256))
    np.save(sys.argv[2], np.squeeze(np.asarray(made[0])))
