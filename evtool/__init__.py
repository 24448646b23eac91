"""evtool: the command-line event workbench for event-driven systems."""

__version__ = "0.1.0"
