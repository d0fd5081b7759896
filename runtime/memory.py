"""The in-memory twin of the way to the pools; a function of the test's answers."""

import asyncio

from contract.errors import DeadlineExceeded, TidepoolError
from runtime.calls import Answer


class MemoryCaller:
    """Calls answered in a thread of this process, with the promises of RedisCaller."""

    def __init__(self, answer: Answer) -> None:
        self.answer = answer

    async def call(self, pool: str, body: bytes, within_s: float, request_id: str) -> bytes:
        try:
            async with asyncio.timeout(within_s):
                return await asyncio.to_thread(self.answer, body)
        except TimeoutError:
            raise DeadlineExceeded(f"no {pool} replica answered within {within_s:g} s; try again") from None
        except TidepoolError:
            raise
        except Exception as error:
            raise TidepoolError("an internal error") from error

    async def ping(self) -> None:
        return None

    async def close(self) -> None:
        return None
