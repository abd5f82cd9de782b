"""posix_spawn(3) without holding the interpreter's lock.

`os.posix_spawn` keeps the lock until the child has come to its exec. On a machine busy with the executors started just
before, that was 7 ms in the middle and 37 ms at worst, each time with the event loop standing still. The C library's
own function suspends only the thread that calls it, and ctypes lets the others run meanwhile.
"""

from __future__ import annotations

import ctypes
import os
import signal
from collections.abc import Iterable, Mapping, Sequence

_OPAQUE_BYTES = 1024
"""Room for the C library's own structures: 336 bytes are the most any of them takes in glibc and musl."""

_SETSIGMASK = 0x08
_SETSID = 0x80

_libc = ctypes.CDLL(None)


def _checked(code: int) -> None:
    """These functions return the error number."""
    if code:
        raise OSError(code, os.strerror(code))


def _words(words: Iterable[str]) -> ctypes.Array[ctypes.c_char_p]:
    encoded = [os.fsencode(word) for word in words]
    return (ctypes.c_char_p * (len(encoded) + 1))(*encoded, None)


def spawn(
    words: Sequence[str],
    environ: Mapping[str, str],
    *,
    opened: Sequence[tuple[int, str, int]],
    passed_on: Sequence[tuple[int, int]],
    blocked: Sequence[signal.Signals],
) -> int:
    """Start a program, `words[0]` being its path, in a session of its own with these signals blocked. Returns its pid.

    `opened`: descriptor, path and flags of files to open in it (made with mode 600); `passed_on`: descriptors of ours
    and what they are in it. All other descriptors of ours are closed on exec. Raises OSError.
    """
    actions = ctypes.create_string_buffer(_OPAQUE_BYTES)
    attributes = ctypes.create_string_buffer(_OPAQUE_BYTES)
    mask = ctypes.create_string_buffer(_OPAQUE_BYTES)
    pid = ctypes.c_int()
    _checked(_libc.posix_spawn_file_actions_init(actions))
    try:
        _checked(_libc.posix_spawnattr_init(attributes))
        try:
            for fd, path, flags in opened:
                _checked(_libc.posix_spawn_file_actions_addopen(actions, fd, os.fsencode(path), flags, 0o600))
            for ours, theirs in passed_on:
                _checked(_libc.posix_spawn_file_actions_adddup2(actions, ours, theirs))
            _libc.sigemptyset(mask)
            for number in blocked:
                _libc.sigaddset(mask, int(number))
            _checked(_libc.posix_spawnattr_setsigmask(attributes, mask))
            _checked(_libc.posix_spawnattr_setflags(attributes, ctypes.c_short(_SETSIGMASK | _SETSID)))
            env = _words(f"{name}={value}" for name, value in environ.items())
            program = os.fsencode(words[0])
            _checked(_libc.posix_spawn(ctypes.byref(pid), program, actions, attributes, _words(words), env))
        finally:
            _libc.posix_spawnattr_destroy(attributes)
    finally:
        _libc.posix_spawn_file_actions_destroy(actions)
    return pid.value
