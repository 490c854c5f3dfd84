"""A server that speaks as OpenAI's does: where it is, its key, and what to say when it fails."""

import os
from urllib.parse import urlsplit

import openai
from msgspec import Struct

from metaalign.schema import UserError

KEY = "OPENAI_API_KEY"
URL = "OPENAI_BASE_URL"
OPENAI = "https://api.openai.com/v1"
NO_KEY = "none"
"""Sent to servers that need no key: the client insists on one."""


class Endpoint(Struct, frozen=True):
    """One model of one server."""

    model: str
    """The server's name for it."""
    base_url: str
    key: str
    key_variable: str = KEY

    @classmethod
    def find(cls, model: str, base_url: str | None = None, key_variable: str = KEY) -> "Endpoint":
        """The model at ``base_url``; without it OPENAI_BASE_URL holds, and then OpenAI's server.

        The key is in the environment; servers other than OpenAI's may need none. Raises
        ``UserError`` where there is no key for OpenAI, and for what is no address.
        """
        base_url = base_url or os.environ.get(URL) or None
        if base_url is not None and not _is_address(base_url):
            raise UserError(
                f"{base_url!r} is no address of a server: it is like http://HOST:PORT/v1"
            )
        key = os.environ.get(key_variable) or None
        if key is None and base_url is None:
            raise UserError(
                f"no key for OpenAI: set {key_variable}, or name another server by its base URL"
            )
        return cls(model, base_url or OPENAI, key or NO_KEY, key_variable)

    def __repr__(self) -> str:
        return f"Endpoint({self.name})"  # the key belongs into no log

    @property
    def name(self) -> str:
        """Who is asked: ``MODEL at HOST``."""
        return f"{self.model} at {self.host}"

    @property
    def host(self) -> str:
        """Host and port of the server; its address may hold more, such as a password."""
        parts = urlsplit(self.base_url)
        return f"{parts.hostname}:{parts.port}" if parts.port else str(parts.hostname)

    def no_such_server(self) -> UserError:
        """What to say of an answer that is of no known form."""
        return UserError(
            f"{self.host} did not answer as an OpenAI-compatible server does: "
            "check the base URL, it mostly ends in /v1"
        )

    def refuses(self, error: Exception) -> UserError:
        """What to say of a request that the server accepts in no manner."""
        return UserError(f"{self.name} refuses the request: {line_of(error)}")

    def failed(self, error: openai.OpenAIError, tries: int, timeout: float) -> UserError:
        """What went wrong, in one line, after so many tries of at most ``timeout`` seconds."""
        in_tries = f"{tries} tries" if tries > 1 else "1 try"
        if isinstance(error, openai.APITimeoutError):
            return UserError(
                f"{self.name} did not answer within {timeout:g} s in {in_tries}: "
                "try again later, or allow more time"
            )
        if isinstance(error, openai.APIConnectionError):
            return UserError(
                f"cannot reach {self.host}: is the server running, and is the base URL right?"
            )
        if isinstance(error, openai.AuthenticationError | openai.PermissionDeniedError):
            return UserError(
                f"{self.host} refuses the key: "
                f"set {self.key_variable} to one that may use {self.model}"
            )
        if isinstance(error, openai.NotFoundError):
            return UserError(
                f"{self.host} has no model {self.model}, or its base URL is another, "
                f"mostly one that ends in /v1: {line_of(error)}"
            )
        if isinstance(error, openai.RateLimitError):
            return UserError(
                f"{self.host} is too busy, in {in_tries}, or the quota is spent: {line_of(error)}"
            )
        return UserError(f"{self.host} failed, in {in_tries}: {line_of(error)}: try again later")


def line_of(error: BaseException) -> str:
    """What an error says, in one line of at most 300 characters."""
    return " ".join(str(error).split())[:300] or type(error).__name__


def _is_address(text: str) -> bool:
    try:
        parts = urlsplit(text)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False
