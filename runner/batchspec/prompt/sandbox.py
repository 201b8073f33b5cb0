"""The Jinja2 environment of prompts: a closed sandbox (docs/explanation/security.md).

Jinja2's own immutable sandbox keeps dunders away, but lets a template read any public attribute,
call any method and use any amount of memory. Here a template reaches the values it is given, a list
of filters, and nothing else: attributes exist on mappings, texts, loops and imported templates
only; a handful of their methods can be called; whatever repeats or grows is metered.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from jinja2 import nodes
from jinja2.environment import TemplateModule
from jinja2.exceptions import SecurityError, TemplateRuntimeError
from jinja2.runtime import LoopContext, Macro, StrictUndefined, Undefined
from jinja2.sandbox import ImmutableSandboxedEnvironment

from batchspec.prompt.filters import FILTERS, as_text, internal_filters
from batchspec.prompt.tree import guard_tree

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, MutableMapping

    from jinja2 import BaseLoader, Template
    from jinja2.runtime import Context

    from batchspec.prompt.meter import Meter

_TEXT_METHODS = frozenset(
    [
        "capitalize",
        "casefold",
        "count",
        "endswith",
        "find",
        "index",
        "isalnum",
        "isalpha",
        "isascii",
        "isdecimal",
        "isdigit",
        "islower",
        "isnumeric",
        "isspace",
        "istitle",
        "isupper",
        "lower",
        "lstrip",
        "partition",
        "removeprefix",
        "removesuffix",
        "rfind",
        "rindex",
        "rpartition",
        "rsplit",
        "rstrip",
        "split",
        "splitlines",
        "startswith",
        "strip",
        "swapcase",
        "title",
        "upper",
    ]
)
MAPPING_METHODS = frozenset({"get", "items", "keys", "values"})
_LOOP_ATTRIBUTES = frozenset(
    [
        "changed",
        "cycle",
        "depth",
        "depth0",
        "first",
        "index",
        "index0",
        "last",
        "length",
        "nextitem",
        "previtem",
        "revindex",
        "revindex0",
    ]
)
_TESTS = frozenset(
    [
        "!=",
        "<",
        "<=",
        "==",
        ">",
        ">=",
        "boolean",
        "defined",
        "divisibleby",
        "eq",
        "equalto",
        "even",
        "false",
        "float",
        "ge",
        "greaterthan",
        "gt",
        "in",
        "integer",
        "iterable",
        "le",
        "lessthan",
        "lower",
        "lt",
        "mapping",
        "ne",
        "none",
        "number",
        "odd",
        "sequence",
        "string",
        "true",
        "undefined",
        "upper",
    ]
)
_MAX_BITS = 4096
"""Whole numbers stay below 2 to this power."""
_MAX_EXPONENT = 1024
_STEPS_PER_CALL = 10
_STEPS_PER_FILE = 40
"""What a call, an include or an import takes, in rounds of an empty loop."""
_NO_NUMBERS = (str, list, tuple, dict)


class PromptEnvironment(ImmutableSandboxedEnvironment):
    """A sandbox whose templates read values and write text, within the limits of a meter.

    Args:
        meter: Counts what templates do.
        loader: Finds included and imported templates; None: there are none.
    """

    intercepted_binops = frozenset({"+", "-", "*", "/", "//", "%", "**"})

    def __init__(self, meter: Meter, loader: BaseLoader | None = None) -> None:
        super().__init__(
            undefined=StrictUndefined,
            finalize=_finalizer(meter),
            loader=loader,
            cache_size=-1,
            auto_reload=False,
        )
        self.meter = meter
        self.globals.clear()
        self.filters = {**FILTERS, **internal_filters(meter)}
        self.tests = {name: test for name, test in self.tests.items() if name in _TESTS}
        self.concat = meter.concat  # type: ignore[method-assign]  # generated code asks for it

    def _parse(self, source: str, name: str | None, filename: str | None) -> nodes.Template:
        return guard_tree(super()._parse(source, name, filename), name)

    def _load_template(
        self,
        name: str,
        globals: MutableMapping[str, Any] | None,  # noqa: A002 - Jinja2's own
    ) -> Template:
        self.meter.spend(_STEPS_PER_FILE)
        return super()._load_template(name, globals)

    def getattr(self, obj: Any, attribute: str) -> Any:
        """Return ``obj.attribute``: a field of a mapping, or one of few methods."""
        if isinstance(obj, dict):
            if attribute in obj:
                return obj[attribute]
            if attribute in MAPPING_METHODS:
                return getattr(obj, attribute)
            return self.undefined(obj=obj, name=attribute)
        allowed = (
            (type(obj) is str and attribute in _TEXT_METHODS)
            or (isinstance(obj, LoopContext) and attribute in _LOOP_ATTRIBUTES)
            or (isinstance(obj, TemplateModule) and attribute in _exports(obj))
        )
        if allowed:
            return getattr(obj, attribute)
        if isinstance(obj, Undefined):
            return getattr(obj, attribute)  # raises, naming what is undefined
        return self._forbidden(obj, attribute)

    def getitem(self, obj: Any, argument: Any) -> Any:
        """Return ``obj[argument]`` of a mapping, list or text."""
        if isinstance(obj, dict | list | tuple | str | range):
            try:
                return obj[argument]
            except (TypeError, LookupError):
                return self.undefined(obj=obj, name=argument)
        if isinstance(obj, Undefined):
            return obj[argument]
        return self._forbidden(obj, str(argument))

    def is_safe_callable(self, obj: Any) -> bool:
        """Tell whether a template may call ``obj``: a macro, or one of the methods it may read."""
        if isinstance(obj, Macro):
            return True
        owner, name = getattr(obj, "__self__", None), getattr(obj, "__name__", "")
        return (
            (type(owner) is str and name in _TEXT_METHODS)
            or (isinstance(owner, dict) and name in MAPPING_METHODS)
            or (isinstance(owner, LoopContext) and name in {"cycle", "changed"})
        )

    def call(self, context: Context, obj: Any, /, *args: Any, **kwargs: Any) -> Any:
        """Call a macro or method."""
        self.meter.spend(_STEPS_PER_CALL)
        if not self.is_safe_callable(obj):
            raise SecurityError("calls something that is neither a macro nor a listed method")
        result = context.call(obj, *args, **kwargs)
        if isinstance(result, str):
            return self.meter.text(result)
        return self.meter.parts(result) if isinstance(result, list | tuple) else result

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:
        """Compute ``left operator right`` for numbers; join texts or lists with ``+``."""
        self.meter.spend(1)
        if isinstance(left, Undefined) or isinstance(right, Undefined):
            return super().call_binop(context, operator, left, right)
        if operator == "+" and isinstance(left, str) and isinstance(right, str):
            self.meter.room(len(left) + len(right))
            return self.meter.text(left + right)
        if operator == "+" and isinstance(left, list) and isinstance(right, list):
            return self.meter.parts(left + right)
        if isinstance(left, _NO_NUMBERS) or isinstance(right, _NO_NUMBERS):
            raise TemplateRuntimeError(
                f"uses {operator} with {_kind(left)} and {_kind(right)}; it computes with numbers"
                " only (join texts with ~)"
            )
        if operator == "**":
            _check_power(left, right)
        if operator == "*":
            _check_bits(_bits(left) + _bits(right))
        return super().call_binop(context, operator, left, right)

    def _forbidden(self, obj: Any, attribute: str) -> Undefined:
        return self.undefined(
            f"reads the attribute {attribute!r} of {_kind(obj)}; only mappings have attributes",
            exc=SecurityError,
        )


def _finalizer(meter: Meter) -> Callable[[Any], str]:
    def finalize(value: Any) -> str:
        return value if type(value) is str else as_text(meter, value)

    return finalize


def _exports(module: TemplateModule) -> Iterable[str]:
    return [name for name in module.__dict__ if not name.startswith("_")]


def _kind(value: object) -> str:
    names: dict[type, str] = {str: "a text", list: "a list", dict: "a mapping", tuple: "a list"}
    return names.get(type(value), f"a value of the type {type(value).__name__}")


def _bits(value: object) -> int:
    return value.bit_length() if isinstance(value, int) else 1


def _check_bits(bits: int) -> None:
    if bits > _MAX_BITS:
        raise TemplateRuntimeError("computes a number that is too large")


def _check_power(base: Any, exponent: Any) -> None:
    if abs(exponent) > _MAX_EXPONENT:
        raise TemplateRuntimeError("computes a number that is too large")
    _check_bits(_bits(base) * int(abs(exponent) + 1))
