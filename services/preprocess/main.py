"""The process of one preprocess replica; its composition root."""

from runtime.replica import serve
from services.preprocess.worker import preprocess

if __name__ == "__main__":
    serve("preprocess", handler=preprocess)
