"""Reverb, pitch, overdrive and tempo: the effects of the augmentation, by one of two engines.

chain applies all four to whole batches in torch; resampling (pitch), reverb and time_stretch are its parts
and know nothing of draws; transfer brings their numbers to the device. sox hands single clips to the SoX
binary. Nothing here draws a random number: parameters come as an ops.samples.EffectsDraw. Modules import
ops.samples, ops.sampling, transfer and, chain alone, its three parts; nothing else of the project.

What launches a kernel on a GPU costs it some microseconds of waiting: steps over splices, rows or taps are
few calls on whole tensors here, counted by tests/ops/test_augmentation_calls.py.
"""
