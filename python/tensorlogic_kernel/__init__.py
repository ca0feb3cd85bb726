"""TensorLogic from Python notebooks: a process of `tl repl --json`, and the Jupyter kernel around it."""
from .process import Process

__all__ = ["Process"]
