"""Tags a sound with an exported model, by raw scores: python tag_with_onnx.py tagger.onnx dog.wav"""

import json
import sys

import onnxruntime
import soundfile

if len(sys.argv) != 3:
    sys.exit(__doc__)
session = onnxruntime.InferenceSession(sys.argv[1])
classes = json.loads(session.get_modelmeta().custom_metadata_map["classes"])
try:
    audio, rate = soundfile.read(sys.argv[2], dtype="float32", always_2d=True)  # (samples, channels)
except soundfile.LibsndfileError as error:
    sys.exit(f"{sys.argv[2]}: {error}")
audio = audio.mean(axis=1)
if rate != 44100:
    import soxr  # pip install soxr

    audio = soxr.resample(audio, rate, 44100)
scores = session.run(None, {"waveform": audio[None]})[0][0]  # (classes,)
for score, name in sorted(zip(scores, classes, strict=True), reverse=True)[:3]:
    print(f"{score:.3f} {name}")
