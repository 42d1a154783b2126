"""zsdeconv: zero-shot denoising and deconvolution, trained on the noisy data themselves."""
