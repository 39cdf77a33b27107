"""Prediction: the one way from clips to a table (predict), blending, calibration, scores, exported models."""
