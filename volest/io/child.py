"""The other side of sandbox.py: bounds itself, then runs one decoder. Imports nothing of volest.

Arguments: bytes of memory, bytes of output, seconds; the import path; the decoder's file; the decoder's own. A decoder
may import others that lie beside it, relatively.
"""

from __future__ import annotations

import os
import resource
import sys
from importlib.util import module_from_spec, spec_from_file_location
from types import ModuleType


def main() -> int:
    """Run the decoder; 0 when it succeeded, else 1 and a line on standard error that tells why."""
    memory_bytes, output_bytes, seconds, paths, decoder, *arguments = sys.argv[1:]
    bounds = {
        resource.RLIMIT_AS: int(memory_bytes),
        resource.RLIMIT_FSIZE: int(output_bytes),
        resource.RLIMIT_CPU: int(seconds),
        resource.RLIMIT_CORE: 0,
    }
    for bound, value in bounds.items():
        resource.setrlimit(bound, (value, value))
    sys.path.extend(path for path in paths.split(os.pathsep) if path not in sys.path)
    # Libraries that print would spoil the output: they print to standard error.
    output = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    try:
        package = ModuleType("decoders")
        package.__path__ = [os.path.dirname(decoder)]
        sys.modules["decoders"] = package
        spec = spec_from_file_location("decoders.decoder", decoder)
        assert spec is not None
        assert spec.loader is not None
        module = module_from_spec(spec)
        spec.loader.exec_module(module)
        with output, open(0, "rb", closefd=False) as scan:
            module.decode(scan, output, *arguments)
    except BaseException as error:  # some libraries' panics are no Exception
        reason = str(error).strip().splitlines() or [""]
        print(f"\n{type(error).__name__}: {reason[0][:1000]}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    status = main()
    sys.stderr.flush()
    os._exit(status)  # without the destructors of what may be broken
