"""An actor for nautilus_trader that obeys Midas's order file: it cancels, closes, and tells the strategies.

Set `outbound.kills.node = "file:./orders.jsonl"`, and add the actor to the node:

    node.trader.add_actor(MidasActor(MidasActorConfig(
        orders="./orders.jsonl", instruments={"carry": ["BTCUSDT-PERP.BINANCE"]}, on_kill="flatten")))

A strategy hears of it on the message bus and takes no entries while its feature stands still:

    self.msgbus.subscribe("midas.order.carry", self.on_midas)     # an order: its action is kill, pause, live or resume
    self.msgbus.subscribe("midas.lease", self.on_lease)           # False when Midas is gone, True when it is back

Per feature (by the strategies that listen) and per instrument (by cancelling and closing); hold or flatten by `on_kill`
and `on_lease_end`. Written against nautilus_trader's documented Actor; needs it installed.
"""

from datetime import timedelta
from pathlib import Path

from nautilus_trader.common.actor import Actor
from nautilus_trader.config import ActorConfig
from nautilus_trader.model.identifiers import InstrumentId

from midas_engine.clock import WallClock
from midas_engine.outbound.order_reader import OrderReader


class MidasActorConfig(ActorConfig, frozen=True):
    """Where orders come from, which instruments a feature trades, and what this side does."""

    orders: str
    instruments: dict[str, list[str]] = {}
    on_kill: str = "hold"
    on_lease_end: str = "hold"
    seconds: float = 0.5


class MidasActor(Actor):
    """Polls the order file on the node's own clock."""

    def __init__(self, config):
        super().__init__(config)
        self.reader = OrderReader(Path(config.orders), self.obey, WallClock(), self.lease_ended)
        self.lease = True

    def on_start(self):
        """Begin to look."""
        self.poll(None)
        for name in self.reader.stopped:  # what stood still before this start stands still now
            self.msgbus.publish(f"midas.order.{name}", self.reader.newest[name])
        self.clock.set_timer("midas", timedelta(seconds=self.config.seconds), callback=self.poll)

    def on_stop(self):
        """Look no more."""
        self.clock.cancel_timer("midas")

    def poll(self, event):
        """Obey what is new; tell the strategies when the lease came back."""
        self.reader.poll()
        holds = self.reader.lease_holds()
        if holds and not self.lease:
            self.msgbus.publish("midas.lease", True)
        self.lease = holds

    def obey(self, order):
        """Tell the strategies, and close what the feature holds where this side is set to."""
        self.log.warning(" ".join((order.action, order.feature, order.reason)))
        self.msgbus.publish(f"midas.order.{order.feature}", order)
        if order.action == "kill" and self.config.on_kill == "flatten":
            self.flatten(self.config.instruments.get(order.feature, []))

    def lease_ended(self):
        """No heartbeat in time."""
        self.log.error("Midas is gone")
        self.msgbus.publish("midas.lease", False)
        if self.config.on_lease_end == "flatten":
            self.flatten([name for names in self.config.instruments.values() for name in names])

    def flatten(self, names):
        """Ask the strategies that hold these instruments to cancel and close: they own their orders."""
        for name in names:
            for position in self.cache.positions_open(instrument_id=InstrumentId.from_str(name)):
                self.msgbus.publish(f"midas.flatten.{position.strategy_id}", position.instrument_id)
