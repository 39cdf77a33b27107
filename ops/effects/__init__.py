"""Reverb, pitch, overdrive and tempo: the effects of the augmentation, by one of two engines.

chain applies all four to whole batches in torch; resampling (pitch), reverb and time_stretch are its parts
and know nothing of draws. sox hands single clips to the SoX binary. Nothing here draws a random number:
parameters come as an ops.samples.EffectsDraw. Modules import ops.samples, ops.sampling and, chain alone,
its three parts; nothing else of the project.
"""
