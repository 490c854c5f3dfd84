"""Fixtures of the engine's tests."""

from pathlib import Path
from typing import Any

import pytest
from tests.generate.makers import make_model, make_tokenizer, save, teach

from metaalign.generate import Engine


@pytest.fixture(scope="session")
def tokenizer() -> Any:
    return make_tokenizer()


@pytest.fixture(scope="session")
def trained_folder(tmp_path_factory: pytest.TempPathFactory, tokenizer: Any) -> Path:
    """A folder with a model that has learnt ``LEARNT``."""
    model = make_model(tokenizer)
    teach(model, tokenizer)
    return save(model, tokenizer, tmp_path_factory.mktemp("models") / "trained")


@pytest.fixture(scope="session")
def engine(trained_folder: Path) -> Engine:
    """Answers what it has learnt."""
    return Engine.load(trained_folder)


@pytest.fixture(scope="session")
def babbler(tokenizer: Any) -> Engine:
    """Writes any bytes and hardly ever ends."""
    return Engine(make_model(tokenizer), tokenizer)
