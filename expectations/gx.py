"""Import Great Expectations, late, offline and silent; it is imported nowhere else.

Importing this module takes seconds. It switches telemetry off first, because Great Expectations
reads the variable once, and its log to nowhere, because that log quotes the cells it stumbles on.
"""

from __future__ import annotations

import logging
import os
import warnings

os.environ["GX_ANALYTICS_ENABLED"] = "false"

_log = logging.getLogger("great_expectations")
_log.addHandler(logging.NullHandler())
_log.propagate = False
_log.setLevel(logging.CRITICAL + 1)

with warnings.catch_warnings():
    # It imports modules of the standard library that are deprecated.
    warnings.simplefilter("ignore")
    import great_expectations as gx
    from great_expectations.core.metric_domain_types import MetricDomainTypes
    from great_expectations.execution_engine.pandas_execution_engine import PandasExecutionEngine
    from great_expectations.expectations.expectation import BatchExpectation, Expectation
    from great_expectations.expectations.metrics.metric_provider import metric_value
    from great_expectations.expectations.metrics.table_metric_provider import TableMetricProvider
    from great_expectations.expectations.registry import get_expectation_impl


def mute() -> None:
    """Silence all its loggers; logging that was set up since may have switched them on again."""
    for name in [name for name in logging.root.manager.loggerDict if name.startswith(_log.name)]:
        # Some of its modules set a level of their own.
        logging.getLogger(name).disabled = True


mute()

__all__ = [
    "BatchExpectation",
    "Expectation",
    "MetricDomainTypes",
    "PandasExecutionEngine",
    "TableMetricProvider",
    "get_expectation_impl",
    "gx",
    "metric_value",
    "mute",
]
