"""What leaves the process, and what comes back: kills, signals, messages, fills. Everything is off until it is set.

`outputs_of` makes the outputs that the settings name; whoever runs an engine starts and closes them as one.
"""

from midas_engine.outbound.factory import outputs_of
from midas_engine.outbound.outputs import Output, Outputs, Source
from midas_engine.outbound.receiver import OrderReceiver

__all__ = ["OrderReceiver", "Output", "Outputs", "Source", "outputs_of"]
