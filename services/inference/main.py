"""The process of one inference replica; its composition root."""

from runtime.calls import serve_calls
from services.inference.worker import setup

if __name__ == "__main__":
    serve_calls("inference", setup)
