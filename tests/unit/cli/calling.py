"""How the tests of loopctl call it."""

from __future__ import annotations

from collections.abc import Callable

from click.testing import Result

Loopctl = Callable[..., Result]
