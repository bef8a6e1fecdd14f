"""A second copy of a user's function that sees altered data: same code, other tables.

A function reaches its data through closures, globals, defaults, attributes of its object, and readers of files.
The shadow is a new function object over copies of all of these; the user's own objects are never written to.
"""

from __future__ import annotations

import copy
import functools
import os
import random
import sys
import sysconfig
import types
from collections import OrderedDict, defaultdict, deque
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_LIBRARIES = tuple({p for k, p in sysconfig.get_paths().items() if k in ("stdlib", "platstdlib", "purelib", "platlib")})
_INSTALLED = {"site-packages", "dist-packages"}
_OWN = __name__.partition(".")[0]
_HOME = str(Path(__file__).resolve().parents[2]) + os.sep
_READERS = {
    "pandas": (
        "read_parquet", "read_csv", "read_feather", "read_pickle", "read_hdf", "read_json", "read_sql", "read_table",
        "read_orc",
    ),
    "numpy": ("load", "loadtxt", "genfromtxt"),
}  # fmt: skip
_DEPTH = 12


class Shadow:
    """Copies a callable and what it reaches.

    Args:
        alter: Gives the altered copy of a table, None for anything else.
    """

    def __init__(self, alter: Callable[[Any], Any]) -> None:
        self.alter = alter
        # The original is kept beside its copy: an id is its own only while the object lives.
        self._done: dict[int, tuple[Any, Any]] = {}
        self._spaces: dict[int, dict[str, Any]] = {}
        self._real_import = __import__

    def copy(self, thing: Any, depth: int = 0) -> Any:
        """The shadow of a thing; itself when there is nothing to alter in it."""
        known = self._done.get(id(thing))
        if known is not None:
            return known[1]
        if depth > _DEPTH or isinstance(thing, str | bytes | int | float | complex | type | None):
            return thing
        altered = self.alter(thing)
        if altered is not None:
            return self._keep(thing, altered)
        if isinstance(thing, types.FunctionType):
            return self._function(thing, depth) if _is_users(thing.__code__.co_filename) else thing
        if isinstance(thing, types.MethodType):
            return self._keep(
                thing, types.MethodType(self.copy(thing.__func__, depth + 1), self.copy(thing.__self__, depth + 1))
            )
        if isinstance(thing, functools.partial):
            inner = self.copy(thing.func, depth + 1)
            args = (self.copy(a, depth + 1) for a in thing.args)
            return functools.partial(inner, *args, **{k: self.copy(v, depth + 1) for k, v in thing.keywords.items()})
        if hasattr(thing, "cache_info") and hasattr(thing, "__wrapped__"):
            # A cache filled by the real run would answer for the altered one.
            return self._keep(thing, functools.lru_cache(maxsize=None)(self.copy(thing.__wrapped__, depth + 1)))
        if isinstance(thing, types.ModuleType):
            return self._module(thing, depth)
        if isinstance(thing, np.random.Generator | np.random.RandomState | random.Random):
            return self._keep(thing, copy.deepcopy(thing))
        return self._container(thing, depth)

    def _keep(self, original: Any, shadow: Any) -> Any:
        self._done[id(original)] = (original, shadow)
        return shadow

    def _container(self, thing: Any, depth: int) -> Any:
        kind = type(thing)
        if kind in (dict, OrderedDict, defaultdict):
            # Results remembered under an expression belong to the real data.
            kept = {k: v for k, v in thing.items() if not _is_memo(k)}
            table: dict[Any, Any] = kind() if kind is not defaultdict else defaultdict(thing.default_factory)
            self._keep(thing, table)
            table.update({k: self.copy(v, depth + 1) for k, v in kept.items()})
            return table
        if kind in (list, deque):
            row: Any = kind()
            self._keep(thing, row)
            row.extend(self.copy(v, depth + 1) for v in thing)
            return row
        if isinstance(thing, tuple):
            values = [self.copy(v, depth + 1) for v in thing]
            return self._keep(thing, kind(*values) if hasattr(thing, "_fields") else tuple(values))
        if isinstance(thing, types.SimpleNamespace) or _is_users(_file_of(kind)):
            return self._object(thing, depth)
        return thing

    def _object(self, thing: Any, depth: int) -> Any:
        try:
            made = copy.copy(thing)
        except Exception:  # an object that refuses to be copied is left alone; the run will tell
            return thing
        self._keep(thing, made)
        for name, value in _attributes(thing):
            if not (isinstance(value, dict) and _is_memo_dict(value)):
                object.__setattr__(made, name, self.copy(value, depth + 1))
            else:
                object.__setattr__(made, name, {})
        return made

    def _function(self, function: types.FunctionType, depth: int) -> Any:
        cells = tuple(types.CellType() for _ in function.__closure__ or ())
        made = types.FunctionType(
            function.__code__, self._space(function, depth), function.__name__, None, cells if cells else None
        )
        self._keep(function, made)
        for cell, original in zip(cells, function.__closure__ or (), strict=True):
            try:
                cell.cell_contents = self.copy(original.cell_contents, depth + 1)
            except ValueError:  # a name not bound yet
                continue
        made.__defaults__ = self.copy(function.__defaults__, depth + 1) if function.__defaults__ else None
        if function.__kwdefaults__:
            made.__kwdefaults__ = self.copy(function.__kwdefaults__, depth + 1)
        made.__dict__.update(self.copy(dict(function.__dict__), depth + 1))
        return made

    def _space(self, function: types.FunctionType, depth: int) -> dict[str, Any]:
        """The globals of a shadow: those of the original, with what the code names replaced."""
        real = function.__globals__
        if id(real) not in self._spaces:
            space = dict(real)
            builtins = real.get("__builtins__", __builtins__)
            table = dict(builtins if isinstance(builtins, dict) else vars(builtins))
            table["__import__"] = self._import
            space["__builtins__"] = table
            self._spaces[id(real)] = space
        space = self._spaces[id(real)]
        for name in _names(function.__code__):
            if name in real and space.get(name) is real[name]:
                space[name] = self.copy(real[name], depth + 1)
        return space

    def _import(self, name: str, *rest: Any) -> Any:
        return self._module(self._real_import(name, *rest), 0)

    def _module(self, module: types.ModuleType, depth: int) -> Any:
        name = getattr(module, "__name__", "")
        readers = _READERS.get(name)
        users = _is_users(getattr(module, "__file__", None))
        if readers is None and not users:
            return module
        made = types.ModuleType(name)
        self._keep(module, made)
        made.__dict__.update(module.__dict__)
        if readers is not None:
            for reader in readers:
                setattr(made, reader, self._reader(getattr(module, reader)))
        elif depth < _DEPTH:
            for key, value in vars(module).items():
                if not key.startswith("__"):
                    made.__dict__[key] = self.copy(value, depth + 1)
        return made

    def _reader(self, reader: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(reader)
        def read(*args: Any, **kwargs: Any) -> Any:
            table = reader(*args, **kwargs)
            altered = self.alter(table)
            return table if altered is None else altered

        return read


def _is_users(file: str | None) -> bool:
    """Whether code or a class is the user's own: neither the standard library, nor installed, nor Midas."""
    if file is None:
        return False
    if file.startswith("<"):
        return not file.startswith("<frozen")
    # libraries also come from folders that this interpreter does not call its own: PYTHONPATH, --target, a parent venv
    if _INSTALLED.intersection(Path(file).parts):
        return False
    return not file.startswith((*_LIBRARIES, _HOME))


def _file_of(kind: type) -> str | None:
    if kind.__module__ in ("builtins", "types", "_thread") or kind.__module__.startswith(_OWN + "."):
        return None
    module = sys.modules.get(kind.__module__)
    return getattr(module, "__file__", None) or ("<main>" if kind.__module__ == "__main__" else None)


def _attributes(thing: Any) -> Iterator[tuple[str, Any]]:
    yield from list(getattr(thing, "__dict__", {}).items())
    for base in type(thing).__mro__:
        slots = base.__dict__.get("__slots__", ())
        for name in (slots,) if isinstance(slots, str) else slots:
            if name not in ("__dict__", "__weakref__") and hasattr(thing, name):
                yield name, getattr(thing, name)


def _names(code: types.CodeType) -> set[str]:
    """Every global name a function and the functions inside it may use."""
    found = set(code.co_names)
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            found |= _names(constant)
    return found


def _is_memo(key: Any) -> bool:
    """Whether a key looks like an expression: text that is not a plain name, or a tuple with such a text."""
    if isinstance(key, tuple):
        return any(_is_memo(part) for part in key)
    return isinstance(key, str) and any(c in key for c in "(+*/")


def _is_memo_dict(value: dict[Any, Any]) -> bool:
    return bool(value) and all(_is_memo(key) for key in value)
