"""Waiting for a server of a test."""

import ssl
import time

import httpx


def until_it_answers(url: str, seconds: float, verify: ssl.SSLContext | bool = True) -> None:
    """Ask until there is an HTTP response of any status; raises httpx.TransportError when the time is over."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            httpx.get(url, verify=verify)
            return
        except httpx.TransportError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)
