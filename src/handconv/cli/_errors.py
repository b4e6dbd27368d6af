"""From exceptions to one line on stderr and an exit status; nobody sees a traceback who did not ask for it.

0    done                            2    the arguments were wrong
1    the work failed               130    interrupted (Ctrl-C); 143 by SIGTERM
                                   141    whoever read the output has gone (a pipe into head, say)
"""

import errno
import os
import shlex
import sys
import traceback
import warnings
from collections.abc import Callable
from contextlib import suppress
from functools import partial

from handconv.cli._output import say
from handconv.cli._runs import named
from handconv.errors import HandconvError, TrainingInterrupted

DONE, FAILED, WRONG_USAGE, INTERRUPTED, NO_READER = 0, 1, 2, 130, 141


#: What to do about what the operating system says.
_REMEDIES = {
    os.strerror(errno.ENOENT): " Check its name; a relative one starts at the current folder.",
    os.strerror(errno.EISDIR): " Name a file in it.",
    os.strerror(errno.EACCES): " Allow it, or choose another place.",
    os.strerror(errno.EROFS): " Choose another place.",
    os.strerror(errno.ENOSPC): " Make room, or choose another place.",
}


class UsageError(Exception):
    """The arguments were wrong; the message says what is right."""


def guarded(work: Callable[[], int], *, debug: bool) -> int:
    """Run the work and give its exit status; what goes wrong becomes one line."""
    try:
        with warnings.catch_warnings():
            if not debug:
                warnings.showwarning = partial(_note, set())
            status = work()
        sys.stdout.flush()
        return status
    except SystemExit as leaving:  # argparse, after --help and --version
        return leaving.code if isinstance(leaving.code, int) else DONE
    except KeyboardInterrupt:
        return _end(INTERRUPTED, "Interrupted.", debug=debug)
    except TrainingInterrupted as stopped:
        line = f"{stopped} Go on with: handconv train --resume {shlex.quote(named(stopped.path))}"
        return _end(128 + stopped.signal, line, debug=debug)
    except BrokenPipeError:
        return _end(NO_READER, "", debug=debug)
    except UsageError as error:
        return _end(WRONG_USAGE, str(error), debug=debug)
    except Exception as error:  # noqa: BLE001 - whatever it is, a user gets a sentence and not a traceback
        return _end(FAILED, sentence(error), debug=debug)


def _note(said: set[str], message: Warning | str, *_: object, **__: object) -> None:
    """Say a warning as a line, once, without the place in the code that it came from."""
    line = " ".join(str(message).split())
    if line not in said:
        said.add(line)
        with suppress(OSError, ValueError):
            say(f"handconv: {line}", sys.stderr)


def _end(status: int, line: str, *, debug: bool) -> int:
    """Say the last line, and leave no stream behind that fails again when Python flushes it at its end."""
    if debug:
        traceback.print_exc()
    with suppress(OSError, ValueError):
        if line:
            say(f"handconv: {line}" if status != INTERRUPTED else line, sys.stderr)
    try:
        sys.stdout.flush()
    except (OSError, ValueError):
        with suppress(OSError, ValueError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return status


def sentence(error: Exception) -> str:
    """Say in one line what went wrong."""
    if isinstance(error, OSError) and not isinstance(error, HandconvError) and error.strerror:
        where = f"{error.filename}: " if error.filename is not None else ""
        remedy = _REMEDIES.get(error.strerror, "")
        return f"{where}{error.strerror}.{remedy}"
    if isinstance(error, MemoryError):
        return "There is not enough memory for this. Try a smaller --batch-size or fewer images."
    text = " ".join(str(error).split())
    if isinstance(error, HandconvError | ValueError | TypeError | OSError | Warning) and text:
        return text
    return f"This should not have happened ({type(error).__name__}: {text}). Run it again with --debug and report it."
