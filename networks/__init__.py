"""The networks: tensors in, logits out; no optimizer, device, file or loss inside."""
