"""The process of one trainer replica; its composition root."""

from runtime.replica import serve
from services.trainer.worker import train

if __name__ == "__main__":
    serve("trainer", handler=train)
