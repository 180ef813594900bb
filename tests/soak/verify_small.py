"""The command with the small claim of the soak, in a process of its own and in its workers."""

import small_claims  # noqa: F401

from ilr_check.cli import main

if __name__ == "__main__":
    main()
