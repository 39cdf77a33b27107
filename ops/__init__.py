"""Arrays and tensors only: no file, no table, no config, no process, no command line; imports ops alone.

errors, sampling (the rate), logits (sigmoid and its inverse)
samples (a sample and its draws)  batching (samples to batches)  padding (axes cut and padded)
transforms (all augmentations: draws, pure functions)  effects/  batch_augmentation (on the device)
features (front ends)  spectrograms (features as pictures)
contrastive (losses without labels)  views (of a clip, for these)  linear_probe
losses  optimization (optimizers, learning rates)  metrics (lwlrap)  scores (figures of predictions)  folds
relabeling (strategies)  noise_model (label correction)
calibration (comparable probabilities)  blending (means of models, fitted weights)
"""
