"""The packages of each peer, and those that all peers share."""

SHARED = ("onnxruntime==1.32.0", "simplejpeg==1.9.0", "pillow==13.0.0", "numpy")
PACKAGES = {
    "mosec": ("mosec==0.9.8", "orjson"),
    "triton": ("nvidia-pytriton==0.7.0",),
    "litserve": ("litserve==0.2.19", "uvloop", "httptools"),
    "mlserver": ("mlserver==1.7.1",),
    "bentoml": ("bentoml==1.4.40", "uvloop", "httptools"),
    "ray": ("ray[serve]==2.60.0",),
}
