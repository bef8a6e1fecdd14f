"""The lease for freqtrade: mix this into a strategy, and no entry is taken while Midas is gone or a feature is killed.

Kills themselves go through freqtrade's REST API (`outbound.kills.bot = "freqtrade:http://127.0.0.1:8080"`); this reads
the heartbeats of a second far side, `outbound.kills.lease = "file:./orders.jsonl"`. Put it before IStrategy:

    class Mine(MidasLease, IStrategy):
        midas_orders = "./orders.jsonl"
        midas_features = {"carry"}
"""

from pathlib import Path

from midas_engine.clock import WallClock
from midas_engine.outbound.order_reader import OrderReader


class MidasLease:
    """`confirm_trade_entry` says no while the lease is over or one of `midas_features` stands still."""

    midas_orders = "./orders.jsonl"
    midas_features = frozenset()
    _midas = None

    def midas_allows(self):
        """Whether an entry may be taken now."""
        if self._midas is None:
            self._midas = OrderReader(Path(self.midas_orders), lambda order: None, WallClock())
        self._midas.poll()
        return self._midas.lease_holds() and not self._midas.stopped & frozenset(self.midas_features)

    def confirm_trade_entry(self, *args, **kwargs):
        """Freqtrade asks before every entry."""
        return self.midas_allows() and super().confirm_trade_entry(*args, **kwargs)
