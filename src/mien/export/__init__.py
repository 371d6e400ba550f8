"""Networks as files for other runtimes: ONNX, and its int8 form. Needs the extra ``train``."""
