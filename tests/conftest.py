"""Fixtures that tests of every folder share."""

pytest_plugins = ["postgres_server"]
