"""The process of one inference replica; its composition root."""

from runtime.replica import serve
from services.inference.batch import predict
from services.inference.worker import setup

if __name__ == "__main__":
    serve("inference", handler=predict, setup=setup)
