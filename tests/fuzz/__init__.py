"""Fuzzers of what strangers send: images, archives, tables of labels, tensors, ONNX graphs."""
