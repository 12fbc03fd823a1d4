"""Every error a caller may want to catch, with the exit code that the command line gives it.

GristmillError              1  a bug of a stage or of gristmill
├── UsageError              2  what was asked for cannot be done as asked
│   ├── RecipeError            the recipe cannot run: unknown stage, bad parameter, missing column
│   ├── InputError             seeds, a data file or a model is missing or unreadable
│   └── RequirementError       this machine lacks something: isolation, a package, a right
├── StageError              1  a stage breaks its own contract: undeclared code or column
├── StorageError            1  a run directory contradicts itself, or the disk is full
├── LedgerError             1  rows are lost or counted twice
├── EngineError             1  a machine failed: the model or sandbox could not be called at all
│   ├── EngineLost             the engine itself is gone: it is started again, then asked again
│   ├── EngineExhausted        it was asked as often as one request may be
│   └── EngineRefused          it will not answer this request: asking again cannot help
│       └── PromptRefused      the model's template cannot write this conversation
├── ToolFailed              1  a server gave no answer to a call; the row is rejected
├── PromptTooLong           1  a request that no retry can make fit; the row is rejected
├── TooManyErrors           3  more rows failed than the recipe allows
├── GateClosed              3  a gate refuses to publish what cannot be trusted
└── RunLocked               4  another process holds the workspace
"""

from typing import Any, ClassVar


class GristmillError(Exception):
    """Base class."""

    exit_code: ClassVar[int] = 1


class UsageError(GristmillError):
    """What was asked for cannot be done as asked; the message says what can."""

    exit_code = 2


class RecipeError(UsageError):
    """The recipe cannot run."""


class InputError(UsageError):
    """Seeds, a data file or a model is missing or unreadable."""


class RequirementError(UsageError):
    """This machine lacks something that the run needs."""


class StageError(GristmillError):
    """A stage breaks its own contract."""


class StorageError(GristmillError):
    """A run directory contradicts itself, or cannot be written."""


class LedgerError(GristmillError):
    """Rows are lost or counted twice."""


class EngineError(GristmillError):
    """A machine failed: worth asking again, never an answer."""


class EngineLost(EngineError):
    """The engine behind a request is gone, and every request that it held with it."""


class EngineExhausted(EngineError):
    """The engine was asked as often as one request may be; another run may ask again."""


class EngineRefused(EngineError):
    """The engine will not answer this request, however often it is asked."""


class PromptRefused(EngineRefused):
    """The model's template cannot write this conversation."""


class ToolFailed(GristmillError):
    """A server gave no answer to a call: a reject code, and what happened."""


class PromptTooLong(GristmillError):
    """A request that does not fit the model; asking again cannot help."""


class TooManyErrors(GristmillError):
    """More rows failed than `max_error_rate` allows."""

    exit_code = 3
    result: Any = None
    """The `Result` of what is finished, when a run has saved it; its dataset is empty."""


class GateClosed(GristmillError):
    """A gate refuses to publish what cannot be trusted."""

    exit_code = 3


class RunLocked(GristmillError):
    """Another process holds the workspace."""

    exit_code = 4
