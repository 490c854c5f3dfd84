"""What a recipe or a command line can say about the teacher."""

from typing import Annotated

from msgspec import Meta, Struct

_Count = Annotated[int, Meta(ge=1)]
_Rate = Annotated[float, Meta(gt=0)]
_Price = Annotated[float, Meta(ge=0)]

PER_MILLION = 1e6


class Settings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which teacher is asked, how fast, and for how much money at most."""

    model: str
    """The server's name for it."""
    journal: str
    """Path of the file that keeps every reply. It is made if it is not there; any number of runs
    and processes can share it."""
    base_url: str | None = None
    """The server's address up to and including ``/v1``; without it OPENAI_BASE_URL holds, and
    without that the server of OpenAI."""
    key_variable: str = "OPENAI_API_KEY"
    """Name of the environment variable that holds the key."""
    concurrency: _Count = 32
    """Calls on their way at the same time, at most."""
    timeout: _Rate = 120.0
    """Seconds that one call may take."""
    retries: Annotated[int, Meta(ge=0)] = 6
    """How often a call that met a busy or broken server is sent again."""
    requests_per_minute: _Rate | None = None
    tokens_per_minute: _Rate | None = None
    """Counted before a call: what goes in by estimate, what comes out as ``max_tokens``."""
    price_in: _Price = 0.0
    """Per million tokens that go in, in any currency."""
    price_out: _Price = 0.0
    """Per million tokens that come out."""
    max_cost: _Price | None = None
    """What the journal may cost in all, in the currency of the prices."""
    max_tokens: _Count | None = None
    """Tokens in and out that the journal may hold in all."""
    batch: bool = False
    """Ask through the batch API, which is slower and mostly cheaper."""
    batch_size: Annotated[int, Meta(ge=1, le=50_000)] = 10_000
    """Requests of one batch, at most."""
    poll_seconds: _Rate = 30.0
    """How often a batch is looked after."""

    def __post_init__(self) -> None:
        if self.max_cost is not None and not (self.price_in or self.price_out):
            raise ValueError("max_cost has no effect without price_in and price_out")

    def cost(self, tokens_in: float, tokens_out: float) -> float:
        """What so many tokens cost."""
        return (tokens_in * self.price_in + tokens_out * self.price_out) / PER_MILLION
