"""A Hub that fails: asked again where that helps, explained where it does not."""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

from gristmill.errors import InputError, RequirementError, StorageError

log = logging.getLogger(__name__)

AGAIN = "run the same command again, what has arrived is not sent twice"
WAITS_S = (1.0, 2.0, 4.0, 8.0, 16.0)
"""Between two tries, where the Hub does not say how long it wants to be left alone."""
MOST_S = 300.0
"""Longest wait that the Hub may ask for: more is for the person who publishes to decide."""
BUSY = frozenset({429, 500, 502, 503, 504})
CHANGED = 412
"""Somebody else committed after we had looked."""
Done = TypeVar("Done")


def patiently(attempt: Callable[[], Done]) -> Done:
    """Return what an attempt gives; where the Hub is busy or breaks off, wait and try again.

    An attempt that comes again must look first at what the one before has left there.
    """
    from huggingface_hub.errors import HfHubHTTPError

    http = _library()
    for wait_s in WAITS_S:
        try:
            return attempt()
        except HfHubHTTPError as error:
            if error.response.status_code not in BUSY:
                raise
            if (asked_s := _wanted(error.response.headers.get("Retry-After"))) > MOST_S:
                raise
            why, wait_s = f"{error.response.status_code}", asked_s if asked_s >= 0 else wait_s
        except http.TransportError as error:
            if isinstance(error, http.ConnectError):  # nobody is there
                raise
            why = f"{error}"
        log.warning("hub=%r, tried again in %.0f s", why, wait_s)
        time.sleep(wait_s)
    return attempt()


def _wanted(header: str | None) -> float:
    """Return the seconds that a server wants to be left alone; -1 where it does not say."""
    return float(header) if header and header.isdecimal() else -1.0


def _library() -> Any:
    """Return the HTTP library of huggingface_hub, which has changed twice."""
    from huggingface_hub.errors import HfHubHTTPError

    return sys.modules[HfHubHTTPError.__bases__[0].__module__.partition(".")[0]]


@contextmanager
def silent() -> Iterator[None]:
    """Keep huggingface_hub from drawing progress."""
    from huggingface_hub.utils.tqdm import (
        are_progress_bars_disabled,
        disable_progress_bars,
        enable_progress_bars,
    )

    was_silent = are_progress_bars_disabled()
    disable_progress_bars()
    try:
        yield
    finally:
        if not was_silent:
            enable_progress_bars()


@contextmanager
def explained(repo_id: str, token: str, token_env: str) -> Iterator[None]:
    """Turn what huggingface_hub raises into messages with a fix, without the token."""
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, OfflineModeIsEnabled

    network: tuple[Any, ...] = HfHubHTTPError.__bases__
    try:
        yield
    except HFValidationError as error:
        raise InputError(f"'{repo_id}' is no repository's name: expected owner/name") from error
    except OfflineModeIsEnabled as error:
        raise RequirementError("HF_HUB_OFFLINE is set: unset it to publish") from error
    except HfHubHTTPError as error:
        raise _answered(error, repo_id, token, token_env) from None
    except (*network, OSError, RuntimeError) as error:
        causes = dict.fromkeys(str(one) for one in (error, error.__cause__) if one)
        said = ": ".join(causes).replace(token, f"${token_env}")
        raise StorageError(f"publishing stopped: {said}; {AGAIN}") from None


def _answered(error: Any, repo_id: str, token: str, token_env: str) -> Exception:
    status = error.response.status_code
    said = str(error).replace(token, f"${token_env}").strip().splitlines()[0]
    if status in (401, 403):
        return RequirementError(
            f"the token in {token_env} may not write to {repo_id} ({said}); "
            "make one with the right to write there"
        )
    if status == CHANGED:
        said = f"somebody else committed to {repo_id} while this was on its way"
        again = "run the same command again: it looks at what they wrote first"
        return StorageError(f"the Hub answered {status}: {said}; {again}")
    return StorageError(f"the Hub answered {status}: {said}; {AGAIN}")
