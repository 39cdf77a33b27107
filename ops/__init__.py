"""Arrays and tensors only: no file, no table, no config, no process, no command line.

errors, sampling (the rate), logits   |  features (front ends), losses, metrics, optimization, folds
transforms (draws and pure functions), effects/, batching, batch_augmentation (whole batches, on the device)
relabeling (strategies), noise_model, calibration, blending  |  spectrograms (as pictures)
"""
