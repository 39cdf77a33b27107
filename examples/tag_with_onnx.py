"""Tags a 44.1 kHz sound with an exported model: python tag_with_onnx.py tagger.onnx dog.wav"""

import json
import sys

import onnxruntime
import soundfile

session = onnxruntime.InferenceSession(sys.argv[1])
classes = json.loads(session.get_modelmeta().custom_metadata_map["classes"])
audio, rate = soundfile.read(sys.argv[2], dtype="float32", always_2d=True)  # (samples, channels)
assert rate == 44100, f"expected 44,100 Hz, got {rate}: resample it first"
scores = session.run(None, {"waveform": audio.mean(axis=1)[None]})[0][0]  # (classes,)
for score, name in sorted(zip(scores, classes, strict=True), reverse=True)[:3]:
    print(f"{score:.3f} {name}")
