"""Build a real example where its reader can look at every part and change it."""

from flows.demo.run import run_demo

__all__ = ["run_demo"]
